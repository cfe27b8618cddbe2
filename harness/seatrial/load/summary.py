"""A load result as text."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.load.capacity import Capacity, Rung
from seatrial.load.quantiles import FEWEST
from seatrial.load.result import LoadResult, Quantiles

_UNCOMPARED = "answers were not compared with anything"
_HEADING = ("p50", "p90", "p95", "p99", "p99.9", "max")


def render_load(result: LoadResult, url: str) -> str:
    """Return the table of times, counts, rates and the verdict with its reasons; ends with a newline."""
    return "\n".join(_list_lines(result, url)) + "\n"


def render_capacity(capacity: Capacity, url: str) -> str:
    """Return every run of a search and what it found; ends with a newline."""
    lines = [f"{url}: the highest rate that keeps {capacity.objectives}", ""]
    for rung in capacity.rungs:
        again = ", once more" if rung.confirms else f", repeat {rung.repeat}" if rung.repeat else ""
        lines.append(f"{rung.rate:>10g}/s  {rung.status}{again}: {rung.judgement.message}")
        if rung.warm_up:
            lines.append(f"{'':<14}{describe_warm_up(rung)}")
    return "\n".join([*lines, "", f"{capacity.ended}: {capacity.message}"]) + "\n"


def describe_warm_up(run: LoadResult | Rung) -> str:
    """Return how long the warm-up of a run was and what was found of it; that was looked for."""
    return f"warm-up of {run.warm_up_s:.1f} s: {run.warm_up}"


def list_among_failures(result: LoadResult) -> list[str]:
    """Return which quantiles of the response time have no value because they lie among requests that failed."""
    count, failed = _count_failed(result)
    if not result.valid or not failed:
        return []
    times = result.response_time_s
    values = {0.5: times.p50, 0.9: times.p90, 0.95: times.p95, 0.99: times.p99, 0.999: times.p99_9}
    lost = [f"p{p * 100:g}" for p, value in values.items() if value is None and count >= FEWEST[p]]
    return [*lost, *(["max"] if times.max is None else [])]


def _count_failed(result: LoadResult) -> tuple[int, int]:
    """Return how many requests of the window have a rank, and how many of these were not answered right."""
    count = result.requests - result.outcomes.get("unsent", 0)
    return count, count - result.outcomes.get("answered", 0)


def list_remarks(result: LoadResult) -> Iterator[str]:
    """Return what a reader of the figures should know that makes them no less valid."""
    if among := list_among_failures(result):
        count, failed = _count_failed(result)
        yield (
            f"{failed} of {count} requests failed ({failed / count:.2%}), which count as slower than any answer: "
            f"{', '.join(among)} {'are' if among[1:] else 'is'} among them and so {'have' if among[1:] else 'has'} no value"
        )
    if result.cut:
        yield result.cut
    if result.window_stationary is False:
        yield f"response times were not level over the window: {result.window_course}"
    doubled = result.client.get("doubled", 0.0)
    if result.checked and doubled:
        yield (
            f"{doubled:.0f} requests, warm-up included, asked what another one in flight asked as well: had their answers been "
            "exchanged, it would not show"
        )


def _list_lines(result: LoadResult, url: str) -> Iterator[str]:
    yield from _list_phases(result, url)
    yield ""
    yield f"{'milliseconds':<16}" + "".join(f"{each:>10}" for each in _HEADING)
    yield _render_row("response time", result.response_time_s)
    yield _render_row("service time", result.service_time_s)
    if result.failure_time_s.max is not None:
        yield _render_row("failures", result.failure_time_s)
    if result.connect_time_s is not None:
        yield _render_row("connecting", result.connect_time_s)
    for name, interval in result.intervals.items():
        low_ms, high_ms = interval.low * 1e3, interval.high * 1e3
        yield f"response time {name} is within {low_ms:.2f} and {high_ms:.2f} ms ({interval.confidence * 100:.4g} % confidence)"
    yield ""
    yield from _list_answers(result)
    yield _render_rate(result)
    if result.mode == "open" and result.dispatch_lag_s.p50 is not None:
        lag = {"p50": result.dispatch_lag_s.p50, "p99": result.dispatch_lag_s.p99, "max": result.dispatch_lag_s.max}
        yield "sent late by " + ", ".join(f"{name} {s * 1e3:.3f} ms" for name, s in lag.items() if s is not None)
    yield from (f"remark: {remark}" for remark in list_remarks(result))
    if result.judgement is not None:
        for verdict in result.judgement.verdicts:
            yield f"objective {verdict.name} {verdict.status}: {verdict.message}"
    yield _render_verdict(result)
    for reason in result.reasons:
        yield f"  {reason.code}: {reason.message}"
        yield f"    Fix: {reason.fix}"


def _list_phases(result: LoadResult, url: str) -> Iterator[str]:
    yield f"{url}: {result.mode} loop, {result.arrivals}, {result.duration_s:.4g} s"
    if result.warm_up:
        yield describe_warm_up(result)
    if result.ended:
        yield f"ended {'' if result.ended.startswith('limit:') else 'early, '}{result.ended}"


def _list_answers(result: LoadResult) -> Iterator[str]:
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in result.outcomes.items())
    compared = "every answer was compared with the model's own"
    yield f"{result.requests} requests: {counts or 'none'}; {compared if result.checked else _UNCOMPARED}"
    if result.mixed_up:
        yield f"{result.mixed_up} answers are another request's"
    for example in result.examples:
        yield f"  {example}"


def _render_row(name: str, quantiles: Quantiles) -> str:
    values = (quantiles.p50, quantiles.p90, quantiles.p95, quantiles.p99, quantiles.p99_9, quantiles.max)
    return f"{name:<16}" + "".join(f"{'-' if value is None else f'{value * 1e3:.2f}':>10}" for value in values)


def _render_rate(result: LoadResult) -> str:
    rate = result.rate
    parts = ["-" if rate.achieved is None else f"{rate.achieved:.1f}/s answered right"]
    if rate.scheduled is not None:
        parts.insert(0, f"{rate.scheduled:.1f}/s scheduled")
    if rate.requested is not None:
        parts.insert(0, f"{rate.requested:g}/s requested")
    return f"rate: {', '.join(parts)}; {result.connections_opened} connections opened"


def _render_verdict(result: LoadResult) -> str:
    if not result.valid:
        absent = "no times" if result.mode == "open" else "neither times nor a rate"
        return f"INVALID: the client or the machine could not measure, so there are {absent}"
    return "valid, SATURATED: the times are those of an overload" if result.saturated else "valid"
