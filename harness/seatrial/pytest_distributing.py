"""Distributing: one trial over the workers of pytest-xdist. Its hooks, which only it calls."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.errors import HarnessError, SeatrialError
from seatrial.pytest_scheduling import find_group, make_scheduler
from seatrial.records import ErrorRecord

if TYPE_CHECKING:
    from seatrial.pytest_session import TrialSession
    from seatrial.settings import Settings

TOKEN = "seatrial_trial"  # noqa: S105 - a key of xdist's workerinput
ALL = "seatrial_all"
ORDER = "seatrial_order"
# xdist's ways of handing out tests one by one or by file; `each` and `no` run them in pytest's own order.
_DISTRIBUTIONS = frozenset({"load", "loadgroup", "loadscope", "loadfile", "worksteal"})


class Distributing:
    """A pytest plug-in for the controller of workers."""

    def __init__(self, session: TrialSession) -> None:
        self._session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Keep a target's tests on one worker, for the ways of distributing that would not."""
        return (
            make_scheduler(config, log, self._session.choice.targets) if config.option.dist in _DISTRIBUTIONS else None
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died in the midst of a test: its target was not asked everything, which is no pass."""
        target = find_group(crashitem, self._session.choice.targets)
        if target:
            message = f"the worker crashed while it ran {crashitem}: {report.longreprtext}"
            self._session.trial.record(
                ErrorRecord(target=target, message=message, exit_code=int(HarnessError.exit_code))
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand the trial to a worker of xdist."""
        try:
            first = self._session.begun is None
            node.workerinput[TOKEN] = self._session.trial.make_token()
            node.workerinput[ALL] = self._session.collects_all
            node.workerinput[ORDER] = self._session.choice.order
            if first:
                self._session.trial.record_lacking()
        except SeatrialError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ARG002 - xdist's signature
        for line in getattr(node, "workeroutput", {}).pop("seatrial_records", ()):
            self._session.trial.directory.append(line)


def draw_order(config: pytest.Config, settings: Settings, targets: Sequence[str]) -> tuple[str, ...]:
    """Return targets in an order by chance, so that what changes with time on a machine favours none.

    Another one each time, unless a seed is given. All workers of xdist have the controller's: their tests must be the same.
    """
    given = getattr(config, "workerinput", {}).get(ORDER)
    if given is not None:
        return tuple(given)
    chance = random.Random(settings.general.seed) if "seed" in settings.given else random.SystemRandom()
    order = list(targets)
    chance.shuffle(order)
    return tuple(order)


@contextmanager
def telling_of(item: pytest.Item) -> Iterator[None]:
    """Have a worker's reports be those of an item that it ran earlier.

    xdist 3.8 takes every report for one of the item that runs now, by the attribute `item_index`, and breaks off otherwise.
    """
    plugins = item.config.pluginmanager.get_plugins()
    worker: Any = next((each for each in plugins if type(each).__name__ == "WorkerInteractor"), None)
    if worker is None:
        yield
        return
    now = worker.item_index
    worker.item_index = item.session.items.index(item)
    try:
        yield
    finally:
        worker.item_index = now
