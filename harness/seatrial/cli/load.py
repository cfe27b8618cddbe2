"""`seatrial load`: latency or capacity of an endpoint that already runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seatrial.cli.app import app
from seatrial.errors import ExitCode, UsageError, choose_exit_code

if TYPE_CHECKING:
    from seatrial.load.plan import Plan, Progress
    from seatrial.load.result import LoadResult
    from seatrial.load.schedules import Schedule

INTERRUPTED = 130
_MAX_SECONDS = 86_400.0
_MAX_USERS = 10_000
_MAX_BODY_BYTES = 64 << 20
_RATELESS = ("ramp:", "steps:", "trace:")


@app.command()
def load(  # noqa: PLR0917 - each is an option, given by name
    url: Annotated[str, typer.Argument(help="http or https; on this machine, unless --allow-remote names its host.")],
    rate: Annotated[
        float | None, typer.Option(help="Open loop: requests a second, sent whatever the server does.")
    ] = None,
    arrivals: Annotated[
        str,
        typer.Option(
            help="Open loop: poisson, constant, gamma:SHAPE; or with rates of their own ramp:FROM-TO, "
            "steps:RATExSECONDS,…, trace:FILE."
        ),
    ] = "poisson",
    users: Annotated[int | None, typer.Option(help="Closed loop: users who each wait for their answer.")] = None,
    think: Annotated[float, typer.Option(help="Closed loop: seconds between an answer and the next question.")] = 0.0,
    duration: Annotated[float, typer.Option(help="Seconds of the timed window.")] = 10.0,
    warm_up: Annotated[
        float, typer.Option(help="Seconds of the same load before the window, in no figure; evenly spaced with --rate.")
    ] = 0.0,
    method: Annotated[str, typer.Option(help="Default: GET, or POST with a body.")] = "",
    header: Annotated[list[str] | None, typer.Option(help="'Name: value'; repeats.")] = None,
    body: Annotated[str, typer.Option(help="Text, or @FILE.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds after which a request has failed.")] = 10.0,
    drain: Annotated[float, typer.Option(help="Seconds that pending requests are waited for after the window.")] = 10.0,
    reconnect: Annotated[bool, typer.Option("--reconnect", help="A new connection for each request.")] = False,
    seed: Annotated[int, typer.Option(help="Of the schedule.", min=0)] = 1,
    ca_file: Annotated[str, typer.Option(help="Certificates to trust besides the system's.")] = "",
    allow_remote: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="A host that is not this machine; repeats.")
    ] = None,
    json_file: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Write the result there; - for standard output.")
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Put load on a URL and say how it answers: open loop with --rate, closed loop with --users.

    \b
    seatrial load http://127.0.0.1:8080/ --rate 200 --duration 30 --json load.json
    seatrial load http://127.0.0.1:8080/predict --body @question.json --rate 50 --arrivals constant
    seatrial load http://127.0.0.1:8080/ --users 32

    With --rate, response times count from the intended send, so that a stall is charged to the server. An answer below
    status 400 is a success; what it says is compared with nothing. Before the run one request must be answered, whatever
    its status.

    \b
    Exit codes: 0 measured, failed requests included; 1 not one request succeeded; 2 usage; 3 nothing ran, the URL
    does not answer; 7 invalid: the client or the machine could not measure; 130 interrupted, with what there is.
    """
    from seatrial.load.address import compose_request, resolve

    _check_choice(rate, users, arrivals)
    _check_seconds(duration=duration, timeout=timeout, think=think, warm_up=warm_up, drain=drain)
    _check_files(json_file, ca_file)
    content = _read_body(body)
    address = resolve(url, allowed=allow_remote or (), ca_file=ca_file)
    request = compose_request(address, method=method, headers=header or (), body=content, reconnect=reconnect)
    schedule = None if users is not None else _draw(arrivals, rate, duration, seed)
    from seatrial.load.plan import Plan

    plan = Plan(
        destination=address.destination,
        requests=(request,),
        mode="closed" if schedule is None else "open",
        cases=(0,),
        users=users or 0,
        think_s=think,
        duration_s=duration,
        warm_up_s=warm_up,
        timeout_s=timeout,
        drain_s=drain,
        reconnect=reconnect,
    )
    try:
        plan = _ask_once(plan, schedule, url, quiet=quiet)
        result = _run(plan, schedule, rate, quiet=quiet)
    except KeyboardInterrupt:
        sys.stderr.write("seatrial: interrupted before anything was measured\n")
        raise typer.Exit(INTERRUPTED) from None
    _write(result, url, json_file)
    raise typer.Exit(_choose_code(result))


