"""What is malformed, attacks or strains stays on this machine unless a host is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from seatrial.records import decode_run

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
    env = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("SEATRIAL_")}
    env |= {"SEATRIAL_MODEL": "nonce", "SEATRIAL_STATE_DIR": str(tmp_path / "state"), "SEATRIAL_PROFILE": "standard"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tmp_path), env.get("PYTHONPATH", "")]))
    modules = ("input", "json", "schema", "size", "raw_http", "strain", "drawn", "security")
    names = [f"seatrial_suites.conformance.test_{each}" for each in modules]
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "elsewhere",
        "--target",
        "local",
        "--pyargs",
    ]

    done = subprocess.run(
        [*argv, *names, "-k", "not drawn_values and not credentials"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
    )

    (path,) = (tmp_path / "seatrial-results").glob("*/run.json")
    found = {check.id: check for check in decode_run(path.read_bytes()).targets["local"].checks}
    assert {name for name, check in found.items() if check.status == "not-run"} == GUARDED, done.stdout + done.stderr
    for name in GUARDED:
        assert "192.0.2.1 is not this machine" in found[name].message
        assert "--allow-remote 192.0.2.1" in found[name].message
