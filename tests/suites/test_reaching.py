"""What is malformed, attacks or strains stays on this machine unless a host is named."""

from __future__ import annotations

from pathlib import Path

from pytest_sessions import read_run, run_pytest

# Nobody has this address (RFC 5737), so nothing that went there would come back, let alone at once.
ELSEWHERE = """
import dataclasses
import pytest

@pytest.fixture(autouse=True)
def elsewhere(seatrial_deployment):
    endpoint = seatrial_deployment.endpoint
    seatrial_deployment.endpoint = dataclasses.replace(endpoint, address="http://192.0.2.1:9", path="remote")
    yield
    seatrial_deployment.endpoint = endpoint
"""
GUARDED = {"B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "R04a", "R05", "X03a", "N03", "N04", "N05"}


def test_another_machine_is_sent_nothing_malformed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    modules = ("input", "json", "schema", "size", "raw_http", "strain", "drawn", "security")
    names = [f"seatrial_suites.conformance.test_{each}" for each in modules]
    asked = ["--pyargs", *names, "-k", "not drawn_values and not credentials"]

    done = run_pytest(
        tmp_path,
        *["-p", "elsewhere", "--target", "local", *asked],
        paths=[tmp_path],
        timeout_s=100,
        SEATRIAL_PROFILE="standard",
    )

    found = {check.id: check for check in read_run(tmp_path).targets["local"].checks}
    assert {name for name, check in found.items() if check.status == "not-run"} == GUARDED, done.stdout + done.stderr
    for name in GUARDED:
        assert "192.0.2.1 is not this machine" in found[name].message
        assert "--allow-remote 192.0.2.1" in found[name].message
