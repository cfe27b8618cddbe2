"""A process in which Locust's own HTTP users ask: `python -m seatrial.load.swarm.http_users DIRECTORY fast|plain`.

Standard input: a plan, one line of JSON. Standard output: `Ready`, `Progress` each second, then `Done`. Samples go into the
directory, in the format of a pacer's: a request is meant to be sent when Locust's clock for it begins; its first byte is its
last, since Locust knows no other.
"""

from __future__ import annotations

# Locust patches what is imported after it.
from locust import FastHttpUser, HttpUser, User, constant, task  # isort: skip
import os
import resource
import signal
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gevent
import msgspec
import numpy as np
from gevent.event import Event as Flag
from locust import __version__ as version
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.env import Environment
from locust.exception import StopUser
from requests.exceptions import HTTPError

from seatrial.load.arrivals import SECOND_NS
from seatrial.load.descriptors import EXHAUSTED, OTHER_DESCRIPTORS, allow_descriptors
from seatrial.load.own_use import OwnUse
from seatrial.load.plan import SAMPLES_FILE, TOLD, Done, Event, Plan, Progress, Ready
from seatrial.load.samples import NEVER, NO_ANSWER, NO_CONNECTION, SAMPLE, Outcome
from seatrial.load.swarm.ending import end_with_input

_TICK_S: Final = 0.1
_PROGRESS_S: Final = 1.0
_REFUSED_WORDS: Final = ("ConnectionRefusedError", "NewConnectionError")
_MALFORMED_WORDS: Final = ("ParseError", "BadStatusLine", "InvalidHeader", "DecodingError")
_OURS: Final = frozenset({"host", "content-length"})


class Book:
    """Records what the users do, and keeps the gauges that a pacer keeps."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        # Users may leave no descriptor for it.
        self._file = (directory / SAMPLES_FILE).open("wb")
        self.asked = self.failed = 0
        self.loop_lag_ns: list[int] = []
        self.in_flight_area_ns = 0
        self.exhausted = ""
        self.use = OwnUse()
        self.use.begin()
        self.start_ns = self._changed_ns = time.monotonic_ns()
        self.begin_ns = self.start_ns + int(plan.warm_up_s * SECOND_NS)
        self.end_ns = self.begin_ns + int(plan.duration_s * SECOND_NS)
        self.stopped = ""
        self._over = Flag()
        self._pending: dict[int, tuple[int, int]] = {}
        self._rows: list[tuple[int, ...]] = []

    def is_over(self) -> bool:
        """Whether nothing more is asked."""
        return bool(self.stopped) or time.monotonic_ns() >= self.end_ns

    def stop(self) -> None:
        """Have nothing more asked."""
        self.stopped = TOLD
        self._over.set()

    def wait_over(self) -> None:
        """Return at the end of the window, or when the run is stopped before."""
        self._over.wait(max(0.0, (self.end_ns - time.monotonic_ns()) / SECOND_NS))
        self.use.end_window()

    def begin(self) -> tuple[int, int]:
        """Return the number and the case of the next request."""
        number, self.asked = self.asked, self.asked + 1
        case = self.plan.cases[number % len(self.plan.cases)]
        self._count_area()
        self._pending[number] = (time.monotonic_ns(), case)
        return number, case

    def note(
        self,
        *,
        context: dict[str, int],
        response_time: float,
        response_length: int,
        response: Any,
        exception: BaseException | None,
        **_: Any,
    ) -> None:
        """Take what Locust's event `request` tells; milliseconds, bytes."""
        last_ns = time.monotonic_ns()
        self._count_area()
        status = getattr(response, "status_code", 0) or 0
        sent_ns = last_ns - int(response_time * 1e6)
        self.exhausted = self.exhausted or find_exhausted(exception)
        outcome = name_outcome(status, exception)
        case = self._pending.pop(context["number"])[1]
        self._add(sent_ns, last_ns, response_length, case, status, outcome)

    def censor(self) -> None:
        """Record what is still pending."""
        self._count_area()
        last_ns = time.monotonic_ns()
        for sent_ns, case in self._pending.values():
            self._add(sent_ns, last_ns, 0, case, 0, Outcome.CENSORED)

    def write(self) -> None:
        """Write the records."""
        with self._file:
            self._file.write(np.array(self._rows, SAMPLE).tobytes())

    def feel_lag(self) -> None:
        """Measure how late a greenlet is that sleeps, until it is killed."""
        while True:
            began_ns = time.monotonic_ns()
            if not self.use.is_in_window and began_ns >= self.begin_ns:
                self.use.begin_window()
            gevent.sleep(_TICK_S)
            if self.begin_ns <= began_ns and time.monotonic_ns() < self.end_ns:
                self.loop_lag_ns.append(max(0, time.monotonic_ns() - began_ns - int(_TICK_S * SECOND_NS)))

    def report(self) -> None:
        """Tell each second how far it is, until it is killed."""
        while True:
            gevent.sleep(_PROGRESS_S)
            tell(
                Progress(
                    elapsed_s=(time.monotonic_ns() - self.start_ns) / SECOND_NS,
                    sent=self.asked,
                    ended=len(self._rows),
                    failed=self.failed,
                    in_flight=len(self._pending),
                )
            )

    def _add(self, sent_ns: int, last_ns: int, size_bytes: int, case: int, status: int, outcome: Outcome) -> None:
        times = (sent_ns, sent_ns, last_ns, last_ns, NEVER)
        phase = int(sent_ns < self.begin_ns)
        self.failed += outcome is not Outcome.ANSWERED
        self._rows.append((*times, size_bytes, case, NO_ANSWER, NO_CONNECTION, status, outcome, phase))

    def _count_area(self) -> None:
        now_ns = time.monotonic_ns()
        stretch_ns = min(now_ns, self.end_ns) - max(self._changed_ns, self.begin_ns)
        if stretch_ns > 0:
            self.in_flight_area_ns += stretch_ns * len(self._pending)
        self._changed_ns = now_ns


