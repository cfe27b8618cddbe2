"""`seatrial run`: a whole trial."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seatrial.cli.app import INTERRUPTED, app
from seatrial.cli.options import NO_DAEMON, Assignments, Targets, load_settings
from seatrial.errors import ExitCode, HarnessError

if TYPE_CHECKING:
    import pytest

    from seatrial.records import RunResult
    from seatrial.settings import Settings


@app.command()
def run(  # noqa: PLR0917 - each is an option, given by name
    target: Targets = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A bundled name, package.module:attribute, a model directory, an ONNX file. See `seatrial models`."
        ),
    ] = None,
    profile: Annotated[str | None, typer.Option(help="How much is asked: smoke, standard or nightly.")] = None,
    suite: Annotated[
        str | None, typer.Option(help="Which suites are asked: conformance, benchmark, or all (the default).")
    ] = None,
    allow_remote: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST", help="A host besides this machine that load, and what is malformed, may go to; repeats."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the trial's directory goes (default: seatrial-results).")
    ] = None,
    provision: Annotated[bool, typer.Option("--provision", help="First install what the targets lack.")] = False,
    require: Annotated[
        bool, typer.Option("--require", help="What a target lacks is a failure; also when CI is set.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the kind cluster for the next trial.")] = False,
    kube_context: Annotated[
        str | None, typer.Option(help="Use this cluster instead of a kind cluster of our own.")
    ] = None,
    sagemaker_live: Annotated[
        bool,
        typer.Option(
            "--sagemaker-live",
            help="SageMaker in your own account, which costs; --set targets.sagemaker.role_arn=… and so on.",
        ),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    last_failed: Annotated[
        bool,
        typer.Option(
            "--last-failed", help="Ask again just what failed when it was last asked, in the trials in --out."
        ),
    ] = False,
    serial: Annotated[
        bool, typer.Option("--serial", help="Bring targets up, and ask checks, one after another.")
    ] = False,
    set_: Assignments = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
) -> None:
    """Deploy the model to the targets, ask the checks, write the reports, take everything down.

    \b
    seatrial run                                      what needs no daemon: inprocess, local, gradio, mlflow, sagemaker
    seatrial run --target all --provision             all technologies
    seatrial run --model my_pkg.model:model --target docker
    """
    from seatrial.settings import runs_in_ci

    given = {
        "model": model,
        "target": target,
        "profile": profile,
        "suite": suite,
        "allow_remote": allow_remote,
        "out": str(out) if out else None,
        "require": True if require or runs_in_ci(os.environ) else None,
        "keep": keep or None,
        "kube_context": kube_context,
        "targets.sagemaker.live": sagemaker_live or None,
        "seed": seed,
        "serial": serial or None,
    }
    settings = load_settings(given, set_)
    say = Progress(quiet=quiet)
    if provision:
        from seatrial.cli.provision import provision_targets

        provision_targets(settings, say)
    raise typer.Exit(run_trial(settings, say, last_failed=last_failed))


def run_trial(settings: Settings, say: Progress, *, last_failed: bool = False) -> int:
    """Run pytest over the suites in this process, print the summary, and return the exit code of the command line."""
    from seatrial.cli.last_failed import LastFailed
    from seatrial.trial.summary import render_summary

    if not settings.general.target:
        settings = settings.with_given({"target": list(NO_DAEMON)}, "default of run")
        named: tuple[str, ...] = ()
    else:
        named = tuple(settings.general.target)
    if "seed" not in settings.given:
        settings = settings.with_given({"seed": secrets.randbelow(1 << 31)}, "drawn")
    # Read before this trial is the last one.
    further = [LastFailed(Path(settings.general.out), say)] if last_failed else []
    ended = hold_trial(settings, named, say, further)
    if ended.result is not None and ended.directory is not None:
        sys.stdout.write(render_summary(ended.result, ended.directory))
    if ended.problem:
        sys.stderr.write(f"seatrial: {ended.problem}\n")
    return ended.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTrial:
    """A trial that is over.

    Args:
        exit_code: of the command line.
        result: what it found; None where it did not come to that.
        directory: where its files are; None without a result.
        problem: what broke besides, for standard error.
    """

    exit_code: int
    result: RunResult | None = None
    directory: Path | None = None
    problem: str = ""


def hold_trial(settings: Settings, named: tuple[str, ...], say: Progress, further: Sequence[object] = ()) -> EndedTrial:
    """Run pytest over the suites in this process.

    Args:
        settings: all of them.
        named: the targets that the user wrote out.
        say: takes lines of progress.
        further: more pytest plug-ins.

    Raises:
        UsageError: a target's name is wrong.
    """
    import pytest

    from seatrial.plugin import find_session
    from seatrial.trial.trial import choose

    choose(settings.general.target, ())  # a wrong name is said before anything begins
    console = Console(settings, named, say)
    with without_pytest_environment():
        code = pytest.main(_pytest_arguments(), plugins=[console, *further])
    session = find_session(console.config) if console.config is not None else None
    result: RunResult | None = session.result if session is not None else None
    if session is None or result is None:
        problem = (session.problem if session is not None else "") or console.problem
        broken = ExitCode.USAGE if code == pytest.ExitCode.USAGE_ERROR else HarnessError.exit_code
        return EndedTrial(exit_code=int(broken), problem=problem)
    exit_code, problem = result.exit_code, ""
    if code == pytest.ExitCode.INTERRUPTED:
        exit_code = INTERRUPTED
    elif code == pytest.ExitCode.INTERNAL_ERROR or console.problem:
        problem = f"the suites themselves broke: {console.problem}"
        exit_code = result.exit_code or int(HarnessError.exit_code)
    return EndedTrial(exit_code=exit_code, result=result, directory=session.trial.directory.path, problem=problem)


@contextlib.contextmanager
def without_pytest_environment() -> Iterator[None]:
    """What the environment says to pytest, and which plug-ins are installed, is the user's own tests' business."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PYTEST_")}
    for name in kept:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        os.environ.update(kept)


def _pytest_arguments() -> list[str]:
    """The user's own pytest settings and conftest files play no part: `pytest --pyargs seatrial_suites` is for that."""
    off = ["-s", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "seatrial.plugin"]
    return ["--pyargs", "seatrial_suites", "-c", os.devnull, "--rootdir", str(Path.cwd()), "--noconftest", *off]


class Progress:
    """Lines of progress on standard error, with seconds since the start; nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._began_s = time.monotonic()

    def __call__(self, line: str) -> None:
        if not self._quiet:
            sys.stderr.write(f"[{time.monotonic() - self._began_s:6.1f} s] {line}\n")
            sys.stderr.flush()


class Console:
    """A pytest plug-in: hands the settings to the session and turns outcomes into lines."""

    def __init__(self, settings: Settings, named: tuple[str, ...], say: Progress) -> None:
        self._settings = settings
        self._named = named
        self._say = say
        self.config: pytest.Config | None = None
        self.problem = ""

    def pytest_configure(self, config: pytest.Config) -> None:
        from seatrial.plugin import find_session

        self.config = config
        config.pluginmanager.register(self._say, "seatrial-progress")
        find_session(config).use_settings(self._settings, self._named)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            name = report.nodeid.rpartition("::")[2]
            self._say(f"{name}: {report.outcome} ({report.duration:.1f} s)")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.problem = str(report.longrepr)

    def pytest_internalerror(self, excrepr: Any) -> None:
        self.problem = str(excrepr)
