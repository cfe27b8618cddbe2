"""What lets somebody in is not told: in records, settings and commands."""

from __future__ import annotations

from seatrial.endpoint import Endpoint
from seatrial.evidence import mask, show_sent
from seatrial.masking import find_secrets, hide, mask_command, mask_setting
from seatrial.records import CheckRecord, ErrorRecord
from seatrial.trial.hiding import hide_in_record

HEADERS = {"Authorization": "Bearer abcdef123", "X-Mine": "four-and-more", "Accept": "application/json", "X-Short": "1"}
SECRETS = find_secrets(HEADERS)


def test_values_and_their_words_are_secrets_and_common_ones_are_not() -> None:
    assert set(SECRETS) == {"Bearer abcdef123", "Bearer", "abcdef123", "four-and-more"}
    assert hide("abcdef123 is no Bearer abcdef123", SECRETS) == "*** is no ***"


def test_records_are_told_without() -> None:
    check = CheckRecord(target="url", id="B01", title="t", level="MUST", status="fail", message="got four-and-more")
    error = ErrorRecord(target="url", message="abcdef123", exit_code=6, logs="abcdef123!")
    hidden = [hide_in_record(each, SECRETS) for each in (check, error)]

    assert [getattr(each, "message", "") for each in hidden] == ["got ***", "***"]
    assert getattr(hidden[1], "logs", "") == "***!"


def test_of_headers_in_the_settings_the_names_are_told() -> None:
    assert mask_setting("targets.url.headers", {"X-Mine": "a"}) == {"X-Mine": "***"}
    assert mask_setting("targets.url.headers", '{"X-Mine": "a"}') == "***"
    assert mask_setting("targets.url.address", "http://x") == "http://x"


def test_commands_are_told_without() -> None:
    command = ("seatrial", "--header", "A: b", "--header=C: d", "--set", 'targets.url.headers={"E": "f"}', "last")

    assert mask_command(command) == (
        "seatrial",
        "--header",
        "A: ***",
        "--header=C: ***",
        "--set",
        "targets.url.headers=***",
        "last",
    )


def test_evidence_masks_the_headers_that_the_user_gave() -> None:
    endpoint = Endpoint(address="http://127.0.0.1:1", wire="v2", path="loopback", headers={"X-Mine": "value"})
    sent = b"POST /v2 HTTP/1.1\r\nHost: x\r\nx-mine: value\r\nX-Mine-Too: other\r\nContent-Length: 0\r\n\r\n"

    assert mask(b"X.Mine: value\r\n\r\n", ["X-Mine"]) == b"X.Mine: value\r\n\r\n"
    shown = show_sent(endpoint, sent)
    assert "'x-mine: ***'" in shown
    assert "'X-Mine-Too: other'" in shown
