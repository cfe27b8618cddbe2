"""How a run waits for the machine, so that Locust's page shows that it does and can end it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from locust.runners import STATE_SPAWNING, Runner

from seatrial.load.host_lock import HostLock

_log = logging.getLogger("locust.seatrial")


@contextlib.contextmanager
def keep_machine(runner: Runner) -> Iterator[None]:
    """Wait until nothing else uses this machine, and keep it during the block.

    Locust has replaced `time.sleep` by gevent's, so that its page and its heartbeats go on meanwhile.
    """
    with contextlib.ExitStack() as stack:
        with _count_as_begun(runner):
            stack.enter_context(HostLock().measure(lambda line: _log.info("seatrial: %s", line)))
        yield


@contextlib.contextmanager
def _count_as_begun(runner: Runner) -> Iterator[None]:
    """Have Locust take the run for one that has begun, as it does by itself only when `test_start` has been heard.

    In the state of before a run its page shows no Stop, and `MasterRunner.stop`, which kills the greenlet that waits here,
    does nothing.
    """
    before = runner.state
    runner.update_state(STATE_SPAWNING)
    try:
        yield
    except BaseException:
        # Else the next start would be a change of this run, which never began. Who stopped it has set a state already.
        if runner.state == STATE_SPAWNING:
            runner.update_state(before)
        raise
