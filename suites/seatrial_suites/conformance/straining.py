"""Clients that are slow, that come all at once, and that go in the middle."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from seatrial.client import AskTimeoutError, Client, connect
from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, Case, ModelDirectory
from seatrial.registry import find_wire
from seatrial.wire import Answer, RefusalKind, find_body
from seatrial_suites.conformance.refusing import say_after
from seatrial_suites.conformance.together import ask_at_once

PROMPT_WAIT_S = 10.0
"""For one question beside slow clients: not how fast it is answered is asked, but whether it is."""
RECOVERY_WAIT_S = 20.0
"""From the end of a strain until questions are answered as before."""
BURST_S = 1.0
CROWD_TIMEOUT_S = 30.0
SLOW_CLIENTS = 8
_BESIDE = 6
_UNREAD_QUESTIONS = 256
_UNREAD_BUFFER_BYTES = 2048
_CONNECT_TIMEOUT_S = 10.0
_LINGER_NOT = struct.pack("ii", 1, 0)
_DELAY_MS = 20.0
_POLL_S = 0.05
_LEAST_TIMEOUT_S = 1.0
"""The last question gets it too: what it says is what is told."""


@dataclass(slots=True)
class SlowClient:
    """A connection that gets a question a byte at a time, from `sent` on, and never its last one."""

    connection: socket.socket
    question: bytes
    sent: int = 0

    def drip(self) -> None:
        """Send one more byte; a server that has had enough may end the connection."""
        if self.sent < len(self.question) - 1:
            with contextlib.suppress(OSError):
                self.connection.sendall(self.question[self.sent : self.sent + 1])
            self.sent += 1


@contextlib.contextmanager
def slow_clients(
    endpoint: Endpoint, host: str, question: bytes, *, at_once: int, drips: bool
) -> Iterator[list[SlowClient]]:
    """Have clients send the first bytes of a question during the block, and then drip, or send no more."""
    with contextlib.ExitStack() as stack:
        clients: list[SlowClient] = []
        for _ in range(SLOW_CLIENTS):
            connection = stack.enter_context(connect(endpoint, _CONNECT_TIMEOUT_S, host=host))
            connection.sendall(question[:at_once])
            clients.append(SlowClient(connection, question if drips else b"", at_once))
        yield clients


@contextlib.contextmanager
def deaf_clients(endpoint: Endpoint, host: str, question: bytes, *, questions: int) -> Iterator[list[SlowClient]]:
    """Have clients ask in one go, with little room for answers, and read none of them during the block."""
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            connection = stack.enter_context(
                connect(endpoint, _CONNECT_TIMEOUT_S, host=host, receive_bytes=_UNREAD_BUFFER_BYTES)
            )
            connection.setblocking(False)
            # What does not go in at once is not sent: the server takes no more.
            with contextlib.suppress(OSError):
                connection.send(question * questions)
        yield []


Strain = Callable[[], contextlib.AbstractContextManager[list[SlowClient]]]


def list_slow(endpoint: Endpoint, host: str, model: ModelDirectory) -> dict[str, Strain]:
    """Return the ways of being slow, by name."""
    question = write_question(endpoint, model, model.cases[0].inputs)
    framing = find_wire(endpoint.wire).framing
    head = len(question) - len(find_body(framing, question))
    unread = 1 if framing == "http-events" else _UNREAD_QUESTIONS
    return {
        "heads that come a byte at a time": lambda: slow_clients(endpoint, host, question, at_once=0, drips=True),
        "bodies that come a byte at a time": lambda: slow_clients(endpoint, host, question, at_once=head, drips=True),
        "bodies that do not come": lambda: slow_clients(endpoint, host, question, at_once=head, drips=False),
        "answers that are not read": lambda: deaf_clients(endpoint, host, question, questions=unread),
    }


def ask_beside(strain: Strain, client: Client, model: ModelDirectory) -> str:
    """Ask some questions while others are slow; return what is wrong with the answers, or an empty string."""
    try:
        with strain() as slow:
            return _ask_among(slow, client, model)
    except OSError as error:
        return f"such a client is not let in: {type(error).__name__}: {error}"


def _ask_among(slow: Sequence[SlowClient], client: Client, model: ModelDirectory) -> str:
    for number in range(_BESIDE):
        for each in slow:
            each.drip()
        wrong = say_after(client, model, timeout_s=PROMPT_WAIT_S)
        if wrong:
            return f"{number} questions beside {SLOW_CLIENTS} such clients were answered, then: {wrong}"
    return ""


@dataclass(slots=True)
class Crowd:
    """What clients got that asked at the same time: counts by kind, and the first sentence of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    said: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, message: str = "") -> None:
        """Count one."""
        self.counts[kind] += 1
        self.said.setdefault(kind, message)

    def describe(self, kind: str) -> str:
        """Return a sentence for a kind that should not be; an empty string when there was none."""
        count = self.counts[kind]
        return f"{count} of {self.counts.total()} questions: {self.said[kind]}" if count else ""


