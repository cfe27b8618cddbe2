"""Each protocol's checks are asked of servers that are no specimens, and hold but for what is known of others' servers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_sessions import read_run, run_pytest, run_seatrial
from seatrial_fixtures.processes import answers_http

HERE = Path(__file__).parent
V2 = {f"C08{letter}" for letter in "abcdefg"}
CONTAINER = {"C06a", "C06b", "C06c", "C10"}
GRADIO = {"C14", "C15", "C16", "C17", "X03b"}
ALL = V2 | CONTAINER | GRADIO | {"C11", "C12", "C13"}
# Of Gradio and MLflow themselves: what they break stands in fixtures/seatrial_fixtures/targets/*.expectations.toml.
KNOWN = {"C04", "C07", "C17"}


def ask(
    directory: Path, target: str, *settings: str, model: str, which: str = "protocol or security"
) -> dict[str, str]:
    """The statuses of the checks of protocols, by id."""
    sets = [word for each in settings for word in ("--seatrial-set", each)]
    chosen = ["--target", target, "--seatrial-model", model, "--seatrial-profile", "standard", *sets]
    which_of = ["-k", which, "--seatrial-suite", "conformance"]
    done = run_pytest(directory, "--pyargs", "seatrial_suites", *chosen, *which_of, paths=[HERE], model="")
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return {each.id: each.status for each in read_run(directory).targets[target].checks}


def assert_held(statuses: dict[str, str], asked: set[str], known: set[str] = frozenset()) -> None:
    """These are asked and hold, but for what is known; those of other protocols are no more than said to be."""
    assert {each for each in ALL if statuses[each] != "unsupported"} == asked
    broken = {each for each, status in statuses.items() if status not in {"pass", "unsupported"}}
    assert broken <= known, statuses


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a reference server with a model of every datatype."""
    directory = tmp_path_factory.mktemp("server")
    built = run_seatrial(directory, "build", "every_datatype:model", str(directory / "model"), paths=[HERE])
    assert built.returncode == 0, built.stderr
    (model,) = (path.parent for path in sorted(directory.rglob("model.json"))[:1])
    port_file = directory / "port"
    argv = ["-m", "seatrial_fixtures.server", "--model", str(model), "--port-file", str(port_file)]
    with subprocess.Popen([sys.executable, *argv], stderr=subprocess.DEVNULL) as process:
        try:
            deadline_s = time.monotonic() + 60
            while not (port_file.exists() and answers_http(int(port_file.read_text()), "/ping")):
                assert process.poll() is None
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            yield int(port_file.read_text())
        finally:
            process.terminate()


@pytest.mark.parametrize(("wire", "asked"), [("v2", V2), ("sagemaker", CONTAINER)], ids=["v2", "sagemaker"])
def test_the_reference_server_keeps_both_of_its_protocols(
    tmp_path: Path, server: int, wire: str, asked: set[str]
) -> None:
    where = f"targets.url.address=http://127.0.0.1:{server}"
    statuses = ask(tmp_path, "url", where, f"targets.url.wire={wire}", model="every_datatype:model")
    assert_held(statuses, asked)


def test_the_local_target_is_asked_both(tmp_path: Path) -> None:
    assert_held(ask(tmp_path, "local", model="nonce"), V2 | CONTAINER)


@pytest.mark.sagemaker
def test_the_runtime_is_asked_what_shows_through_it(tmp_path: Path) -> None:
    statuses = ask(tmp_path, "sagemaker", "targets.sagemaker.host=process", model="nonce")
    assert_held(statuses, CONTAINER - {"C10"})
    assert statuses["X02"] == "pass"


@pytest.mark.mlflow
def test_mlflow_keeps_its_own(tmp_path: Path) -> None:
    assert_held(ask(tmp_path, "mlflow", model="digits"), {"C11", "C12", "C13"})


@pytest.mark.gradio
@pytest.mark.parametrize("wire", ["gradio-run", "gradio-call"])
def test_gradio_keeps_its_own(tmp_path: Path, wire: str) -> None:
    assert_held(ask(tmp_path, "gradio", f"targets.gradio.wire={wire}", model="nonce"), GRADIO, KNOWN)


@pytest.mark.gradio
@pytest.mark.parametrize("wire", ["gradio-run", "gradio-call"])
def test_what_gradio_is_known_to_break_is_known_over_each_of_its_wires(tmp_path: Path, wire: str) -> None:
    statuses = ask(
        tmp_path, "gradio", f"targets.gradio.wire={wire}", model="nonce", which="drawn or overflow or grammar"
    )

    known = "expected-failure" if wire == "gradio-run" else "pass"
    asked = {check_id: status for check_id, status in statuses.items() if status != "not-run"}
    assert asked == {"R04": known, "R04a": known, "B02": "expected-failure"}
