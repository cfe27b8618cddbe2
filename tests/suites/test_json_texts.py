"""The texts that the suite takes for JSON or for none, held against two readers that are not its own."""

from __future__ import annotations

import json
import re

import orjson
import pytest

from seatrial_suites.conformance.json_texts import BROKEN, SOUND


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 60
    assert len(SOUND) >= 40


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_text_is_no_json_alone_or_as_an_element(text: bytes) -> None:
    inside = (b"[" + text + b"]", b'{"inputs":[[' + text + b",1]]}") if text.strip() else ()
    for body in (text, *inside):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(body)


def refuse(token: str) -> None:
    raise ValueError(token)


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_a_sound_text_is_json(text: bytes) -> None:
    json.loads(text, parse_constant=refuse)
    # orjson bounds numbers to doubles and strings to what UTF-8 can say, which sections 6 and 8.2 leave to the reader.
    is_bounded = re.search(rb"1e400|1e9999", text) or (
        re.search(rb"\\u(d8|de)", text) and b"\\ud83d\\ude00" not in text
    )
    if not is_bounded:
        orjson.loads(text)
