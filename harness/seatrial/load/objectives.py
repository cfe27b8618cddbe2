"""Objectives: what a deployment is asked to keep, from settings or from a sentence.

This module is read whenever settings are, so it imports nothing heavy; `judging` holds results against them.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from seatrial.errors import UsageError
from seatrial.suggestion import suggest

_Rate = Annotated[float, Meta(gt=0, le=1_000_000)]
_Milliseconds = Annotated[float, Meta(gt=0, le=86_400_000)]
_Share = Annotated[float, Meta(ge=0, lt=1)]
_Seconds = Annotated[float, Meta(ge=0, le=3_600)]

QUANTILES: Final = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


class Objectives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `[tool.seatrial.objectives]`: each that is given must be kept.

    A quantile is one of all requests: one that failed, or was not answered before the drain ended, counts as infinitely slow.
    """

    rate: Annotated[_Rate | None, Meta(description="requests a second at which the others must hold, kept up with")] = (
        None
    )
    p50_ms: Annotated[_Milliseconds | None, Meta(description="response time that half of all requests keep")] = None
    p90_ms: Annotated[_Milliseconds | None, Meta(description="response time that 90 % of all requests keep")] = None
    p95_ms: Annotated[_Milliseconds | None, Meta(description="response time that 95 % of all requests keep")] = None
    p99_ms: Annotated[_Milliseconds | None, Meta(description="response time that 99 % of all requests keep")] = None
    p999_ms: Annotated[
        _Milliseconds | None, Meta(description="response time that 99.9 % of all requests keep; needs 10,000 requests")
    ] = None
    error_rate: Annotated[_Share | None, Meta(description="share of requests that may not be answered right")] = None
    arrivals: Annotated[
        str,
        Meta(
            description="law of arrival: poisson, constant, gamma:SHAPE",
            pattern=r"^(poisson|constant|gamma:[0-9]*[.]?[0-9]+)$",
        ),
    ] = "poisson"
    duration_s: Annotated[
        float, Meta(description="longest timed window; it ends sooner when all is known well enough", gt=0, le=86_400)
    ] = 30.0
    warm_up_s: Annotated[
        _Seconds | None, Meta(description="load before the window, in no figure; without it until times are level")
    ] = None

    def __post_init__(self) -> None:
        """Draw nothing, and find out all the same what could not be drawn. Raises ValueError."""
        # Others are right by their pattern, and numpy is not to be read for them.
        if self.arrivals.startswith("gamma:"):
            from seatrial.load.schedules import parse_arrivals

            try:
                parse_arrivals(self.arrivals, 1.0, 1.0)
            except UsageError as error:
                raise ValueError(error.message) from error

    @property
    def bounds_ms(self) -> dict[float, float]:
        """What each quantile that was given is asked to be at most, by its share."""
        bounds = {p: getattr(self, name) for name, p in QUANTILES.items()}
        return {p: bound for p, bound in bounds.items() if bound is not None}

    @property
    def given(self) -> bool:
        """Whether anything is asked at all."""
        return bool(self.bounds_ms) or self.error_rate is not None or self.rate is not None

    def describe(self) -> str:
        """Return them as a sentence that `parse_objectives` reads, the rate apart."""
        parts = [f"p{p * 100:g} <= {bound:g} ms" for p, bound in self.bounds_ms.items()]
        if self.error_rate is not None:
            parts.append(f"errors <= {self.error_rate * 100:g} %")
        return " and ".join(parts)


_EXAMPLE: Final = "give one like 'p99 <= 50 ms and errors < 0.1 %'"
_CLAUSE: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9._ ]*?)\s*(?P<sign>[^\w\s.]+)\s*(?P<number>[\w.+-]*?)\s*(?P<unit>[a-zµ]+|%)?"
)
_NAMES: Final = {
    **{f"p{p * 100:g}": name for name, p in QUANTILES.items()},
    "p999": "p999_ms",
    "errors": "error_rate",
    "error rate": "error_rate",
    "error_rate": "error_rate",
}
# In decimals, so that 0.1 % is 0.001 and not its neighbour.
_MILLISECONDS: Final = {"ms": Decimal(1), "s": Decimal(1000), "us": Decimal("0.001"), "µs": Decimal("0.001")}
_SHARES: Final = {"%": Decimal("0.01"), "": Decimal(1)}


def parse_objectives(text: str) -> Objectives:
    """Return what a sentence asks, e.g. `p99 <= 50 ms and errors < 0.1 %`; `<` is read as `<=`.

    Raises:
        UsageError: a clause that is none, an unknown name, a bound from below, a missing or wrong unit, a name given twice.
    """
    values: dict[str, float] = {}
    for clause in re.split(r"\s+and\s+|,", text.strip().lower()):
        name, value = _parse_clause(clause.strip(), text)
        if name in values:
            raise UsageError(f"the objective {text!r} bounds {name} twice")
        values[name] = value
    try:
        return msgspec.convert(values, Objectives)
    except msgspec.ValidationError as error:
        raise UsageError(f"the objective {text!r} cannot be asked: {error}", fix=_EXAMPLE) from error


def _parse_clause(clause: str, text: str) -> tuple[str, float]:
    found = _CLAUSE.fullmatch(clause)
    if found is None:
        raise UsageError(f"{clause!r} in the objective {text!r} is not a name, <=, a number and a unit", fix=_EXAMPLE)
    name = _NAMES.get(found["name"])
    if name is None:
        raise UsageError(
            f"the objective {text!r} bounds {found['name']!r}, which is not measured.{suggest(found['name'], _NAMES)}"
        )
    if found["sign"] not in {"<", "<=", "≤"}:
        raise UsageError(f"{clause!r} in the objective {text!r} is no bound from above: <= was expected", fix=_EXAMPLE)
    unit = found["unit"] or ""
    units = _SHARES if name == "error_rate" else _MILLISECONDS
    if unit not in units:
        listed = ", ".join(each or "none" for each in units)
        raise UsageError(
            f"{clause!r} in the objective {text!r} has {'the unit ' + unit if unit else 'no unit'}, one of {listed} was expected",
            fix=_EXAMPLE,
        )
    try:
        return name, float(Decimal(found["number"]) * units[unit])
    except InvalidOperation:
        raise UsageError(f"{clause!r} in the objective {text!r} has no number after its sign", fix=_EXAMPLE) from None
