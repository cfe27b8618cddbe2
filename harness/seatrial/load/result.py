"""What `seatrial load --json` writes: a stable interface, versioned like run.json (fields are added, never renamed)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

LOAD_SCHEMA: Final = "seatrial.load/1"
TOLD_TO_END: Final = "interrupted"
"""Code of the reason that a run gives which was told to end."""


class Quantiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds by quantile; null where there are too few samples, or where it lies among requests that failed."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p99_9: Annotated[float | None, Meta(description="only with 10,000 samples or more")] = msgspec.field(name="p99.9")
    max: float | None


class Lag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds that sends came after their intended times."""

    p50: float | None
    p99: float | None
    max: float | None


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests a second."""

    requested: Annotated[float | None, Meta(description="as given; null in a closed loop")]
    scheduled: Annotated[float | None, Meta(description="of the schedule that was computed; null in a closed loop")]
    achieved: Annotated[
        float | None,
        Meta(
            description="successful answers a second within the window; null in an invalid closed loop, whose headline it is"
        ),
    ]


class Interval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A confidence interval."""

    low: float
    high: float
    confidence: float


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a run is saturated or invalid."""

    code: Annotated[
        str, Meta(description="stable, e.g. late-sends, missing-sends, client-saturated, littles-law, clock-step")
    ]
    message: Annotated[str, Meta(description="what was found, with figures")]
    fix: str
    signs: Annotated[
        tuple[str, ...],
        Meta(
            description="stable, of client-saturated, what it was found by: lag, stalls, busy, waiting, crowd, steal, "
            "steal-of-a-second; empty for other codes"
        ),
    ] = ()


Status = Literal["met", "missed", "undecided"]


class ObjectiveVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether one objective was kept."""

    name: Annotated[str, Meta(description="its key in the settings, e.g. p99_ms")]
    bound: float
    found: Annotated[
        float | None, Meta(description="in the unit of the bound; null where there is none, or no end of it")
    ]
    status: Status
    sure: Annotated[bool, Meta(description="the whole interval of what was found is on that side of the bound")]
    message: str


class Judgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All objectives together."""

    status: Annotated[
        Status, Meta(description="missed when one is; else undecided when one is, or none was given; else met")
    ]
    valid: Annotated[bool, Meta(description="false: client or machine could not measure; it can be tried again")] = True
    verdicts: tuple[ObjectiveVerdict, ...] = ()
    message: str


class LoadResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One load run."""

    schema: Annotated[str, Meta(description=LOAD_SCHEMA)] = LOAD_SCHEMA
    mode: Literal["open", "closed"]
    arrivals: str = ""
    seed: int = 0
    valid: Annotated[bool, Meta(description="false: client or machine could not measure; figures are null then")]
    saturated: Annotated[bool, Meta(description="the server could not keep up: its latencies stand")]
    reasons: tuple[Reason, ...] = ()
    cut: Annotated[
        str, Meta(description="what of a trace or of steps the window left out, in words; empty when nothing")
    ] = ""
    requests: Annotated[int, Meta(description="of the timed window: scheduled in an open loop, sent in a closed one")]
    errors: Annotated[int, Meta(description="refused, malformed, truncated, unconnected, timed out, unsent")]
    wrong: Annotated[int, Meta(description="answers that are not the golden ones; 0 when they were not compared")]
    censored: Annotated[int, Meta(description="still pending when the drain ended")]
    rate: Rate
    response_time_s: Annotated[
        Quantiles, Meta(description="intended send to last byte, failures above all: the headline")
    ]
    service_time_s: Annotated[Quantiles, Meta(description="send to last byte, failures above all")]
    failure_time_s: Annotated[Quantiles, Meta(description="intended send to the failure; a series of its own")]
    dispatch_lag_s: Lag
    duration_s: float
    intervals: Annotated[dict[str, Interval], Meta(description="of response_time_s, by quantile, seconds")] = {}
    outcomes: Annotated[dict[str, int], Meta(description="requests by outcome")] = {}
    statuses: Annotated[dict[str, int], Meta(description="requests by HTTP status, 0 for none")] = {}
    connections_opened: int = 0
    connect_time_s: Annotated[
        Quantiles | None,
        Meta(description="of connections whose first request is of the window; null when there is none"),
    ] = None
    checked: Annotated[bool, Meta(description="every answer was compared with its golden one")] = False
    mixed_up: Annotated[int, Meta(description="wrong answers that are another case's golden one, warm-up included")] = 0
    examples: Annotated[tuple[str, ...], Meta(description="what is wrong with answers, in words, at most five")] = ()
    warm_up_s: Annotated[float, Meta(description="how long the same load was put on before the window")] = 0.0
    stationary: Annotated[
        bool | None, Meta(description="response times were level before the window; null when nobody looked")
    ] = None
    warm_up: Annotated[str, Meta(description="what was found of the warm-up, in words; empty when nobody looked")] = ""
    window_stationary: Annotated[
        bool | None,
        Meta(
            description="response times were level over the window; null when that cannot be told, or the run is invalid"
        ),
    ] = None
    window_course: Annotated[
        str, Meta(description="what was found of that, in words; empty when nobody looked, or the run is invalid")
    ] = ""
    ended: Annotated[
        str,
        Meta(
            description="why the window ended, where it might end early: narrow: … or decided: … when it did, limit: … "
            "when it had its whole length; empty where nothing could end it"
        ),
    ] = ""
    judgement: Annotated[
        Judgement | None, Meta(description="whether objectives were kept; null when none was given")
    ] = None
    client: Annotated[
        dict[str, float],
        Meta(
            description="what the client used: cpu_s, spun_s, rss_bytes, …; what the hypervisor took of all CPU time over the "
            "window and its drain (steal_share), and of the worst second of them (steal_worst_share)"
        ),
    ] = {}
    started_at: Annotated[str, Meta(description="UTC, ISO 8601")] = ""


def says_interrupted(reasons: Iterable[Reason]) -> bool:
    """Whether a run was told to end before its time, by Ctrl-C or a signal."""
    return any(reason.code == TOLD_TO_END for reason in reasons)


def pass_interrupt_on(reasons: Iterable[Reason]) -> None:
    """Raise the KeyboardInterrupt that a run took for an order to end: it has a result, and whoever made it is to end too."""
    if said := [reason.message for reason in reasons if reason.code == TOLD_TO_END]:
        raise KeyboardInterrupt(said[0])
