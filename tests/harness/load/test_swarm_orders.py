"""Orders to a swarm, without Locust: made of a user's options, sent to workers, and split between them."""

from __future__ import annotations

import runpy
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from seatrial.errors import SeatrialError, UsageError
from seatrial.load.arrivals import Arrivals, Constant, Gamma, Poisson, Ramp, Steps, Trace
from seatrial.load.plan import Destination, Plan
from seatrial.load.schedules import make_schedule
from seatrial.load.stationarity import WarmUpLimits
from seatrial.load.swarm.messages import (
    Order,
    decode_golden,
    decode_law,
    encode_law,
    pack,
    split_order,
    unpack,
    write_certificates,
)
from seatrial.load.swarm.options import add_options, read_order
from seatrial.model import Case, Manifest, TensorSpec, encode_cases, hash_tree

PLAN = Plan(
    destination=Destination(host="127.0.0.1", port=1),
    requests=(b"GET /path HTTP/1.1\r\n\r\n",),
    cases=(0,),
    mode="open",
    duration_s=20,
)
ORDER = Order(plan=PLAN, law=encode_law(Poisson(rate=500.0)), requested=500.0)


@pytest.mark.parametrize(
    "law",
    [
        Constant(rate=3.5),
        Poisson(rate=100.0),
        Gamma(rate=20.0, shape=0.5),
        Steps(steps=((10.0, 2.0), (20.0, 3.0)), poisson=True),
        Ramp(first=1.0, last=9.0),
        Trace(offsets_s=(0.0, 0.5), origin="times.csv"),
    ],
    ids=lambda law: type(law).__name__,
)
def test_a_law_comes_through_a_wire(law: Arrivals) -> None:
    order = unpack(pack(Order(plan=PLAN, law=encode_law(law))), Order)

    assert order.law is not None
    assert decode_law(order.law) == law
    assert order.arrivals == law.describe()


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_shares_of_a_schedule_that_is_dealt_are_the_single_stream(workers: int) -> None:
    cases = (4, 1, 3, 0, 2, 9)
    plan = msgspec.structs.replace(PLAN, cases=cases, connections=8)
    whole = make_schedule(Constant(rate=97.0), duration_s=3.0, seed=1).offsets_ns
    sent = []
    for share in split_order(Order(plan=plan, law=encode_law(Constant(rate=97.0))), workers):
        offsets = make_schedule(
            Constant(rate=97.0), duration_s=3.0, seed=1, worker=share.worker, workers=share.workers
        ).offsets_ns
        asked = share.plan.cases
        sent += [(int(offset), asked[k % len(asked)]) for k, offset in enumerate(offsets)]

    assert sorted(sent) == [(int(offset), cases[k % len(cases)]) for k, offset in enumerate(whole)]


def test_users_and_connections_are_shared() -> None:
    plan = msgspec.structs.replace(PLAN, mode="closed", users=11, connections=5)
    shares = split_order(Order(plan=plan), 3)

    assert [share.plan.users for share in shares] == [4, 4, 3]
    assert [share.plan.connections for share in shares] == [2, 2, 2]
    with pytest.raises(UsageError, match="2 users cannot be shared by 3 workers"):
        split_order(Order(plan=msgspec.structs.replace(plan, users=2)), 3)


class LocustParser(ArgumentParser):
    """As far as Locust's parser differs from its base."""

    def add_argument(self, *names: Any, include_in_web_ui: bool = True, **how: Any) -> Any:  # type: ignore[override]
        return super().add_argument(*names, **how)


def parse(*arguments: str) -> Namespace:
    parser = LocustParser()
    add_options(parser)
    return parser.parse_args(arguments)


