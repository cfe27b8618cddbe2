"""Our options of Locust's command line and of its web page, and the order that they make."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError
from seatrial.load.address import compose_request, resolve
from seatrial.load.arrivals import Arrivals, add_up
from seatrial.load.limits import check_certificates, check_kind, check_seconds, check_writable, read_body, read_warm_up
from seatrial.load.measuring import allow_warm_up
from seatrial.load.plan import Destination, Plan
from seatrial.load.questions import Questions, pick_cases
from seatrial.load.schedules import FORMS, make_schedule, make_steps, parse_arrivals
from seatrial.load.stationarity import WarmUpLimits
from seatrial.load.swarm.messages import Order, encode_golden, encode_law, read_certificates
from seatrial.model import ModelDirectory

PREFIX: Final = "--seatrial-"


class Parser(Protocol):
    """Locust's parser of arguments, as far as it is used."""

    def add_argument(self, *names: str, **how: Any) -> Any:
        """Add one; Locust's page asks for it too, unless `include_in_web_ui` is false."""


def add_options(parser: Parser) -> None:
    """Add our options. What is a number has one as its default, for Locust's page keeps the type of what is there."""
    add = parser.add_argument
    add("--seatrial-rate", type=float, default=0.0, help="Open loop: requests a second, of all workers.")
    add(
        "--seatrial-arrivals",
        default="poisson",
        help=f"Open loop: {FORMS}; the last three bring their rates. A file has seconds, one a line.",
    )
    add("--seatrial-users", type=int, default=0, help="Closed loop: users, of all workers.")
    add("--seatrial-think", type=float, default=0.0, help="Closed loop: seconds of a user's pause.")
    add("--seatrial-duration", type=float, default=10.0, help="Seconds of the timed window.")
    add(
        "--seatrial-warm-up",
        default="0",
        help="Seconds of the same load before, in no figure, or auto: until response times are level on every worker, a minute "
        "at most. Default: 0.",
    )
    add("--seatrial-timeout", type=float, default=10.0, help="Seconds after which a request has failed.")
    add("--seatrial-drain", type=float, default=10.0, help="Seconds that are waited for answers after the window.")
    add("--seatrial-method", default="", help="Default: GET, or POST with a body.")
    add("--seatrial-body", default="", help="Text, or @FILE.")
    add("--seatrial-reconnect", action="store_true", help="A new connection for each request.")
    add("--seatrial-seed", type=int, default=1, help="Of the schedule.")
    unseen: dict[str, Any] = {"include_in_web_ui": False}
    add("--seatrial-header", action="append", default=[], help="'Name: value'; repeats.", **unseen)
    add("--seatrial-model", default="", help="A model directory: ask its golden cases, compare every answer.", **unseen)
    add("--seatrial-wire", default="", help="With a model: how it is asked, as v2 or mlflow.", **unseen)
    add("--seatrial-name", default="", help="With a model: what it is called there. Default: its own name.", **unseen)
    add("--seatrial-ca-file", default="", help="Certificates to trust besides the system's.", **unseen)
    add("--seatrial-allow-remote", action="append", default=[], help="A host that is not this machine.", **unseen)
    add("--seatrial-json", default="", help="Write the result there.", **unseen)
    add("--seatrial-directory", default="", help=argparse.SUPPRESS, **unseen)


