"""`seatrial check` of small servers, right or wrong in one way, and of what cannot be asked: each is told with its evidence."""

from __future__ import annotations

import json
import runpy
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from check_servers import SECRET, serve
from checking import PASSING, check, read_result, statuses
from seatrial.cli.check_order import CheckOptions, read_order
from seatrial.errors import UsageError
from seatrial.load.address import resolve

pytestmark = pytest.mark.timeout(170)
make_authority = runpy.run_path(str(Path(__file__).parent / "harness" / "load" / "certificates.py"))["make_authority"]
SMALL = ("--wire", "v2", "--name", "double")
FEW = tuple(word for each in ("R01", *sorted(PASSING)) for word in ("--check", each))
"""What the small servers are written for; every check is asked of the specimens."""


@pytest.mark.parametrize(
    ("fault", "failing", "words"),
    [
        ("", set(), ""),
        ("breaks", {"B01"}, "that is: failed, with status 500"),
        ("takes-all", {"B01"}, "a bare word:"),
        ("mixes-rows", {"R03"}, "elements wrong"),
        ("dies", {"N01", "B01"}, "no answer"),
    ],
)
def test_a_wrong_server_fails_just_what_it_is_wrong_for(
    tmp_path: Path, fault: str, failing: set[str], words: str
) -> None:
    with serve(fault) as address:
        done = check(tmp_path, address, *SMALL, *FEW, "--json", "-", "-q")

    result = read_result(done)
    assert {each.id for each in result.checks if each.status in {"fail", "error"}} == failing, done.stdout
    assert done.returncode == result.exit_code == (1 if failing else 0)
    assert result.verdict == ("fail" if failing else "partial")
    assert words in "".join(each.message for each in result.checks if each.id in failing)


def test_a_failure_is_told_with_its_evidence_and_the_command_that_asks_it_again(tmp_path: Path) -> None:
    with serve("breaks") as address:
        done = check(tmp_path, address, *SMALL, "--seed", "3", "--check", "B01", "-q")

    assert done.returncode == 1
    assert "B01    MUST   what is no JSON is refused  fail" in done.stdout
    assert "sent: curl -i -X POST" in done.stdout
    assert f"again: seatrial check {address} --wire v2 --name double --seed 3 --check B01" in done.stdout
    assert done.stdout.endswith("1 fail: fail (exit code 1)\n")


def test_a_server_with_two_answers_is_not_asked_what_would_compare_them(tmp_path: Path) -> None:
    with serve("unsteady") as address:
        done = check(tmp_path, address, *SMALL, "--json", "-")

    result = read_result(done)
    assert done.returncode == 3
    assert result.model.golden == "unsteady"
    assert "32 of 32 questions, asked twice and alone" in result.remarks[0]
    assert statuses(result).items() >= {**dict.fromkeys(PASSING | {"R01"}, "not-run")}.items()
    assert "nothing ran" in result.causes


def test_the_name_is_found_where_the_server_lists_its_models(tmp_path: Path) -> None:
    with serve("lists-models") as address:
        done = check(tmp_path, address, "--wire", "v2", "--check", "R03", "--json", "-", "-q")

    assert (done.returncode, read_result(done).name) == (0, "double"), done.stderr


def test_what_a_header_says_is_told_nowhere(tmp_path: Path) -> None:
    command = (*SMALL, "--header", f"X-Mine: {SECRET}", "--out", "kept", "--check", "N01", "--check", "B01")
    with serve("breaks") as address:
        done = check(tmp_path, address, *command, "--json", "check.json")

    assert done.returncode == 1
    assert "no question, ***" in done.stdout
    assert "-H 'X-Mine: ***'" in done.stdout
    assert "--header 'X-Mine: ***'" in done.stdout
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"check.json", "run.json", "report.html", "records.jsonl", "start.json"} <= {path.name for path in kept}
    assert not [str(path) for path in kept if SECRET.encode() in path.read_bytes()]
    assert SECRET not in done.stdout + done.stderr


