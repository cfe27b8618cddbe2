"""What `seatrial check` does: finds or learns the model, and holds a trial over the target `url`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

from seatrial.check_result import summarise_checks
from seatrial.cli.check_order import SUITE, CheckOrder, tell_command
from seatrial.cli.check_table import render_checks
from seatrial.cli.json_file import STANDARD_OUTPUT, write_json
from seatrial.cli.run import EndedTrial, Progress, hold_trial
from seatrial.discovery import MODEL_FIX, discover, require_connection
from seatrial.errors import SeatrialError, UsageError
from seatrial.learning import Learned, learn
from seatrial.masking import find_secrets, hide
from seatrial.settings import Settings

_TARGET: Final = "url"
_READY_TIMEOUT_S: Final = 10.0


def conduct(order: CheckOrder, say: Progress) -> int:
    """Hold the trial, tell and write its result, and return the exit code.

    Raises:
        SeatrialError: nothing can be asked.
    """
    with tempfile.TemporaryDirectory(prefix="seatrial-check-") as directory:
        subject, name = _find_subject(order, Path(directory), say)
        ended = hold_trial(_make_settings(order, subject, name, Path(directory)), (_TARGET,), say)
        if ended.result is not None:
            _tell(order, subject, name, ended)
    if ended.problem:
        sys.stderr.write(f"seatrial: {ended.problem}\n")
    return ended.exit_code


def _find_subject(order: CheckOrder, directory: Path, say: Progress) -> tuple[Learned, str]:
    """Return the model, and the name by which it is asked; an empty one stands for the model's own."""
    secrets = find_secrets(order.endpoint.headers)
    try:
        require_connection(order.endpoint)
        if order.model is not None:
            # A function of an app has another name than the model in it.
            asks_name = order.endpoint.wire.startswith("gradio") and not order.endpoint.name
            name = discover(order.endpoint).name if asks_name else order.endpoint.name
            return Learned(model=order.model), name
        told = discover(order.endpoint)
        if told.signature is None:
            raise UsageError(
                f"a server asked by the wire {order.endpoint.wire} does not tell the signature of its model",
                fix=MODEL_FIX,
            )
        learned = learn(
            order.endpoint, told, directory / "learned", seed=order.seed, say=lambda line: say(hide(line, secrets))
        )
    except SeatrialError as error:
        raise type(error)(hide(error.message, secrets), fix=error.fix) from None
    return Learned(model=learned.model, remarks=tuple(hide(each, secrets) for each in learned.remarks)), told.name


def _make_settings(order: CheckOrder, subject: Learned, name: str, directory: Path) -> Settings:
    options, endpoint = order.options, order.endpoint
    given = {
        "model": str(subject.model.path),
        "target": [_TARGET],
        "profile": options.profile,
        "suite": SUITE,
        "check": list(order.check_ids),
        "seed": order.seed,
        "out": str(options.out if options.out is not None else directory / "results"),
        "require": False,
        "ready_timeout_s": _READY_TIMEOUT_S,
        "targets.url.address": endpoint.address,
        "targets.url.wire": endpoint.wire,
        "targets.url.name": quote(name, safe=""),
        "targets.url.headers": dict(endpoint.headers),
        "targets.url.ca_file": endpoint.ca_file,
    }
    return order.settings.with_given(given, "command line")


def _tell(order: CheckOrder, subject: Learned, name: str, ended: EndedTrial) -> None:
    options = order.options
    assert ended.result is not None
    assert ended.directory is not None
    result = summarise_checks(
        ended.result,
        subject.model,
        url=options.url,
        wire=options.wire,
        name=name or subject.model.name,
        exit_code=ended.exit_code,
        remarks=subject.remarks,
        reproduce=lambda check_id: shlex.join(tell_command(order, check_id)),
    )
    if options.json_file != STANDARD_OUTPUT:
        kept = f"report: {ended.directory / 'report.html'}\n" if options.out is not None else ""
        sys.stdout.write(render_checks(result) + kept)
    if options.json_file:
        write_json(result, options.json_file)
