"""What master and workers tell one another, beside Locust's own messages: bytes of msgpack, each under a name of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from seatrial.endpoint import Endpoint
from seatrial.errors import ExitCode, UsageError
from seatrial.load.arrivals import Arrivals, Constant, Gamma, Poisson, Ramp, Steps, Trace
from seatrial.load.plan import Plan, Progress
from seatrial.load.questions import Questions
from seatrial.load.result import LoadResult
from seatrial.load.schedules import describe_cut
from seatrial.load.stationarity import WarmUpLimits, WarmUpVerdict
from seatrial.load.tally import TallyData
from seatrial.model import Manifest, decode_cases, encode_cases

ORDER: Final = "seatrial-order"
READY: Final = "seatrial-ready"
GO: Final = "seatrial-go"
WINDOW: Final = "seatrial-window"
STOP: Final = "seatrial-stop"
RENEW: Final = "seatrial-renew"
END: Final = "seatrial-end"
REPORT: Final = "seatrial"
"""Key of a `Report` among the data that a worker of Locust reports each second."""

Content = TypeVar("Content", bound=msgspec.Struct)

_LAWS: Final[dict[str, type[Arrivals]]] = {law.__name__: law for law in (Constant, Poisson, Gamma, Steps, Ramp, Trace)}


class Law(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A law of arrival as it goes over a wire."""

    name: str
    parameters: Annotated[bytes, Meta(description="msgpack of the law's fields")]


