"""`seatrial sagemaker-local`: SageMaker on this machine, for a person to work against."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seatrial.cli.app import INTERRUPTED, app
from seatrial.cli.options import load_settings
from seatrial.errors import DeploymentError, UsageError
from seatrial.load.result_file import is_special, write_file

if TYPE_CHECKING:
    from seatrial.emulation import EmulatorOrder, RunningEmulator
    from seatrial.model import ModelDirectory
    from seatrial.owner import Ownership
    from seatrial.settings import General
    from seatrial.target import DeployContext, Progress

_POLL_S = 0.2


@app.command()
def sagemaker_local(
    model: Annotated[
        str, typer.Option(help="Put into S3, and the image that serves it allowed; none: without. Default: digits.")
    ] = "",
    image: Annotated[
        list[str] | None, typer.Option(metavar="IMAGE", help="An image that may run, as CreateModel names it; repeats.")
    ] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE=COMMAND",
            help="What runs for an image where there is no Docker engine; {model} and {port} are filled in; repeats.",
        ),
    ] = None,
    host: Annotated[
        Literal["auto", "container", "process"], typer.Option(help="What runs behind an endpoint.")
    ] = "auto",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1; 0 takes a free one.")] = 0,
    refuse_config_in_use: Annotated[
        bool,
        typer.Option(
            "--refuse-config-in-use",
            help="Refuse DeleteEndpointConfig of what a live endpoint uses: the API reference forbids it, the service does it.",
        ),
    ] = False,
    env_file: Annotated[
        str, typer.Option(metavar="FILE", help="Write the lines to export there, readable by you only.")
    ] = "",
    fidelity: Annotated[
        bool, typer.Option("--fidelity", help="Print which operations are real, kept or absent, and end.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the lines to export.")] = False,
) -> None:
    """Run SageMaker on 127.0.0.1 until Ctrl-C: plain boto3 and the AWS CLI see what SageMaker would show them.

    \b
    seatrial sagemaker-local --env-file aws.env         then, in another shell:  . ./aws.env
    seatrial sagemaker-local --image my/image:1         your own container, by SageMaker's contract
    seatrial sagemaker-local --host process --program 'my/image:1=python serve.py --model {model} --port {port}'

    Models, configurations, S3, IAM and STS are kept by moto; endpoints are run for real, a container for each instance:
    model.tar.gz is fetched and unpacked, /ping must pass or the endpoint fails with the container's last lines,
    UpdateEndpoint moves to a new fleet, InvokeEndpoint asks the container. Without a Docker engine the container's entry
    point runs as a child process. What is not emulated answers 501 and says so.

    Nobody comes in without the keys, which are new at each start, and only the images that were named here may run.

    \b
    Exit codes: 0 ended by Ctrl-C or SIGTERM; 2 usage; 6 the emulator did not start, or ended by itself.
    """
    from seatrial.emulation import EmulatorOrder
    from seatrial.load.limits import check_writable
    from seatrial.owner import Owner
    from seatrial.registry import find_emulator
    from seatrial.trial.directory import new_run_id

    if fidelity:
        sys.stdout.write(find_emulator("sagemaker").describe())
        return
    check_writable(env_file)
    programs = read_programs(program or ())
    name = model or ("none" if image or programs else "digits")
    general = load_settings({}, None).general
    say = _choose_voice(quiet=quiet)
    try:
        with Owner.start(new_run_id(), Path(general.state_dir).expanduser()) as owner:
            directory = owner.directory("seatrial-sagemaker-")
            order = EmulatorOrder(
                context=_make_context(general, owner, directory, say),
                model=None if name == "none" else _build(name, directory / "models", owner, say),
                images=tuple(image or ()),
                programs=programs,
                host=host,
                port=port,
                refuse_config_in_use=refuse_config_in_use,
            )
            end = _serve(order, env_file, say)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if end:
        raise DeploymentError(f"{end}; what it ran has been taken away", fix="start it again")


def _make_context(general: General, owner: Ownership, directory: Path, say: Progress) -> DeployContext:
    from seatrial.model import Resources
    from seatrial.target import DeployContext

    return DeployContext(
        ownership=owner,
        work_dir=directory,
        cache_dir=Path(general.cache_dir).expanduser(),
        log_dir=directory / "logs",
        settings=None,
        resources=Resources(),
        progress=say,
    )


def _build(name: str, out: Path, owner: Ownership, say: Progress) -> ModelDirectory:
    from seatrial.model_source import build_model, find_model

    source = find_model(name)
    say(f"model {source.given}: runs {source.origin}")
    return build_model(source, out, owner)[0]


def _serve(order: EmulatorOrder, env_file: str, say: Progress) -> str:
    """Run the emulator until a signal; return how it ended when it did so by itself."""
    from seatrial.registry import find_emulator

    with find_emulator("sagemaker").run(order) as running:
        asked_to_end = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: asked_to_end.set())
        lines = render_exports(running)
        sys.stdout.write(lines)
        sys.stdout.flush()
        if env_file:
            write_private(Path(env_file), lines)
        for line in _describe(running):
            say(line)
        end = ""
        while not end and not asked_to_end.wait(_POLL_S):
            end = running.find_end()
        say("ending it, and everything that it runs")
    return end


def read_programs(given: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return argv by image of `IMAGE=COMMAND` words. Raises UsageError for what is not of that form."""
    programs = {}
    for pair in given:
        image, equals, command = pair.partition("=")
        try:
            argv = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--program {pair!r}: {error}") from error
        if not image or not equals or not argv:
            raise UsageError(
                f"--program {pair!r} is not IMAGE=COMMAND",
                fix="as in --program 'my/image:1=python serve.py --model {model} --port {port}'",
            )
        try:
            for word in argv:
                word.format_map({"model": "", "port": ""})
        except (KeyError, ValueError, IndexError) as error:
            raise UsageError(
                f"--program {pair!r}: only {{model}} and {{port}} are filled in, and {error} is neither",
                fix="write other braces twice: {{ and }}",
            ) from error
        programs[image] = argv
    return programs


def render_exports(running: RunningEmulator) -> str:
    """Return the lines for a shell."""
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in running.exports.items()]
    return "".join([*exports, f"unset {' '.join(running.unset)}\n"])


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads; what is none, as a pipe, is written to. Raises UsageError when it cannot be."""
    try:
        if is_special(path):
            write_file(path, text.encode())
            return
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"--env-file {path} cannot be written: {error.strerror}") from error


def _describe(running: RunningEmulator) -> Sequence[str]:
    fidelity = running.fidelity
    kinds = {"real": fidelity.real, "emulated": fidelity.emulated, "absent": fidelity.absent}
    told = [f"{kind}: {', '.join(phrases)}" for kind, phrases in kinds.items() if phrases]
    return [*told, *running.hints, "Ctrl-C ends it, with everything that it runs"]


def _choose_voice(*, quiet: bool) -> Progress:
    def say(line: str) -> None:
        if not quiet:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    return say
