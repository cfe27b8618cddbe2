"""Numbers as they are shown: always with their unit, or a dash with the reason why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial_reports.text import join_lines

DASH = "\N{EN DASH}"
_VALUE_LIMIT = 400
_UNITS = (
    ("_bytes", "B"),
    ("_per_s", "/s"),
    ("_percent", "%"),
    ("_ms", "ms"),
    ("_us", "µs"),
    ("_ns", "ns"),
    ("_s", "s"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A shown number: `text` carries the unit, `value` is what it sorts by; `why` says what a dash means."""

    text: str
    value: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A named figure."""

    label: str
    figure: Figure


def dash(why: str) -> Figure:
    """Return the figure of something that has no number."""
    return Figure(text=DASH, why=why)


def show_seconds(value: float | None, why: str) -> Figure:
    """Show a duration in seconds, to three significant digits or so; what is under a millisecond is only said to be."""
    if value is not None and 0 < value < 0.001:
        return Figure(text="<0.001 s", value=float(value))
    return dash(why) if value is None else _show_number(value, "s")


def show_bytes(value: float | None, why: str) -> Figure:
    """Show a size in KiB, MiB or GiB."""
    if value is None or not math.isfinite(value):
        return dash(why if value is None else _refuse(value))
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(value) >= factor:
            return Figure(text=f"{value / factor:,.1f} {unit}", value=float(value))
    return Figure(text=f"{value:,.0f} B", value=float(value))


def name_limits(limits: Mapping[str, float | None]) -> tuple[Fact, ...]:
    """Show limits, of which None is a finding: there is no limit."""
    unlimited = Figure(text="not limited")
    return tuple(
        fact if limits[name] is not None else Fact(label=fact.label, figure=unlimited)
        for name, fact in zip(limits, name_facts(limits, ""), strict=True)
    )


def name_facts(facts: Mapping[str, Any], why: str) -> tuple[Fact, ...]:
    """Show figures whose unit is the suffix of their name, as `_s`, `_ms`, `_bytes`, `_per_s`; the rest as they are."""
    return tuple(_name_fact(name, value, why) for name, value in facts.items())


def _name_fact(name: str, value: Any, why: str) -> Fact:
    label, unit = _split_unit(name)
    if value is None:
        return Fact(label=label, figure=dash(why))
    if isinstance(value, bool):
        return Fact(label=label, figure=Figure(text="yes" if value else "no", value=float(value)))
    if not isinstance(value, int | float):
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        return Fact(label=label, figure=Figure(text=join_lines(text, _VALUE_LIMIT)))
    figure = show_bytes(value, why) if unit == "B" else _show_number(value, unit)
    return Fact(label=label, figure=figure)


def _split_unit(name: str) -> tuple[str, str]:
    for suffix, unit in _UNITS:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix).replace("_", " "), unit
    return name.replace("_", " "), ""


def _show_number(value: float, unit: str) -> Figure:
    if not math.isfinite(value):
        return dash(_refuse(value))
    return Figure(text=f"{_digits(value)} {unit}".rstrip(), value=float(value))


def _refuse(value: float) -> str:
    return f"the recorded value is no number: {value}"


def _digits(value: float) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    size = abs(value)
    if size < 0.001:
        return f"{value:.3g}"
    decimals = 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:,.{decimals}f}"
