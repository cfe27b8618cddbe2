"""The pacer's process: reads its plan, says it is ready, waits for `go`, sends, and says what only it can know.

Standard input: the plan, one line of JSON; then orders, a line each. Its end means stop: who started it has died.

| order | what it does |
|---|---|
| `go NANOSECONDS` | the warm-up, or the window where there is none, begins at that time of CLOCK_MONOTONIC; the first order |
| `window NANOSECONDS` | the warm-up is over: the timed window begins at that time |
| `end` | enough is known: the window ends now, what is pending is waited for |
| `renew CASE BASE64` | other bytes for a case: what signed the old ones runs out |
| `stop` | send nothing more, wait for nothing |

Standard output: events, one line of JSON each.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from seatrial.load.descriptors import allow_descriptors
from seatrial.load.pacer.closed_loop import ClosedLoop
from seatrial.load.pacer.connection import SECOND_NS
from seatrial.load.pacer.open_loop import OpenLoop
from seatrial.load.pacer.opening import OpeningError, count_descriptors, describe_failure
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import SCHEDULE_FILE, TOLD, WARM_UP_FILE, Done, Event, Failed, Plan, Progress, Ready
from seatrial.load.priority import come_first

_LINE_LIMIT_BYTES = 1 << 30
_PROGRESS_S = 1.0
SPARSE_RATE = 1000


def main() -> None:
    """Run with uvloop where it is installed."""
    directory = Path(sys.argv[1])
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(directory, ""))
    else:
        uvloop.run(serve(directory, version("uvloop")))


def is_sparse(plan: Plan, scheduled: int) -> bool:
    """Whether the sends of a plan leave time: at up to 1,000 a second the spinning before each takes half of one CPU at most."""
    return plan.mode == "open" and scheduled <= SPARSE_RATE * (plan.warm_up_s + plan.duration_s)


async def serve(directory: Path, uvloop_version: str) -> None:
    """Take one plan through."""
    orders = asyncio.StreamReader(limit=_LINE_LIMIT_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    line = await orders.readline()
    if not line:
        return
    try:
        plan = msgspec.json.decode(line, type=Plan)
        allow_descriptors(count_descriptors(plan))
        recorder = Recorder(directory, keep_bodies_bytes=plan.keep_bodies_bytes, keeps_answers=plan.keeps_answers)
        engine = make_engine(plan, recorder, directory)
    except (msgspec.DecodeError, OSError, ValueError) as error:
        tell(Failed(message=f"the pacer cannot read its plan: {error}"))
        return
    try:
        await engine.prepare()
    except OpeningError as error:
        tell(describe_failure(plan, error))
        return
    if is_sparse(plan, engine.scheduled):
        come_first()
    tell(Ready(pid=os.getpid(), connections=engine.opened, uvloop=uvloop_version))
    order = (await orders.readline()).split()
    if len(order) != 2 or order[0] != b"go":
        return
    await run(engine, recorder, int(order[1]), orders)


def make_engine(plan: Plan, recorder: Recorder, directory: Path) -> OpenLoop | ClosedLoop:
    """Return the engine that a plan asks for. Raises OSError or ValueError for a schedule that cannot be read."""
    if plan.mode == "closed":
        return ClosedLoop(plan, recorder)
    warm_up = directory / WARM_UP_FILE
    return OpenLoop(
        plan,
        recorder,
        np.load(directory / SCHEDULE_FILE, allow_pickle=False),
        np.load(warm_up, allow_pickle=False) if warm_up.exists() else np.empty(0, np.int64),
    )


async def run(engine: OpenLoop | ClosedLoop, recorder: Recorder, start_ns: int, orders: asyncio.StreamReader) -> None:
    """Send everything, and tell how it goes."""

    async def listen() -> None:
        while order := (await orders.readline()).split():
            match order:
                case [b"renew", case, request]:
                    engine.renew(int(case), base64.b64decode(request))
                case [b"window", at_ns]:
                    engine.begin_window(int(at_ns))
                case [b"end"]:
                    engine.end_window()
                case _:
                    break
        engine.stop(TOLD)

    async def report() -> None:
        while True:
            await asyncio.sleep(_PROGRESS_S)
            recorder.flush()
            tell(describe_progress(engine, start_ns))

    asides = [asyncio.create_task(listen()), asyncio.create_task(report())]
    # What is there now stays: a collection in the midst of a run would be charged to the server.
    gc.collect()
    gc.freeze()
    gc.disable()
    clocks_ns = _compare_clocks()
    await engine.run(start_ns)
    use = engine.use
    use.end(engine.spun_ns)
    step_ns = _compare_clocks() - clocks_ns
    for task in asides:
        task.cancel()
    await asyncio.gather(*asides, return_exceptions=True)
    recorder.close()
    tell(describe_progress(engine, start_ns))
    tell(
        Done(
            start_ns=start_ns,
            window_begin_ns=engine.window_begin_ns,
            window_end_ns=engine.window_end_ns,
            end_ns=time.monotonic_ns(),
            scheduled=engine.scheduled,
            sent=engine.sent,
            connections_opened=engine.opened,
            in_flight_area_ns=engine.in_flight_area_ns,
            loop_lag_ns=tuple(engine.loop_lag_ns),
            cpu_s=use.whole.cpu_s,
            spun_s=use.whole.spun_s,
            measured_from_ns=use.from_ns,
            warm_up_cpu_s=use.warm_up.cpu_s,
            warm_up_spun_s=use.warm_up.spun_s,
            measured_until_ns=use.until_ns,
            drain_cpu_s=use.drain.cpu_s,
            drain_spun_s=use.drain.spun_s,
            window_waited_s=use.window.waited_s,
            rss_bytes=_read_peak_bytes(),
            clock_step_ns=step_ns,
            exhausted=engine.exhausted,
            stopped=engine.stopped,
            reasked=engine.reasked,
            doubled=engine.cases.doubled,
        )
    )


def describe_progress(engine: OpenLoop | ClosedLoop, start_ns: int) -> Progress:
    """Return how far it is."""
    return Progress(
        elapsed_s=(time.monotonic_ns() - start_ns) / SECOND_NS,
        sent=engine.sent,
        ended=engine.ended,
        failed=engine.failed,
        in_flight=engine.in_flight,
        window_begin_ns=engine.window_begin_ns,
    )


def tell(event: Event) -> None:
    """Write one event; a reader that is gone is known by the end of standard input."""
    try:
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return


def _read_peak_bytes() -> int:
    """Return the peak of the resident memory since this program was started: rusage's includes that of who started it."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _compare_clocks() -> int:
    """Nanoseconds of the wall clock ahead of the monotonic one: it changes only when the wall clock is set."""
    return time.time_ns() - time.monotonic_ns()


if __name__ == "__main__":
    main()
