"""`seatrial calibrate`: what this machine can tell apart."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from seatrial.cli.app import INTERRUPTED, app
from seatrial.errors import ExitCode


@app.command()
def calibrate(
    quick: Annotated[bool, typer.Option("--quick", help="3 runs of 1 s each instead of 5 of 4 s.")] = False,
    specimen: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one; repeats. Default: six, of 0 to 50 ms.")
    ] = None,
    json_file: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Write the calibration there; - for standard output.")
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Say what this machine can tell apart: the noise floor of its latencies, and what measuring adds to them.

    \b
    seatrial calibrate                          about three minutes
    seatrial calibrate --quick --json floor.json

    Servers whose latency is known by construction are measured several times, in turn, 200 requests a second each. They
    note on the same clock when they read a request and when they answered it. What comes out:

    \b
    bias      measured less the server's own note: what sending, the host's network and reading add
    spread    the largest difference between two runs of the same thing
    floor     95 % of all pairs of runs of the same thing differ by at most this
    late      how late requests were sent

    Between two times that differ by less than three times the floor no ranking is given: two runs of one and the same
    server would differ by as much. A run in which the client or the machine could not measure is repeated, at most twice.

    \b
    Exit codes: 0 calibrated; 2 usage; 7 invalid: a specimen could not be measured as often as it should be; 130 interrupted.
    """
    from dataclasses import replace

    from seatrial.cli.json_file import write_json
    from seatrial.load.calibrating import calibrate as run
    from seatrial.load.calibration import FULL, QUICK
    from seatrial.load.calibration_table import render_calibration
    from seatrial.load.host_lock import HostLock
    from seatrial.load.limits import check_writable
    from seatrial.registry import find_specimen

    check_writable(json_file)
    for name in specimen or ():
        find_specimen(name)
    plan = QUICK if quick else FULL
    if specimen:
        plan = replace(plan, specimens=tuple(dict.fromkeys(specimen)))

    def tell(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    try:
        with HostLock().measure(tell):
            calibration = run(plan, tell=tell)
    except KeyboardInterrupt:
        sys.stderr.write("seatrial: interrupted before the machine was calibrated\n")
        raise typer.Exit(INTERRUPTED) from None
    if json_file != "-":
        sys.stdout.write(render_calibration(calibration))
    if json_file:
        write_json(calibration, json_file)
    raise typer.Exit(int(ExitCode.OK if calibration.valid else ExitCode.MEASUREMENT_INVALID))
