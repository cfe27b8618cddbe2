"""Texts at the edges of what a JSON reader can hold: depths, numbers, characters."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.endpoint import Endpoint
from seatrial.model import ModelDirectory
from seatrial_suites.conformance.broken import make_body
from seatrial_suites.conformance.misshapen import name_kind
from seatrial_suites.conformance.placing import join_cases, place

_BOM = b"\xef\xbb\xbf"
DEPTHS = (1000, 5000, 100_000)
_DIGITS = 5000
# What stands where an element of a tensor would. Most are JSON, and none has to be answered.
_OF_A_KIND = {f"a fraction of {_DIGITS} digits": b"0." + b"9" * _DIGITS, "an escaped NUL": b'"\\u0000"'}
"""What is an element of some datatypes."""
_ELEMENTS = {
    **{f"lists {depth} deep": b"[" * depth + b"]" * depth for depth in DEPTHS},
    **{f"objects {depth} deep": b'{"a":' * depth + b"1" + b"}" * depth for depth in DEPTHS},
    f"an integer of {_DIGITS} digits": b"9" * _DIGITS,
    f"a negative integer of {_DIGITS} digits": b"-" + b"9" * _DIGITS,
    "1e400": b"1e400",
    "-1e400": b"-1e400",
    f"an exponent of {_DIGITS} digits": b"1e" + b"9" * _DIGITS,
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "a NUL byte": b'"\x00"',
    "half a pair of surrogates": b'"\\ud800"',
    "the other half": b'"\\udc00"',
    "half a pair of surrogates as a key": b'{"\\ud800":1}',
    "half a pair of surrogates in UTF-8": b'"\xed\xa0\x80"',
}


def list_extreme(endpoint: Endpoint, model: ModelDirectory) -> dict[str, Callable[[], bytes]]:
    """Return what makes a body, by what is in it: the longest are not kept."""
    whole, first = make_body(endpoint, model), model.manifest.inputs[0]

    def around(element: bytes) -> bytes:
        return place(endpoint, model, join_cases(model, 1)).encode_around(element, first.name)

    bodies: dict[str, Callable[[], bytes]] = {
        name: lambda element=element: around(element)  # type: ignore[misc]
        for name, element in _ELEMENTS.items()
    }
    for name, element in _OF_A_KIND.items():
        bodies[f"{name} among {name_kind(first)}"] = lambda element=element: around(element)  # type: ignore[misc]
    bodies |= {
        **{f"nothing but opening brackets, {depth}": lambda depth=depth: b"[" * depth for depth in DEPTHS},  # type: ignore[misc]
        **{f"a body of lists {depth} deep": lambda depth=depth: b"[" * depth + b"]" * depth for depth in DEPTHS},  # type: ignore[misc]
        "a BOM before the body": lambda: _BOM + whole,
        "a NUL after the body": lambda: whole + b"\x00",
        "nothing but NULs": lambda: bytes(len(whole)),
        "a key of half a pair of surrogates": lambda: b'{"\\ud800":1,' + whole[1:],
    }
    return bodies