def ask_in_a_crowd(
    endpoint: Endpoint, model: ModelDirectory, cases: Sequence[Case], *, clients: int, for_s: float
) -> Crowd:
    """Have clients connect, then begin at once, and ask one question after another for some seconds, one at least.

    Kinds: right, wrong, overloaded (429, 503 or what the wire has for it), failed (another refusal), nothing.
    """

    def ask_on(number: int, gate: threading.Barrier) -> list[tuple[str, str]]:
        with Client(endpoint, model.manifest) as client:
            # Who is not let in now is counted when it asks.
            with contextlib.suppress(OSError):
                client.open(_CONNECT_TIMEOUT_S)
            gate.wait(CROWD_TIMEOUT_S)
            ends_s = time.monotonic() + for_s
            asked = [_ask_one(client, model, cases[number % len(cases)])]
            while time.monotonic() < ends_s and asked[-1][0] != "nothing":
                asked.append(_ask_one(client, model, cases[(number + len(asked)) % len(cases)]))
            return asked

    crowd = Crowd()
    for asked in ask_at_once(clients, ask_on):
        for kind, message in asked:
            crowd.add(kind, message)
    return crowd


def leave_in_the_middle(endpoint: Endpoint, host: str, model: ModelDirectory, times: int) -> str:
    """Connect and go, again and again: with the answer on its way, with half of the head sent, and with all but a byte.

    Returns why a client could not, or an empty string.
    """
    first = model.cases[0].inputs
    delayed = {name: array * 0 + _DELAY_MS if name == "delay_ms" else array for name, array in first.items()}
    question = write_question(endpoint, model, delayed)
    half = (len(question) - len(find_body(find_wire(endpoint.wire).framing, question))) // 2
    for sent in (question, question[:half], question[:-1]):
        for number in range(times):
            try:
                with connect(endpoint, _CONNECT_TIMEOUT_S, host=host) as connection:
                    if number % 2:
                        # Every second one without a farewell: the server meets a reset.
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                    connection.sendall(sent)
            except OSError as error:
                return f"after {number} such clients one is not let in: {type(error).__name__}: {error}"
    return ""


def wait_right(client: Client, model: ModelDirectory) -> str:
    """Ask until a question is answered right; return what is wrong with the last answer when the time is over."""
    deadline_s = time.monotonic() + RECOVERY_WAIT_S
    while True:
        wrong = say_after(client, model, timeout_s=max(_LEAST_TIMEOUT_S, deadline_s - time.monotonic()))
        if not wrong or time.monotonic() > deadline_s:
            return wrong and f"{RECOVERY_WAIT_S:g} s later {wrong}"
        time.sleep(_POLL_S)


def write_question(endpoint: Endpoint, model: ModelDirectory, inputs: Arrays) -> bytes:
    """Return the first bytes of a question."""
    return find_wire(endpoint.wire).open_exchange(endpoint, model.manifest).start(inputs)


def _ask_one(client: Client, model: ModelDirectory, case: Case) -> tuple[str, str]:
    try:
        outcome = client.ask(case.inputs, timeout_s=CROWD_TIMEOUT_S)
    except (AskTimeoutError, OSError) as error:
        client.close()
        return "nothing", f"no answer: {type(error).__name__}: {error}"
    if isinstance(outcome, Answer):
        found = compare(case.outputs, outcome.outputs, model.manifest)
        return ("right", "") if found.right else ("wrong", found.message)
    kind = "overloaded" if outcome.kind is RefusalKind.OVERLOADED else "failed"
    return kind, f"{outcome.kind.value} (status {outcome.status}): {outcome.message}"
