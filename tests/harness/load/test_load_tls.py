"""Load over TLS: on connections that are kept and on new ones, and a sentence for a certificate that does not hold."""

from __future__ import annotations

import json
import re
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seatrial.load.arrivals import Constant
from seatrial.load.driver import UnconnectedError, run_pacer
from seatrial.load.plan import Destination, Plan
from seatrial.load.samples import NEVER, Outcome
from seatrial.load.schedules import make_schedule

make_authority = runpy.run_path(str(Path(__file__).with_name("certificates.py")))["make_authority"]
Serve = Callable[..., int]
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_authority(tmp_path_factory.mktemp("authority") / "authority.pem")


def load(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "seatrial", "load", url, "--warm-up", "0", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


def test_kept_connections_are_few_and_what_opening_them_took_stands_apart(
    serve: Serve, authority: Any, tmp_path: Path
) -> None:
    port = serve("echo", tls=authority.certify(tmp_path / "server.pem"))
    trusting = ("--ca-file", str(authority.file), "--body", "hello", "--json", "-")
    done = load(f"https://127.0.0.1:{port}/", "--users", "3", "--duration", "1", *trusting)
    result = json.loads(done.stdout)

    assert done.returncode in {0, 7}, done.stderr
    assert result["connections_opened"] == 3
    assert result["outcomes"] == {"answered": result["requests"]}
    if result["connect_time_s"] is not None:  # Null: all were opened before the window began.
        assert 0 < result["connect_time_s"]["max"] < 10


def test_a_new_connection_a_request_is_told_apart_from_it(serve: Serve, authority: Any, tmp_path: Path) -> None:
    port = serve("echo", tls=authority.certify(tmp_path / "server.pem"))
    trusting = ("--ca-file", str(authority.file), "--reconnect", "--json", "-")
    done = load(f"https://127.0.0.1:{port}/", "--rate", "50", "--duration", "2", *trusting)
    result = json.loads(done.stdout)

    assert done.returncode in {0, 7}, done.stderr
    assert result["outcomes"] == {"answered": result["requests"]}
    assert result["connections_opened"] >= result["requests"]
    if result["valid"]:
        assert result["connect_time_s"]["p50"] > 0
        assert result["response_time_s"]["p50"] > result["service_time_s"]["p50"], "who is due has to connect first"


def test_every_request_has_its_own_connect_time(serve: Serve, authority: Any, tmp_path: Path) -> None:
    port = serve("echo", tls=authority.certify(tmp_path / "server.pem", name="server.test"))
    (tmp_path / "run").mkdir()
    plan = Plan(
        destination=Destination(
            host="127.0.0.1", port=port, tls=True, server_name="server.test", ca_file=str(authority.file)
        ),
        requests=(REQUEST,),
        cases=(0,),
        mode="open",
        duration_s=1.0,
        reconnect=True,
    )
    schedule = make_schedule(Constant(rate=40.0), duration_s=1.0, seed=1)
    samples = run_pacer(plan, schedule.offsets_ns, directory=tmp_path / "run").samples

    assert {Outcome(value) for value in samples["outcome"]} == {Outcome.ANSWERED}
    assert len(set(samples["connection"])) == len(samples) == 40
    assert (samples["connect_ns"] != NEVER).all()
    opened_for_it = samples[samples["connection"] > 0]
    assert (opened_for_it["sent_ns"] - opened_for_it["intended_ns"] >= opened_for_it["connect_ns"]).all()


def test_the_pacer_itself_trusts_nobody_else(serve: Serve, authority: Any, tmp_path: Path) -> None:
    port = serve("echo", tls=authority.certify(tmp_path / "server.pem", name="server.test"))
    where = Destination(host="127.0.0.1", port=port, tls=True, server_name="other.test", ca_file=str(authority.file))
    plan = Plan(destination=where, requests=(REQUEST,), cases=(0,), mode="closed", users=1, duration_s=1.0)

    with pytest.raises(UnconnectedError, match="not valid for 'other.test'"):
        run_pacer(plan, None, directory=tmp_path)


@pytest.mark.parametrize(
    "engine", [("--workers", "2"), ("--engine", "fast-http"), ("--engine", "http")], ids=lambda words: words[-1]
)
def test_other_engines_trust_the_same(serve: Serve, authority: Any, tmp_path: Path, engine: tuple[str, ...]) -> None:
    port = serve("echo", tls=authority.certify(tmp_path / "server.pem"))
    trusting = ("--ca-file", str(authority.file), "--json", "-")
    done = load(f"https://127.0.0.1:{port}/", "--users", "2", "--duration", "1", *engine, *trusting)
    result = json.loads(done.stdout)

    assert done.returncode in {0, 7}, done.stderr
    assert result["outcomes"] == {"answered": result["requests"]}


@pytest.mark.parametrize(
    ("certificate", "trusts", "words"),
    [
        ({}, False, r"certificate that does not hold: unable to get local issuer certificate\nFix: .* --ca-file"),
        ({"days": (-9, -1)}, True, r"certificate that does not hold: certificate has expired\nFix: renew"),
        ({"days": (1, 9)}, True, r"certificate that does not hold: certificate is not yet valid\nFix: see the clocks"),
        ({"name": "elsewhere.test"}, True, r"not valid for '127.0.0.1'\nFix: ask by a name or an address"),
        ({"name": "127.0.0.2"}, True, r"not valid for '127.0.0.1'\nFix: ask by a name or an address"),
    ],
    ids=["another authority", "expired", "too early", "another name", "another address"],
)
def test_a_certificate_that_does_not_hold_is_said(
    serve: Serve, authority: Any, tmp_path: Path, certificate: dict[str, Any], trusts: bool, words: str
) -> None:
    port = serve("echo", tls=authority.certify(tmp_path / "server.pem", **certificate))
    trusting = ("--ca-file", str(authority.file)) if trusts else ()
    done = load(f"https://127.0.0.1:{port}/", "--rate", "5", "--duration", "1", *trusting)

    assert (done.returncode, done.stdout) == (3, "")
    assert re.search(words, done.stderr), done.stderr
    assert done.stderr.count("\n") == 2
    assert "Traceback" not in done.stderr


def test_a_server_without_tls_is_said(serve: Serve) -> None:
    done = load(f"https://127.0.0.1:{serve('greeting')}/", "--rate", "5", "--duration", "1")

    assert (done.returncode, done.stdout) == (3, "")
    assert re.search(r"makes no TLS connection: .*\nFix: see that it speaks TLS", done.stderr), done.stderr


def test_a_server_that_does_not_answer_to_tls_is_waited_for_no_longer_than_a_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        done = load(url, "--rate", "5", "--duration", "1", "--timeout", "1")

    assert done.returncode == 3
    assert "does not answer to TLS in time" in done.stderr
    assert time.monotonic() - began_s < 60


def test_a_server_with_tls_is_not_asked_without(serve: Serve, authority: Any, tmp_path: Path) -> None:
    port = serve("echo", tls=authority.certify(tmp_path / "server.pem"))
    done = load(f"http://127.0.0.1:{port}/", "--rate", "5", "--duration", "1", "--timeout", "2")

    assert (done.returncode, done.stdout) == (3, "")
    assert re.search("closed the connection|not HTTP/1|reset by peer", done.stderr), done.stderr


@pytest.mark.parametrize(
    ("scheme", "file", "words"),
    [
        ("https", "not-there.pem", "cannot be read: No such file"),
        ("https", ".", "the certificates"),
        ("https", __file__, "holds no certificates"),
        ("http", __file__, "the URL is none of https"),
    ],
)
def test_a_file_of_certificates_that_is_none_is_said(scheme: str, file: str, words: str) -> None:
    done = load(f"{scheme}://127.0.0.1:9/", "--rate", "5", "--ca-file", file)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