def test_options_make_an_order() -> None:
    options = parse("--seatrial-rate", "50", "--seatrial-arrivals", "constant", "--seatrial-header", "X-A: 1")
    order = read_order(options, "http://127.0.0.1:8080/path?x=1")

    assert order.plan.destination == Destination(host="127.0.0.1", port=8080, server_name="127.0.0.1")
    assert order.plan.requests[0].startswith(b"GET /path?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-A: 1\r\n" in order.plan.requests[0]
    assert (order.plan.mode, order.plan.duration_s, order.requested) == ("open", 10.0, 50.0)
    assert order.arrivals == "constant 50/s"
    assert order.probe


def test_a_warm_up_is_seconds_or_as_long_as_it_takes() -> None:
    url = "http://127.0.0.1:8080"
    none = read_order(parse("--seatrial-users", "4"), url)
    fixed = read_order(parse("--seatrial-users", "4", "--seatrial-warm-up", "2.5"), url)
    auto = read_order(parse("--seatrial-users", "4", "--seatrial-warm-up", "auto"), url)

    assert (none.plan.warm_up_s, none.warm_up) == (0.0, None)
    assert (fixed.plan.warm_up_s, fixed.warm_up) == (2.5, None)
    assert auto.warm_up == WarmUpLimits()
    assert auto.plan.warm_up_s > WarmUpLimits().maximum_s, "the order that ends it may come late"
    assert split_order(auto, 2)[1].warm_up == auto.warm_up


def test_options_of_a_closed_loop(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"{}")
    body = f"@{tmp_path / 'body'}"
    order = read_order(parse("--seatrial-users", "4", "--seatrial-body", body), "http://127.0.0.1:8080")

    assert (order.plan.mode, order.plan.users, order.law) == ("closed", 4, None)
    assert order.plan.requests[0].startswith(b"POST / HTTP/1.1\r\n")
    assert order.plan.requests[0].endswith(b"\r\n\r\n{}")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model directory with three golden cases, two of them alike."""
    specs = {name: (TensorSpec(name=name, datatype="INT64", shape=(-1,)),) for name in ("x", "y")}
    manifest = Manifest(name="m", version="1", inputs=specs["x"], outputs=specs["y"], entry="m:m", python="3", files={})
    cases = [
        Case(name=f"c{number}", inputs={"x": np.array([number])}, outputs={"y": np.array([number // 2])})
        for number in range(3)
    ]
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "cases.json").write_bytes(encode_cases(cases, manifest))
    manifest = msgspec.structs.replace(manifest, files=hash_tree(directory))
    (directory / "model.json").write_bytes(msgspec.json.encode(manifest))
    return directory


def test_options_with_a_model_ask_its_golden_cases(model: Path) -> None:
    arguments = ("--seatrial-rate", "50", "--seatrial-model", str(model), "--seatrial-wire", "v2")
    order = read_order(parse(*arguments, "--seatrial-name", "there"), "http://127.0.0.1:8080/")

    assert order.golden is not None
    assert [case.name for case in decode_golden(order.golden).cases] == ["c0", "c2"]
    assert [request.split(b" ", 2)[:2] for request in order.plan.requests] == [[b"POST", b"/v2/models/there/infer"]] * 2
    assert order.plan.cases == (0, 1)
    assert order.plan.destination.host == "127.0.0.1"
    assert split_order(order, 2)[1].golden == order.golden
    with pytest.raises(UsageError, match="3 workers cannot share the questions, 2 in all"):
        split_order(order, 3)
    five = msgspec.structs.replace(order, plan=msgspec.structs.replace(order.plan, cases=(0, 1, 2, 3, 4)))
    assert [share.plan.cases for share in split_order(five, 2)] == [(0, 2, 4), (1, 3)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seatrial-wire", "v2"], "one of them was given"),
        (["--seatrial-model", "MODEL"], "one of them was given"),
        (["--seatrial-model", "MODEL", "--seatrial-wire", "v9"], "v9"),
        (["--seatrial-model", "not-there", "--seatrial-wire", "v2"], "is not a model directory"),
        (["--seatrial-model", "MODEL", "--seatrial-wire", "v2", "--seatrial-body", "x"], "leave out the method"),
    ],
)
def test_models_that_cannot_be_asked_are_a_sentence(model: Path, arguments: list[str], words: str) -> None:
    options = parse("--seatrial-rate", "5", *(str(model) if each == "MODEL" else each for each in arguments))

    with pytest.raises(SeatrialError) as caught:
        read_order(options, "http://127.0.0.1:9")
    assert words in f"{caught.value.message} {caught.value.fix}"


def test_certificates_go_to_the_worker(tmp_path: Path) -> None:
    """It has no file of the master's."""
    runpy.run_path(str(Path(__file__).with_name("certificates.py")))["make_authority"](tmp_path / "ca.pem")
    certificate = (tmp_path / "ca.pem").read_bytes()
    arguments = ("--seatrial-rate", "5", "--seatrial-ca-file", str(tmp_path / "ca.pem"))
    order = read_order(parse(*arguments), "https://127.0.0.1:9/")
    (tmp_path / "ca.pem").unlink()
    (tmp_path / "worker").mkdir()
    plan = write_certificates(unpack(pack(order), Order), tmp_path / "worker")

    assert plan.destination.ca_file.startswith(str(tmp_path / "worker"))
    assert Path(plan.destination.ca_file).read_bytes() == certificate
    assert write_certificates(ORDER, tmp_path) == ORDER.plan


def test_stages_take_the_place_of_rate_and_duration() -> None:
    order = read_order(parse(), "http://127.0.0.1:8080", ((10.0, 2.0), (20.0, 3.0)))

    assert order.plan.duration_s == 5.0
    assert order.law is not None
    assert decode_law(order.law) == Steps(steps=((10.0, 2.0), (20.0, 3.0)), poisson=True)
    assert read_order(parse(), "http://127.0.0.1:8080", ((10.0, 0.1), (20.0, 0.2))).plan.duration_s == 0.3


@pytest.mark.parametrize(
    ("arguments", "url", "stages", "words"),
    [
        ([], "http://127.0.0.1:9/", (), "--seatrial-rate"),
        (["--seatrial-rate", "5", "--seatrial-users", "5"], "http://127.0.0.1:9/", (), "--seatrial-users"),
        (
            ["--seatrial-rate", "5", "--seatrial-arrivals", "steps:5x5"],
            "http://127.0.0.1:9/",
            (),
            "has rates of its own",
        ),
        (["--seatrial-rate", "-1"], "http://127.0.0.1:9/", (), "above 0"),
        (["--seatrial-rate", "nan"], "http://127.0.0.1:9/", (), "above 0"),
        (["--seatrial-rate", "1e9"], "http://127.0.0.1:9/", (), "1,000,000"),
        (["--seatrial-rate", "0.001"], "http://127.0.0.1:9/", (), "no request at all"),
        (["--seatrial-rate", "5", "--seatrial-arrivals", "gamma:1e-9"], "http://127.0.0.1:9/", (), "0.01 to 1,000,000"),
        (["--seatrial-users", "-3"], "http://127.0.0.1:9/", (), "1 to 10,000"),
        (["--seatrial-rate", "5", "--seatrial-duration", "0"], "http://127.0.0.1:9/", (), "duration"),
        (
            ["--seatrial-rate", "5", "--seatrial-warm-up", "soon"],
            "http://127.0.0.1:9/",
            (),
            "--seatrial-warm-up is 'soon'",
        ),
        (["--seatrial-rate", "5", "--seatrial-warm-up", "-1"], "http://127.0.0.1:9/", (), "--seatrial-warm-up is -1"),
        (["--seatrial-rate", "5", "--seatrial-drain", "-1"], "http://127.0.0.1:9/", (), "--seatrial-drain"),
        (["--seatrial-rate", "5", "--seatrial-timeout", "0"], "http://127.0.0.1:9/", (), "--seatrial-timeout"),
        (["--seatrial-rate", "5", "--seatrial-body", "@not-there"], "http://127.0.0.1:9/", (), "not-there"),
        (["--seatrial-rate", "5"], "", (), "--host"),
        (["--seatrial-rate", "5", "--seatrial-json", "/not/there/x"], "http://127.0.0.1:9/", (), "cannot be written"),
        (["--seatrial-rate", "5"], "http://192.0.2.1/", (), "is not this machine"),
        (["--seatrial-rate", "5", "--seatrial-json", "-"], "http://127.0.0.1:9/", (), "Locust writes its own tables"),
        (["--seatrial-rate", "5"], "http://127.0.0.1:9/", ((5.0, 1.0),), "stages"),
        ([], "http://127.0.0.1:9/", ((5.0, 1.0), (0.0, 1.0)), "a rate of 0 requests a second is not above 0"),
        ([], "http://127.0.0.1:9/", ((2e6, 1.0),), "at most 1,000,000"),
        ([], "http://127.0.0.1:9/", ((5.0, 2.0), (5.0, -1.0)), "the seconds of a stage is -1"),
        ([], "http://127.0.0.1:9/", ((9e5, 30.0), (9e5, 30.0)), "54,000,000 requests, at most 50,000,000"),
    ],
)
def test_options_that_cannot_be_used_are_a_sentence(
    arguments: list[str], url: str, stages: tuple[tuple[float, float], ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        read_order(parse(*arguments), url, stages)
