"""What makes text and numbers fit to be shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial_reports.quantities import DASH, name_facts, show_bytes, show_seconds
from seatrial_reports.text import clean_text, join_lines, shorten


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended", "0;never ended"),
        ("10%\r20%\r\n30%", "10%\n20%\n30%"),
        ("a\x00b\x7fc\x85d", "a␀b␡c\ufffdd"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Größe 模型 🚢", "Größe 模型 🚢"),
    ],
)
def test_clean_text_keeps_what_can_be_read(raw, shown):
    assert clean_text(raw) == shown


@given(st.text(st.characters(categories=["L", "C", "P", "Z"])))
def test_clean_text_is_stable_and_can_be_encoded(text):
    cleaned = clean_text(text)
    cleaned.encode()
    assert clean_text(cleaned) == cleaned


def test_shorten_keeps_both_ends_and_says_how_much_is_gone():
    shown = shorten("a" * 600 + "b" * 600, 300)
    assert shown == "a" * 200 + " […900 characters left out, see run.json…] " + "b" * 100


def test_join_lines_gives_one_line():
    assert join_lines(" one\n\n two\t three ", 100) == "one two three"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (3e-06, "<0.001 s"),
        (0.0421, "0.0421 s"),
        (0.5, "0.50 s"),
        (12.345, "12.3 s"),
        (1234.5, "1,234 s"),
    ],
)
def test_seconds_have_three_digits_and_their_unit(seconds, shown):
    assert show_seconds(seconds, "why").text == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1,023 B"), (2048, "2.0 KiB"), (3 * 2**26, "192.0 MiB"), (8 * 2**30, "8.0 GiB")],
)
def test_bytes_have_a_unit_that_fits(size, shown):
    assert show_bytes(size, "why").text == shown


def test_what_is_no_number_is_a_dash_with_its_reason():
    assert show_seconds(None, "not reached").why == "not reached"
    assert show_bytes(None, "unknown").text == DASH
    assert "nan" in show_seconds(math.nan, "not reached").why


def test_a_facts_unit_comes_from_its_name():
    facts = {
        "p99_ms": 4.25,
        "peak_bytes": 2048,
        "rate_per_s": 100,
        "cases": 12000,
        "warm": True,
        "by_case": {"a": 1},
        "cold_s": None,
    }
    shown = [(fact.label, fact.figure.text) for fact in name_facts(facts, "why")]
    assert shown == [
        ("p99", "4.25 ms"),
        ("peak", "2.0 KiB"),
        ("rate", "100 /s"),
        ("cases", "12,000"),
        ("warm", "yes"),
        ("by case", '{"a": 1}'),
        ("cold", DASH),
    ]