def read_order(options: argparse.Namespace, url: str, stages: Sequence[tuple[float, float]] = ()) -> Order:
    """Return what the options ask for, of all workers.

    Args:
        options: as Locust parsed them, or as its page changed them.
        url: Locust's host, with a path where it is not the root.
        stages: `(rate, seconds)` of a shape; they take the place of the rate and the duration.

    Raises:
        UsageError: an option that cannot be used as given, or two that do not go together.
    """
    if not url:
        raise UsageError("there is no URL to put load on", fix="give --host http://127.0.0.1:8080/path")
    warm_up_s = read_warm_up(options.seatrial_warm_up, prefix=PREFIX)
    warm_up = WarmUpLimits() if warm_up_s is None else None
    duration_s = add_up(stages) if stages else options.seatrial_duration
    check_seconds(
        {
            "duration": duration_s,
            "timeout": options.seatrial_timeout,
            "think": options.seatrial_think,
            "warm-up": warm_up_s or 0.0,
            "drain": options.seatrial_drain,
        },
        prefix=PREFIX,
    )
    check_certificates(options.seatrial_ca_file, url, prefix=PREFIX)
    if options.seatrial_json == "-":
        # As a file of that name it would be looked for in vain.
        raise UsageError(
            f"{PREFIX}json is -, and Locust writes its own tables there", fix=f"give a file: {PREFIX}json FILE"
        )
    check_writable(options.seatrial_json)
    law = _read_law(options, duration_s, stages)
    plan = Plan(
        destination=Destination(),
        requests=(),
        mode="closed" if law is None else "open",
        cases=(0,),
        users=options.seatrial_users,
        think_s=options.seatrial_think,
        duration_s=duration_s,
        warm_up_s=warm_up_s or 0.0,
        timeout_s=options.seatrial_timeout,
        drain_s=options.seatrial_drain,
        reconnect=options.seatrial_reconnect,
    )
    plan = allow_warm_up(plan, warm_up)
    questions = _read_questions(options, url)
    plan = _fill(plan, options, url) if questions is None else questions.fill(plan)
    return Order(
        plan=plan,
        golden=None if questions is None else encode_golden(questions),
        certificates=read_certificates(plan),
        law=None if law is None else encode_law(law),
        seed=options.seatrial_seed,
        requested=options.seatrial_rate or None,
        warm_up=warm_up,
        probe=True,
    )


def _fill(plan: Plan, options: argparse.Namespace, url: str) -> Plan:
    """Return the plan with one request, which the options say."""
    address = resolve(url, allowed=options.seatrial_allow_remote, ca_file=options.seatrial_ca_file)
    request = compose_request(
        address,
        method=options.seatrial_method,
        headers=options.seatrial_header,
        body=read_body(options.seatrial_body),
        reconnect=options.seatrial_reconnect,
    )
    return msgspec.structs.replace(plan, destination=address.destination, requests=(request,))


def _read_questions(options: argparse.Namespace, url: str) -> Questions | None:
    """Return the golden cases of a model directory, None where none is given. Its code is not run."""
    model, wire = options.seatrial_model, options.seatrial_wire
    if bool(model) != bool(wire):
        raise UsageError(
            "golden cases need --seatrial-model and --seatrial-wire, one of them was given",
            fix="--seatrial-model DIRECTORY --seatrial-wire v2; `seatrial build` writes such directories",
        )
    if not model:
        return None
    if options.seatrial_body or options.seatrial_method or options.seatrial_header:
        raise UsageError("what is asked is the model's and the wire's", fix="leave out the method, headers and body")
    directory = ModelDirectory.open(Path(model))
    endpoint = Endpoint(
        address=url.rstrip("/"),
        wire=wire,
        path="remote" if options.seatrial_allow_remote else "loopback",
        name=options.seatrial_name or directory.name,
        ca_file=options.seatrial_ca_file,
    )
    return Questions(
        endpoint=endpoint,
        manifest=directory.manifest,
        cases=pick_cases(directory.cases, directory.manifest),
        reconnect=options.seatrial_reconnect,
        allowed=tuple(options.seatrial_allow_remote),
    )


def _read_law(options: argparse.Namespace, duration_s: float, stages: Sequence[tuple[float, float]]) -> Arrivals | None:
    """Return the law of arrival, None for users who wait for their answers."""
    rate, arrivals, users = options.seatrial_rate, options.seatrial_arrivals, options.seatrial_users
    if stages:
        if rate or users or arrivals not in {"poisson", "constant"}:
            raise UsageError(
                "the stages of the shape say the rates", fix="leave out --seatrial-rate and --seatrial-users"
            )
        law: Arrivals = make_steps(stages, poisson=arrivals == "poisson")
    elif not check_kind(rate or None, users or None, None if arrivals == "poisson" else arrivals, prefix=PREFIX):
        return None
    else:
        law = parse_arrivals(arrivals, rate or None, duration_s)
    # Drawn here to see that it can be; each worker draws its own share.
    if not len(make_schedule(law, duration_s=duration_s, seed=options.seatrial_seed).offsets_ns):
        raise UsageError(f"{law.describe()} for {duration_s:g} s is no request at all", fix="a higher rate")
    return law
