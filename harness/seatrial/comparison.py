"""Tells whether an answer is the golden one, per element type.

Floats are right when |got - want| <= absolute + relative * |want| (the manifest's tolerance), the rule of `numpy.isclose`
with the golden answer as reference; NaN and infinities only where the golden answer has the same. Integers, booleans and
strings must be equal: strings code point for code point, so another Unicode normal form is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.model import Arrays, Manifest, TensorSpec, Tolerance
from seatrial.tensors import FLOATS, NUMPY_DTYPES

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Outcome of one comparison.

    `worst_absolute` is the largest |got - want| over all float elements, `worst_relative` the largest |got - want| / |want|
    over those whose golden value is not 0; infinite where one is finite and the other not. Both are 0.0 without floats.
    `message` is empty when right, else one sentence for each wrong output with its first wrong element.
    """

    right: bool
    worst_absolute: float
    worst_relative: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    message: str = ""
    absolute: float = 0.0
    relative: float = 0.0


def compare(want: Arrays, got: Arrays, manifest: Manifest) -> Comparison:
    """Compare an answer with the golden one, output by output in the order of the signature."""
    declared = [spec.name for spec in manifest.outputs]
    messages = []
    if set(got) != set(declared):
        messages.append(f"outputs are {sorted(got)}, expected {sorted(declared)}")
    verdicts = [
        _compare_output(spec, want[spec.name], got[spec.name], manifest.tolerance)
        for spec in manifest.outputs
        if spec.name in got
    ]
    messages += [verdict.message for verdict in verdicts if verdict.message]
    return Comparison(
        right=not messages,
        worst_absolute=max((verdict.absolute for verdict in verdicts), default=0.0),
        worst_relative=max((verdict.relative for verdict in verdicts), default=0.0),
        message="; ".join(messages),
    )


def _compare_output(spec: TensorSpec, want: NDArray[Any], got: NDArray[Any], tolerance: Tolerance) -> _Verdict:
    if got.dtype != NUMPY_DTYPES[spec.datatype]:
        return _Verdict(message=f"output {spec.name} has elements of {got.dtype}, expected {spec.datatype}")
    if got.shape != want.shape:
        return _Verdict(message=f"output {spec.name} has shape {list(got.shape)}, expected {list(want.shape)}")
    if spec.datatype in FLOATS:
        return _compare_floats(spec, want, got, tolerance)
    if spec.datatype == "BYTES":
        pairs = zip(want.ravel(), got.ravel(), strict=True)
        wrong = np.array([w != g for w, g in pairs], dtype=np.bool_).reshape(want.shape)
    else:
        wrong = want != got
    return _Verdict(message=_describe(spec, wrong, want, got))


def _compare_floats(spec: TensorSpec, want: NDArray[Any], got: NDArray[Any], tolerance: Tolerance) -> _Verdict:
    w, g = want.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        same = (w == g) | (np.isnan(w) & np.isnan(g))
        error = np.where(same, 0.0, np.abs(g - w))
        error[np.isnan(error)] = np.inf
        allowed = tolerance.absolute + tolerance.relative * np.abs(w)
        wrong = ~same & ((error > allowed) | ~np.isfinite(w) | ~np.isfinite(g))
        relative = np.where(same | (w == 0), 0.0, error / np.abs(w))
        relative[np.isnan(relative)] = np.inf
    message = _describe(spec, wrong, want, got)
    if message:
        first = _first(wrong)
        message += f" (off by {error[first]:.3g}, allowed {allowed[first]:.3g})"
    absolute = float(error.max(initial=0.0))
    return _Verdict(message=message, absolute=absolute, relative=float(relative.max(initial=0.0)))


def _describe(spec: TensorSpec, wrong: NDArray[np.bool_], want: NDArray[Any], got: NDArray[Any]) -> str:
    count = int(np.count_nonzero(wrong))
    if count == 0:
        return ""
    index = _first(wrong)
    return (
        f"output {spec.name}: {count} of {wrong.size} elements wrong, the first at {[int(i) for i in index]}: "
        f"got {_show(got[index])}, expected {_show(want[index])}"
    )


def _first(wrong: NDArray[np.bool_]) -> tuple[Any, ...]:
    return tuple(np.unravel_index(int(np.argmax(wrong)), wrong.shape))


def _show(element: Any) -> str:
    # ascii() shows what repr() leaves invisible: combining marks, joiners, other normal forms.
    text = ascii(element) if isinstance(element, str) else str(element)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"