def _ask_once(plan: Plan, schedule: Schedule | None, url: str, *, quiet: bool) -> Plan:
    """See that the URL answers, and return the plan with as many connections as its answers will need, as it seems."""
    import math

    import msgspec

    from seatrial.load.probe import probe

    answer = probe(plan.destination, plan.requests[0], plan.timeout_s)
    if not quiet:
        note = "; that is a failure, all may fail" if answer.status >= 400 else ""
        note = note or ("; redirects are not followed" if 300 <= answer.status < 400 else "")
        sys.stderr.write(
            f"{url} answers with status {answer.status}, {answer.body_bytes} bytes, in {answer.took_s * 1e3:.0f} ms{note}\n"
        )
    if schedule is None or plan.reconnect:
        return plan
    # The first answer is a slow one as a rule, and what is missing is opened as it is needed.
    return msgspec.structs.replace(plan, connections=min(64, 2 + math.ceil(schedule.rate * answer.took_s)))


def _run(plan: Plan, schedule: Schedule | None, rate: float | None, *, quiet: bool) -> LoadResult:
    import signal
    import tempfile

    from seatrial.load.measuring import measure_load

    def tell(progress: Progress) -> None:
        if not quiet:
            sys.stderr.write(
                f"[{progress.elapsed_s:6.1f} s] sent {progress.sent}, in flight {progress.in_flight}, failed {progress.failed}\n"
            )

    # Told to end in the one way or the other, it says what there is and leaves nothing behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="seatrial-load-") as directory:
        return measure_load(plan, schedule, directory=Path(directory), requested=rate, on_progress=tell)


def _check_choice(rate: float | None, users: int | None, arrivals: str) -> None:
    has_rate = rate is not None or arrivals.startswith(_RATELESS)
    if has_rate == (users is not None):
        raise UsageError(
            "both --rate and --users were given, they are two kinds of load"
            if has_rate
            else "neither --rate nor --users was given",
            fix="--rate R for latency under a rate, or --users N for capacity",
        )
    if users is not None and not 1 <= users <= _MAX_USERS:
        raise UsageError(f"--users is {users}, 1 to {_MAX_USERS:,} were expected")


def _check_seconds(**seconds: float) -> None:
    for name, value in seconds.items():
        least = "above 0" if name in {"duration", "timeout"} else "0 or more"
        if not (0 <= value <= _MAX_SECONDS) or (value == 0 and least == "above 0"):
            raise UsageError(
                f"--{name.replace('_', '-')} is {value:g} seconds, {least} and at most {_MAX_SECONDS:g} were expected"
            )


def _check_files(json_file: str, ca_file: str) -> None:
    """What cannot be written or read is said before the run, not after it."""
    import os

    if json_file not in {"", "-"}:
        directory = Path(json_file).parent
        if Path(json_file).is_dir() or not directory.is_dir() or not os.access(directory, os.W_OK):
            raise UsageError(f"{json_file!r} cannot be written: a file in a directory that is there was expected")
    if ca_file and not Path(ca_file).is_file():
        raise UsageError(f"the certificates {ca_file!r} are no file")


def _draw(arrivals: str, rate: float | None, duration_s: float, seed: int) -> Schedule:
    from seatrial.load.schedules import make_schedule, parse_arrivals

    schedule = make_schedule(parse_arrivals(arrivals, rate, duration_s), duration_s=duration_s, seed=seed)
    if not len(schedule.offsets_ns):
        raise UsageError(
            f"{schedule.arrivals} for {duration_s:g} s is no request at all",
            fix="a longer --duration, or a higher rate",
        )
    return schedule


def _read_body(given: str) -> bytes:
    if not given.startswith("@"):
        return given.encode()
    path = Path(given[1:])
    if not path.is_file():
        raise UsageError(f"the body's file {given[1:]!r} is not there, or no file")
    if path.stat().st_size > _MAX_BODY_BYTES:
        raise UsageError(f"the body's file {given[1:]!r} is over {_MAX_BODY_BYTES >> 20} MB long")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"the body's file {given[1:]!r} cannot be read: {error}") from error


def _write(result: LoadResult, url: str, json_file: str) -> None:
    import msgspec

    from seatrial.load.summary import render_load

    data = msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"
    if json_file == "-":
        sys.stdout.write(data.decode())
        return
    sys.stdout.write(render_load(result, url))
    if json_file:
        path = Path(json_file)
        draft = path.with_name(f".{path.name}.part")
        try:
            draft.write_bytes(data)
            draft.replace(path)
        except OSError as error:
            raise UsageError(f"the result cannot be written to {json_file!r}: {error}") from error


def _choose_code(result: LoadResult) -> int:
    if any(reason.code == "interrupted" for reason in result.reasons):
        return INTERRUPTED
    causes = [] if result.valid else [ExitCode.MEASUREMENT_INVALID]
    if not result.outcomes.get("answered"):
        causes.append(ExitCode.CHECK_FAILED)
    return int(choose_exit_code(causes))
