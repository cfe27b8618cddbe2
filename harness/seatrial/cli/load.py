"""`seatrial load`: latency or capacity of an endpoint that already runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from seatrial.cli.app import INTERRUPTED, app


@app.command()
def load(  # noqa: PLR0917 - each is an option, given by name
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="http or https; on this machine, unless --allow-remote names its host."),
    ],
    rate: Annotated[
        float | None, typer.Option(metavar="R", help="Open loop: requests a second, sent whatever the server does.")
    ] = None,
    arrivals: Annotated[
        str | None,
        typer.Option(
            metavar="LAW",
            help="Open loop: poisson, as without it, constant, gamma:SHAPE; or, instead of --rate, ramp:FROM-TO, "
            "steps:RATExSECONDS,…, trace:FILE of times, in seconds from the window's beginning, one a line.",
        ),
    ] = None,
    users: Annotated[
        int | None, typer.Option(metavar="N", help="Closed loop: users who each wait for their answer.")
    ] = None,
    think: Annotated[
        float, typer.Option(metavar="SECONDS", help="Closed loop: between an answer and the next question.")
    ] = 0.0,
    duration: Annotated[float, typer.Option(metavar="SECONDS", help="Of the timed window.")] = 10.0,
    warm_up: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS|auto",
            help="The same load before the window, in no figure; auto: until response times are level, a minute at most, "
            "20 s with --find-rate. Given with --find-rate, either holds before every run. Default: auto, with --find-rate "
            "before the first run alone; 0 with Locust's own users.",
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Open loop: what must be kept, as 'p99 <= 50 ms and errors < 0.1 %'; failed requests count as infinitely "
            "slow. The window ends early when the first half million requests tell.",
        ),
    ] = "",
    whole: Annotated[bool, typer.Option("--whole", help="With --objective: never end the window early.")] = False,
    find_rate: Annotated[
        bool,
        typer.Option(
            "--find-rate", help="Search the highest rate that keeps the objective, from --rate on, or from 10 a second."
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="pacer; locust: pacers driven by Locust; fast-http, http: Locust's own users, to compare.",
        ),
    ] = "pacer",
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that send, each with its share; more than one by Locust.")
    ] = 1,
    method: Annotated[str, typer.Option(metavar="METHOD", help="Default: GET, or POST with a body.")] = "",
    header: Annotated[list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="A header; repeats.")] = None,
    body: Annotated[str, typer.Option(metavar="TEXT|@FILE", help="What is sent, the same each time.")] = "",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="After which a request without a whole answer has failed.")
    ] = 10.0,
    drain: Annotated[
        float, typer.Option(metavar="SECONDS", help="For which pending requests are waited for after the window.")
    ] = 10.0,
    reconnect: Annotated[
        bool, typer.Option("--reconnect", help="A new connection for each request; what it takes is told apart.")
    ] = False,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of the schedule: the same one sends at the same times.", min=0)
    ] = 1,
    ca_file: Annotated[
        str, typer.Option(metavar="FILE", help="https: certificates, PEM, to trust besides the system's.")
    ] = "",
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
    seatrial load http://127.0.0.1:8080/ --arrivals trace:times.csv --duration 60
    seatrial load http://127.0.0.1:8080/ --rate 100 --objective 'p99 <= 50 ms and errors < 0.1 %'
    seatrial load http://127.0.0.1:8080/ --find-rate --objective 'p99 <= 50 ms'
    seatrial load https://127.0.0.1:8443/ --rate 50 --ca-file authority.pem

    A trace or steps longer than --duration are cut there, which the result says; the last of shorter steps goes on.

    The window begins when response times are level, after five seconds at the earliest: --warm-up 0 begins at once.
    --find-rate waits for that before its first run; the later ones find a server that is warm.

    With --rate, response times count from the intended send, so that a stall is charged to the server. An answer below
    status 400 is a success; what it says is compared with nothing. Before the run one request must be answered, whatever
    its status.

    The result is valid; SATURATED, where the server could not keep up: its times are those of an overload; or INVALID, where
    the client or the machine could not measure: with the reasons, and without times.

    Progress goes to standard error: a bar on a terminal; a line a second elsewhere, and where CI, NO_COLOR or TERM=dumb is
    set; nothing with -q.

    \b
    Exit codes: 0 measured, failed requests included; 1 not one request succeeded, or the objective was missed; 2 usage;
    3 nothing ran, the URL does not answer; 7 invalid: the client or the machine could not measure, or too little to tell
    whether the objective is kept; 130 interrupted, with what there is.
    """
    from seatrial.cli import load_checks, load_display, load_runs
    from seatrial.load import limits

    objectives = load_runs.read_objectives(objective, find_rate=find_rate, users=users)
    load_checks.check_objective(objectives, arrivals, whole=whole, find_rate=find_rate)
    rate = load_runs.FIRST_RATE if find_rate and rate is None else rate
    limits.check_kind(rate, users, arrivals)
    load_checks.check_think(users, think)
    load_checks.check_engine(engine, workers, users=users, judged=bool(objective))
    warm_up_s = load_checks.choose_warm_up(warm_up, engine)
    seconds = {"duration": duration, "timeout": timeout, "think": think, "warm-up": warm_up_s or 0.0, "drain": drain}
    limits.check_seconds(seconds)
    limits.check_writable(json_file)
    limits.check_certificates(ca_file, url)
    order = load_runs.LoadOrder(
        url=url,
        arrivals=arrivals or "poisson",
        rate=rate,
        users=users or 0,
        think_s=think,
        duration_s=duration,
        warm_up_s=warm_up_s,
        later_warm_up_s=0.0 if warm_up is None else warm_up_s,
        timeout_s=timeout,
        drain_s=drain,
        seed=seed,
        method=method,
        headers=tuple(header or ()),
        body=limits.read_body(body),
        reconnect=reconnect,
        ca_file=ca_file,
        allowed=tuple(allow_remote or ()),
        objectives=objectives,
        stops_early=not whole,
        engine=engine,
        workers=workers,
        display=load_display.open_display(sys.stderr, os.environ, quiet=quiet),
    )
    try:
        code = load_runs.search(order, json_file) if find_rate else load_runs.measure(order, json_file)
    except KeyboardInterrupt as interrupt:
        why = f": {interrupt}" if str(interrupt) else ""
        sys.stderr.write(f"seatrial: interrupted before anything was measured{why}\n")
        code = INTERRUPTED
    raise typer.Exit(code)