def name_outcome(status: int, error: BaseException | None) -> Outcome:
    """Return what became of a request, by its status and by the error that one of Locust's clients had with it."""
    if error is None or isinstance(error, LocustBadStatusCode | HTTPError):
        return Outcome.ANSWERED if 0 < status < 400 else Outcome.REFUSED
    if find_exhausted(error):
        return Outcome.UNCONNECTED
    said = " ".join(f"{type(each).__name__} {each!r}" for each in _list_causes(error))
    if "Timeout" in said or "timed out" in said:
        return Outcome.TIMED_OUT
    if any(word in said for word in _REFUSED_WORDS):
        return Outcome.UNCONNECTED
    cut = "Incomplete response" in said or not any(word in said for word in _MALFORMED_WORDS)
    return Outcome.TRUNCATED if cut else Outcome.MALFORMED


def find_exhausted(error: BaseException | None) -> str:
    """Return what the client had run out of, when that is why; else nothing."""
    causes = (each for each in _list_causes(error) if isinstance(each, OSError))
    return next((EXHAUSTED[each.errno] for each in causes if each.errno in EXHAUSTED), "")


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def make_user(plan: Plan, book: Book, kind: str) -> type[User]:
    """Return the user of a kind, who asks what the plan asks until its window is over."""
    requests = [read_request(request) for request in plan.requests]
    where, base = plan.destination, FastHttpUser if kind == "fast" else HttpUser
    how: dict[str, Any] = {"allow_redirects": False}
    if kind != "fast":
        how |= {"timeout": plan.timeout_s, "verify": where.ca_file or True}

    def ask(user: Any) -> None:
        if book.is_over():
            raise StopUser
        number, case = book.begin()
        method, path, headers, body = requests[case]
        user.client.request(method, path, data=body, headers=headers, context={"number": number}, **how)

    host = where.server_name if where.tls else where.host
    host = f"[{host}]" if ":" in host else host
    return type(
        "Asking",
        (base,),
        {
            "abstract": False,
            "host": f"{'https' if where.tls else 'http'}://{host}:{where.port}",
            "wait_time": constant(plan.think_s),
            "network_timeout": plan.timeout_s,
            "connection_timeout": plan.timeout_s,
            "insecure": False,
            "ssl_context_factory": staticmethod(lambda: ssl.create_default_context(cafile=where.ca_file or None)),
            "ask": task(ask),
        },
    )


def read_request(request: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Return method, path, headers and body of a whole request, without what the client says itself."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    # Else Locust would ask for compression, and the server do other work than for a pacer.
    headers.setdefault("Accept-Encoding", "identity")
    return method, path, {name: value for name, value in headers.items() if name.lower() not in _OURS}, body


def ask_all(plan: Plan, directory: Path, kind: str) -> Done:
    """Let the users ask until the window is over, and what is pending be answered, for as long as the plan allows.

    At SIGINT nothing more is asked or waited for.
    """
    book = Book(plan, directory)
    gevent.signal_handler(signal.SIGINT, book.stop)
    environment = Environment(user_classes=[make_user(plan, book, kind)])
    environment.events.request.add_listener(book.note)
    runner = environment.create_local_runner()
    asides = [gevent.spawn(book.feel_lag), gevent.spawn(book.report)]
    clocks_ns = time.time_ns() - time.monotonic_ns()
    runner.start(plan.users, spawn_rate=plan.users)
    book.wait_over()
    runner.user_greenlets.join(timeout=0.0 if book.stopped else plan.drain_s)
    gevent.killall(asides)
    use = book.use
    use.end()
    book.censor()
    runner.quit()
    book.write()
    return Done(
        start_ns=book.start_ns,
        window_begin_ns=book.start_ns + int(plan.warm_up_s * SECOND_NS),
        window_end_ns=book.end_ns,
        end_ns=time.monotonic_ns(),
        # Not what was recorded: that is what it is held against.
        scheduled=book.asked,
        sent=book.asked,
        connections_opened=0,
        in_flight_area_ns=book.in_flight_area_ns,
        loop_lag_ns=tuple(book.loop_lag_ns),
        cpu_s=use.whole.cpu_s,
        spun_s=0.0,
        measured_from_ns=use.from_ns,
        warm_up_cpu_s=use.warm_up.cpu_s,
        measured_until_ns=use.until_ns,
        drain_cpu_s=use.drain.cpu_s,
        window_waited_s=use.window.waited_s,
        rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        clock_step_ns=time.time_ns() - time.monotonic_ns() - clocks_ns,
        exhausted=book.exhausted,
        stopped=book.stopped,
    )


def tell(event: Event) -> None:
    """Write one event."""
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    read = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    allow_descriptors(read.users + OTHER_DESCRIPTORS)
    gevent.spawn(end_with_input)
    tell(Ready(pid=os.getpid(), connections=0, uvloop=f"locust {version}"))
    tell(ask_all(read, Path(sys.argv[1]), sys.argv[2]))