def test_what_refuses_every_question_is_one_sentence(tmp_path: Path) -> None:
    with serve("refuses") as address:
        done = check(tmp_path, address, *SMALL, "--header", f"X-Mine: {SECRET}", "-q")

    assert done.returncode == 3
    assert "not one of 32 questions" in done.stderr
    assert "rejected (status 403)" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_over_tls_the_certificate_must_hold(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "authority.pem")
    with serve(certificate=authority.certify(tmp_path / "server.pem")) as address:
        known = check(tmp_path, address, *SMALL, "--ca-file", str(authority.file), "--check", "R03", "-q")
        unknown = check(tmp_path, address, *SMALL, "--check", "R03", "-q")

    assert known.returncode == 0, known.stderr
    assert unknown.returncode == 3
    assert "a certificate that does not hold" in unknown.stderr
    assert "--ca-file" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("http://192.0.2.1", *SMALL), 2, "192.0.2.1 is not this machine, and what is malformed goes to loopback"),
        (("http://127.0.0.1:9", *SMALL), 3, "127.0.0.1:9 does not answer"),
        (("http://127.0.0.1:9", "--wire", "v3"), 2, "Did you mean 'v2'?"),
        (("http://127.0.0.1:9", "--wire", "mlflow"), 2, "seatrial build NAME DIR"),
        (("http://127.0.0.1:9", "--wire", "sagemaker"), 2, "give --model DIR"),
        (("http://127.0.0.1:9", *SMALL, "--model", "digits"), 2, "seatrial build NAME DIR"),
        (("http://127.0.0.1:9", *SMALL, "--check", "B1"), 2, "Did you mean 'B0"),
        (("http://127.0.0.1:9", *SMALL, "--check", "P08"), 2, "belongs to the suite benchmark"),
        (("http://127.0.0.1:9", *SMALL, "--profile", "full"), 2, "one of smoke, standard, nightly"),
        (("http://127.0.0.1:9/v2/", *SMALL), 2, "give http://127.0.0.1:9\n"),
        (("http://127.0.0.1:9", *SMALL, "--header", "X"), 2, "not the name of a header"),
        (("http://127.0.0.1:9", *SMALL, "--header", "A: 1", "--header", "a: 2"), 2, "given twice"),
        (("http://127.0.0.1:9", *SMALL, "--json", "none/check.json"), 2, "there is no directory"),
        (("http://127.0.0.1:9", "--wire", "frame"), 2, "give unix:/PATH"),
        (("unix:/nowhere", *SMALL), 2, "give http://HOST:PORT"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = check(tmp_path, *arguments)

    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fault", "arguments", "words"),
    [
        ("", ("--wire", "v2"), "does not tell the name of its model"),
        ("", ("--wire", "v2", "--name", "triple"), "give the model's name there with --name"),
        ("odd-signature", SMALL, "datatype 'COMPLEX'"),
    ],
)
def test_a_signature_that_cannot_be_learned_says_what_to_give(
    tmp_path: Path, fault: str, arguments: tuple[str, ...], words: str
) -> None:
    with serve(fault) as address:
        done = check(tmp_path, address, *arguments)

    assert done.returncode == 2
    assert words in done.stderr


def test_an_allowed_host_is_one_that_is_named() -> None:
    address = "http://192.0.2.1:9"
    order = read_order(make_options(url=address, allowed=("192.0.2.1",)), {})

    assert (order.endpoint.address, order.endpoint.path) == (address, "remote")
    with pytest.raises(UsageError, match="is not this machine") as refused:
        read_order(make_options(url=address, allowed=("192.0.2.2",)), {})
    assert refused.value.fix == "give --allow-remote 192.0.2.1 if it is yours"


def test_a_name_that_leads_elsewhere_too_is_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client takes whichever of its addresses answers first."""
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 9)) for each in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)

    with pytest.raises(UsageError, match=r"both.test \(192.0.2.1\) is not this machine"):
        read_order(make_options(url="http://both.test:9"), {})
    assert resolve("http://both.test:9").destination.host == "127.0.0.1", (
        "load goes to the address that is this machine's"
    )


def make_options(**given: Any) -> CheckOptions:
    options = CheckOptions(
        url="http://127.0.0.1:9",
        wire="v2",
        model="",
        name="double",
        headers=(),
        ca_file="",
        profile="standard",
        check_ids=(),
        seed=1,
        allowed=(),
        out=None,
        json_file="",
    )
    return replace(options, **given)


def test_headers_of_another_endpoint_in_the_settings_are_not_sent(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.seatrial.targets.url]\naddress = "http://127.0.0.1:9"\nheaders = {{ X-Mine = "{SECRET}" }}\n'
    )
    with serve("refuses") as address:
        done = check(tmp_path, address, *SMALL)

    assert "None may not" in done.stderr


def test_the_file_is_as_its_schema_says(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "seatrial", "schema", "--of", "check"]
    schema = json.loads(subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, timeout=60).stdout)
    with serve("breaks") as address:
        done = check(tmp_path, address, *SMALL, "--json", "-", "-q")

    result: Any = json.loads(done.stdout)
    jsonschema.validate(result, schema)
    assert result["schema"] == "seatrial.check/1"
    assert {"wire", "checks", "totals"} <= set(result)
    assert {"id", "level", "status", "message"} <= set(result["checks"][0])
