"""What a trial could leave behind on this machine, for tests that compare before and after."""

from __future__ import annotations

import tempfile
from pathlib import Path
from pkgutil import iter_modules

import psutil
import pytest
from hypothesis import settings

# Neither timing nor chance decides a test's outcome: seeds are fixed, as those of random tests are.
settings.register_profile("steady", settings(), deadline=None, derandomize=True)
settings.load_profile("steady")

# What does not hold in them is told as in a test.
pytest.register_assert_rewrite(*(each.name for each in iter_modules([str(Path(__file__).with_name("support"))])))


def list_machine_state() -> dict[str, set[str]]:
    """What a trial could leave behind: engine objects, processes, listening ports, temporary folders."""
    from seatrial.provision import open_client

    with open_client() as client:
        containers = {container.id for container in client.containers.list(all=True, sparse=True)}
        networks = {network.name for network in client.networks.list()}
        volumes = {volume.id for volume in client.volumes.list()}
        images = {image.id for image in client.images.list(filters={"label": "seatrial.trial"})}
    ports = {f"{c.laddr.ip}:{c.laddr.port}" for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    folders = {path.name for path in Path(tempfile.gettempdir()).glob("seatrial-*")}
    return {
        "containers": containers,
        "networks": networks,
        "volumes": volumes,
        "images": images,
        "ports": ports,
        "folders": folders,
        "processes": set(list_marked_processes()),
    }


def list_marked_processes(trial_id: str = "") -> list[str]:
    """Processes that carry a trial's marker, of any trial or of this one, with their command."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            marker = process.environ().get("SEATRIAL_TRIAL")
            if marker is not None and trial_id in {"", marker}:
                found.append(f"{process.pid} {process.info['cmdline']}")
        except psutil.Error:
            continue
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what looks at the whole machine: beside other tests it would see what is theirs."""
    for item in items:
        refuse_unordered_id(item)
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker("alone")


def refuse_unordered_id(item: pytest.Item) -> None:
    """Refuse a test whose name holds a set: each process orders it its own way, and xdist's workers then disagree."""
    for value in getattr(getattr(item, "callspec", None), "params", {}).values():
        if isinstance(value, set | frozenset) and len(value) > 1 and repr(value) in item.nodeid:
            msg = f"{item.nodeid} is named by a set, whose order changes between processes: give a list, or an id"
            raise pytest.UsageError(msg)


class Machine:
    """This machine, as trials may change it."""

    def list_state(self) -> dict[str, set[str]]:
        """Return names and ids by kind."""
        return list_machine_state()

    def list_marked_processes(self, trial_id: str = "") -> list[str]:
        """Return the processes of any trial, or of this one."""
        return list_marked_processes(trial_id)


@pytest.fixture
def machine() -> Machine:
    """This machine."""
    return Machine()


_SCORED = ("::test_a_specimen_trips_its_checks_and_no_other[", "::test_what_is_wrong_is_red_and_nothing_else_is[")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many specimens tripped just the checks that they say, where any was asked."""
    outcomes = {
        report.nodeid: outcome
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.getreports(outcome)
        if any(each in report.nodeid for each in _SCORED)
    }
    if outcomes:
        passed = sum(outcome == "passed" for outcome in outcomes.values())
        share = 100 * passed / len(outcomes)
        terminalreporter.section("specimens")
        terminalreporter.write_line(f"{passed} of {len(outcomes)} trip just the checks that they say: {share:.0f} %")
