"""A pacer that is told to stop from elsewhere: what there is comes back, and one that does not obey is not waited for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from seatrial.errors import HarnessError
from seatrial.load import driver
from seatrial.load.driver import Pacer
from seatrial.load.plan import Destination, Plan
from seatrial.load.validity import TOLD

pytestmark = pytest.mark.timeout(100)
Serve = Callable[..., int]
OFFSETS = np.arange(600 * 50, dtype=np.int64) * 20_000_000


def make_plan(port: int) -> Plan:
    return Plan(
        destination=Destination(host="127.0.0.1", port=port),
        requests=(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",),
        cases=(0,),
        mode="open",
        duration_s=600.0,
    )


def test_stopped_it_says_what_there_is(serve: Serve, tmp_path: Path) -> None:
    with Pacer(make_plan(serve("echo")), OFFSETS, tmp_path) as pacer, ThreadPoolExecutor(1) as elsewhere:
        pacer.wait_ready()
        done = pacer.run(time.monotonic_ns(), lambda _: elsewhere.submit(pacer.stop).result())

    assert done.stopped == TOLD
    assert 0 < done.sent < len(OFFSETS)


def test_one_that_does_not_obey_is_not_waited_for(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "SLACK_S", 0.5)
    with Pacer(make_plan(serve("echo")), OFFSETS, tmp_path) as pacer:
        ready = pacer.wait_ready()

        def freeze(_: object) -> None:
            os.kill(ready.pid, signal.SIGSTOP)
            pacer.stop()

        with pytest.raises(HarnessError, match="the pacer broke"):
            pacer.run(time.monotonic_ns(), freeze)