class Golden(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Golden cases as they go over a wire: what answers are judged by, without what would sign or open anything."""

    address: str
    wire: str
    name: str
    manifest: Manifest
    cases: Annotated[bytes, Meta(description="as in a model's cases.json")]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be sent, of all workers or of one."""

    plan: Plan
    law: Annotated[Law | None, Meta(description="None in a closed loop")] = None
    seed: int = 1
    requested: Annotated[float | None, Meta(description="requests a second that were asked for, of all workers")] = None
    probe: Annotated[bool, Meta(description="ask once before, and open as many connections as that tells")] = False
    warm_up: Annotated[
        WarmUpLimits | None, Meta(description="the warm-up lasts until times are level; None: as long as the plan says")
    ] = None
    golden: Annotated[Golden | None, Meta(description="None: answers are not compared")] = None
    certificates: Annotated[
        bytes, Meta(description="of the plan's ca_file, which a worker elsewhere does not have")
    ] = b""
    started_at: Annotated[str, Meta(description="UTC, ISO 8601, by the master's clock")] = ""
    directory: Annotated[str, Meta(description="where workers of this machine keep their samples; empty: nowhere")] = ""
    worker: int = 0
    workers: int = 1

    @property
    def whole_s(self) -> float:
        """How long it takes at most, from the first send on: answers that all differ are judged after the run, a while."""
        plan = self.plan
        sending_s = plan.warm_up_s + plan.duration_s
        return sending_s + plan.drain_s + plan.timeout_s + (0.0 if self.golden is None else 2 * sending_s)

    @property
    def arrivals(self) -> str:
        """The law in words."""
        if self.law is None:
            return f"{self.plan.users} users, think time {self.plan.think_s:g} s"
        return decode_law(self.law).describe()

    @property
    def cut(self) -> str:
        """What of the law the window leaves out, in words; empty when nothing."""
        return "" if self.law is None else describe_cut(decode_law(self.law), self.plan.duration_s)


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's pacer has its connections open and waits."""

    worker: int
    clock: Annotated[str, Meta(description="which CLOCK_MONOTONIC it reads; equal where it is the same one")]


class Go(msgspec.Struct, frozen=True, kw_only=True):
    """All are ready: begin."""

    start_ns: Annotated[int | None, Meta(description="CLOCK_MONOTONIC; None for a worker with another clock")]
    lead_ns: Annotated[int, Meta(description="for a worker with another clock: from when the word reaches it")]
    wall_ns: Annotated[
        int, Meta(description="CLOCK_REALTIME of the master, so long before the start: seconds are counted by it")
    ]


class BeginWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The warm-up is over on all workers: begin the timed window."""

    begin_ns: Annotated[int | None, Meta(description="CLOCK_MONOTONIC; None for a worker with another clock")]
    lead_ns: Annotated[int, Meta(description="for a worker with another clock: from when the word reaches it")]


class Renew(msgspec.Struct, frozen=True, kw_only=True):
    """Other bytes for a case, as the signature of the old ones runs out."""

    case: int
    request: bytes


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came at a worker since its last report."""

    worker: int
    tally: TallyData
    progress: Progress | None
    warm_up: Annotated[WarmUpVerdict | None, Meta(description="the last word on its warm-up")] = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no result."""

    message: str
    fix: str = ""
    exit_code: int = int(ExitCode.CHECK_FAILED)


class End(msgspec.Struct, frozen=True, kw_only=True):
    """A worker is done: it has a result and the tally of all its samples, or a failure."""

    worker: int
    result: LoadResult | None = None
    tally: TallyData | None = None
    slices: Annotated[bytes, Meta(description="of its response times, encoded")] = b""
    failure: Failure | None = None


def pack(content: msgspec.Struct) -> dict[str, Any]:
    """Return content as the data of a message of Locust's."""
    return {"content": msgspec.msgpack.encode(content)}


def unpack(data: Mapping[str, Any], kind: type[Content]) -> Content:
    """Return the content of a message's data."""
    return msgspec.msgpack.decode(data["content"], type=kind)


def encode_golden(questions: Questions) -> Golden:
    """Return golden cases for a wire; keys and headers stay where they are."""
    endpoint = questions.endpoint
    return Golden(
        address=endpoint.address,
        wire=endpoint.wire,
        name=endpoint.name,
        manifest=questions.manifest,
        cases=encode_cases(list(questions.cases), questions.manifest),
    )


def decode_golden(golden: Golden) -> Questions:
    """Return what answers are judged by.

    Raises:
        UsageError: this machine has no such wire.
        ValueError: the cases are none.
    """
    endpoint = Endpoint(address=golden.address, wire=golden.wire, path="remote", name=golden.name)
    cases = decode_cases(golden.cases, golden.manifest)
    questions = Questions(endpoint=endpoint, manifest=golden.manifest, cases=cases)
    # Found now: a worker on another machine may lack it.
    assert questions.wire.name == golden.wire
    return questions


def read_certificates(plan: Plan) -> bytes:
    """Return what is in the plan's file of certificates. Raises UsageError when it cannot be read."""
    name = plan.destination.ca_file
    try:
        return Path(name).read_bytes() if name else b""
    except OSError as error:
        raise UsageError(f"the certificates {name!r} cannot be read: {error}") from error


def write_certificates(order: Order, directory: Path) -> Plan:
    """Return the order's plan with its certificates in a file of this machine."""
    if not order.certificates:
        return order.plan
    path = directory / "certificates.pem"
    path.write_bytes(order.certificates)
    destination = msgspec.structs.replace(order.plan.destination, ca_file=str(path))
    return msgspec.structs.replace(order.plan, destination=destination)


def encode_law(law: Arrivals) -> Law:
    """Return a law for a wire."""
    return Law(name=type(law).__name__, parameters=msgspec.msgpack.encode(law))


def decode_law(law: Law) -> Arrivals:
    """Return the law that was encoded."""
    decoded: Arrivals = msgspec.msgpack.decode(law.parameters, type=_LAWS[law.name])
    return decoded


def split_order(order: Order, workers: int) -> tuple[Order, ...]:
    """Return the share of each worker: of the users, of the connections, of the cases, and of the schedule by its number.

    Where answers are compared no two workers have a case in common, so that none is in flight at two of them. Else request k of
    worker i asks the case that request i + k * workers of a single stream would ask.

    Raises:
        UsageError: there are fewer users than workers, or fewer cases that can be told apart.
    """
    plan, is_compared = order.plan, order.golden is not None
    if is_compared and len(plan.cases) < workers:
        raise UsageError(
            f"{workers} workers cannot share the questions, {len(plan.cases)} in all: two would ask the same at a time, and had "
            "the answers been exchanged it would not show",
            fix="give fewer workers, or a model with more golden cases that differ in their answers",
        )
    if plan.mode == "closed" and plan.users < workers:
        raise UsageError(
            f"{plan.users} users cannot be shared by {workers} workers", fix="give more users, or fewer workers"
        )
    return tuple(
        msgspec.structs.replace(
            order, plan=_share_plan(plan, worker, workers, is_compared=is_compared), worker=worker, workers=workers
        )
        for worker in range(workers)
    )


def _share_plan(plan: Plan, worker: int, workers: int, *, is_compared: bool) -> Plan:
    cases = plan.cases
    turns = len(cases) // math.gcd(len(cases), workers)
    dealt = tuple(cases[(worker + turn * workers) % len(cases)] for turn in range(turns))
    return msgspec.structs.replace(
        plan,
        users=plan.users // workers + (worker < plan.users % workers),
        connections=math.ceil(plan.connections / workers),
        sharers=workers,
        cases=cases[worker::workers] if is_compared else dealt,
    )
