"""Golden cases as the bytes that ask them, and the bytes of an answer as right or wrong: both by the endpoint's own wire.

Bodies are built once, before a run, and answers are judged after it: neither costs time while it is measured.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import msgspec

from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.errors import HarnessError
from seatrial.load.address import resolve
from seatrial.load.plan import Destination, DistinctAnswer, FollowUp, Plan
from seatrial.load.samples import Outcome
from seatrial.model import Arrays, Case, Manifest
from seatrial.registry import find_wire
from seatrial.wire import Answer, Exchange, Refusal, RefusalKind, Send, Step, Wire

PLACEHOLDER: Final = b"seatrial0event0id"
MOST_CASES: Final = 200
"""Cases that are looked at: each is compared with every other."""
_POSTED: Final = b'{"event_id": "%s"}' % PLACEHOLDER
_LENGTH: Final = struct.Struct("!I")
_NOT_ANSWERED: Final = frozenset({RefusalKind.REJECTED, RefusalKind.FAILED, RefusalKind.OVERLOADED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What an answer is, once it was read."""

    outcome: Outcome
    """`ANSWERED` when it is the golden one, `WRONG`, or `REFUSED` when it says in the wire's own way that it is no answer."""
    message: str = ""
    mixed_up: bool = False
    """Wrong, and the golden answer of another case."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What is asked under load.

    Args:
        endpoint: where and how.
        manifest: the model's signature and tolerance.
        cases: the golden cases; see `pick_cases`.
        reconnect: each request on a connection of its own.
        allowed: hosts besides this machine that load may go to.
    """

    endpoint: Endpoint
    manifest: Manifest
    cases: tuple[Case, ...]
    reconnect: bool = False
    allowed: tuple[str, ...] = ()

    @cached_property
    def wire(self) -> Wire:
        """The wire of the endpoint."""
        return find_wire(self.endpoint.wire)

    @property
    def expires(self) -> bool:
        """Whether requests are signed, so that they are of use for minutes only."""
        return self.endpoint.credentials is not None

    def fill(self, plan: Plan) -> Plan:
        """Return the plan with these questions, asked in turn.

        Raises:
            UsageError: the endpoint is not this machine, and not allowed.
        """
        return msgspec.structs.replace(
            plan,
            destination=self._find_destination(),
            requests=tuple(self.write_request(case) for case in range(len(self.cases))),
            cases=tuple(range(len(self.cases))),
            framing=self.wire.framing,
            follow_up=self._write_follow_up(),
            reconnect=self.reconnect,
            keeps_answers=True,
        )

    def write_request(self, case: int) -> bytes:
        """Return the whole request for a case, signed anew where the endpoint wants signatures."""
        request = self._open().start(self.cases[case].inputs)
        return _close(request) if self.reconnect and self.wire.framing != "frame" else request

    def judge(self, answer: DistinctAnswer) -> Judgement:
        """Say what an answer is. Its body must have been kept."""
        step = self._read(answer)
        if isinstance(step, Refusal):
            outcome = Outcome.REFUSED if step.kind in _NOT_ANSWERED else Outcome.WRONG
            return Judgement(outcome=outcome, message=f"{step.kind.value}: {step.message}")
        if not isinstance(step, Answer):
            return Judgement(outcome=Outcome.WRONG, message="malformed: the wire wants more than there is")
        found = compare(self.cases[answer.case].outputs, step.outputs, self.manifest)
        if found.right:
            return Judgement(outcome=Outcome.ANSWERED)
        other = self._find_case(step.outputs)
        whose = f"; it is the answer of case {self.cases[other].name}" if other is not None else ""
        message = f"case {self.cases[answer.case].name}: {found.message}{whose}"
        return Judgement(outcome=Outcome.WRONG, message=message, mixed_up=other is not None)

    def _find_case(self, outputs: Arrays) -> int | None:
        for index, case in enumerate(self.cases):
            if compare(case.outputs, outputs, self.manifest).right:
                return index
        return None

    def _find_destination(self) -> Destination:
        parts = urlsplit(self.endpoint.address)
        if parts.scheme == "unix":
            return Destination(unix_path=parts.path)
        return resolve(self.endpoint.address, allowed=self.allowed, ca_file=self.endpoint.ca_file).destination

    def _write_follow_up(self) -> FollowUp | None:
        if self.wire.framing != "http-events":
            return None
        exchange = self._open()
        exchange.start(self.cases[0].inputs)
        step = exchange.receive(_respond(200, "application/json", _POSTED))
        if not isinstance(step, Send) or PLACEHOLDER not in step.data:
            raise HarnessError(
                f"the wire {self.wire.name!r} says http-events, and asks for no events of an event_id: {step!r}"
            )
        request = _close(step.data) if self.reconnect else step.data
        return FollowUp(request=request, placeholder=PLACEHOLDER)

    def _read(self, answer: DistinctAnswer) -> Step:
        """Let the wire read an answer as if it came from a socket."""
        exchange = self._open()
        exchange.start(self.cases[answer.case].inputs)
        body = answer.body or b""
        if self.wire.framing == "frame":
            return exchange.receive(_LENGTH.pack(len(body)) + body)
        if self.wire.framing == "http-events":
            exchange.receive(_respond(200, "application/json", _POSTED))
        return exchange.receive(_respond(answer.status, answer.content_type, body))

    def _open(self) -> Exchange:
        return self.wire.open_exchange(self.endpoint, self.manifest)


def pick_cases(cases: Sequence[Case], manifest: Manifest) -> tuple[Case, ...]:
    """Return the cases that can be told apart by their answers: of those that are alike the first, of the first 200 at most.

    An answer that was meant for another request shows only where the two differ.
    """
    picked: list[Case] = []
    for case in cases[:MOST_CASES]:
        if not any(compare(each.outputs, case.outputs, manifest).right for each in picked):
            picked.append(case)
    return tuple(picked)


def _respond(status: int, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} x\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


def _close(request: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\nConnection: close\r\n\r\n" + body
