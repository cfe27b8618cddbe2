"""The end of a trial: records to `run.json`, `run.json` to reports."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psutil

import seatrial
from seatrial import registry
from seatrial.errors import ExitCode, SeatrialError
from seatrial.masking import mask_command, mask_setting
from seatrial.owner import Leftover
from seatrial.provision.engine_api import ask_engine
from seatrial.records import EnvironmentRecord, LeftoverRecord, RunResult, TargetResult, encode_run
from seatrial.target import Progress
from seatrial.trial.measuring import read_calibration
from seatrial.trial.result import Tally, exit_code_of, gather, judge_target, judge_trial

if TYPE_CHECKING:
    from seatrial.trial.trial import Trial

Reporter = Callable[[RunResult, Path], Path]
_PACKAGES = (
    "boto3",
    "docker",
    "gradio",
    "kubernetes",
    "mlflow",
    "moto",
    "numpy",
    "onnxruntime",
    "pytest",
    "scikit-learn",
    "testcontainers",
    "uvicorn",
)


def finish_run(
    trial: Trial, leftovers: Sequence[Leftover], command: Sequence[str], broken_off: str, progress: Progress
) -> RunResult:
    """Write `run.json` and every report of a trial whose deployments are gone."""
    run = summarise(trial, leftovers, command, broken_off)
    trial.directory.write("run.json", encode_run(run))
    write_reports(run, trial.directory.path, progress)
    return run


def summarise(trial: Trial, leftovers: Sequence[Leftover], command: Sequence[str], broken_off: str) -> RunResult:
    """Compute the result of a trial from its records."""
    general = trial.settings.general
    tallies = gather(trial.directory.read_records())
    targets: dict[str, TargetResult] = {name: judge_target(tallies.get(name, Tally())) for name in trial.choice.targets}
    verdict, codes, causes = judge_trial(
        targets, require=general.require, named=trial.choice.named, nightly=general.profile == "nightly"
    )
    duration_s = time.monotonic() - trial.began_s
    still_there = [left for left in leftovers if not left.is_gone]
    if broken_off:
        causes.append(broken_off)
    if still_there:
        causes.append(
            f"still there: {', '.join(f'{left.kind} {left.id}' for left in still_there)}; run `seatrial clean`"
        )
    elif leftovers:
        causes.append(f"{len(leftovers)} things were left for the reaper to remove")
    if broken_off or still_there:
        verdict = "error"
        codes.add(ExitCode.DEPLOYMENT_FAILED)
    return RunResult(
        run_id=trial.run_id,
        started_at=(datetime.now(UTC) - timedelta(seconds=duration_s)).isoformat(timespec="milliseconds"),
        duration_s=duration_s,
        verdict=verdict,
        exit_code=exit_code_of(codes or {ExitCode.OK}),
        causes=tuple(causes),
        command=mask_command(command),
        model=trial.model_record,
        environment=describe_environment(),
        settings={path: mask_setting(path, setting.value) for path, setting in trial.settings.given.items()},
        seed=trial.settings.general.seed,
        order=trial.choice.order,
        targets=targets,
        leftovers=tuple(LeftoverRecord(kind=left.kind, id=left.id, how=left.how) for left in leftovers),
        calibration=read_calibration(trial.directory.path),
    )


def write_reports(run: RunResult, directory: Path, progress: Progress) -> list[Path]:
    """Write every registered report; one that fails is said and does not keep the others from being written."""
    written = []
    for name in registry.names(registry.REPORTERS_GROUP):
        try:
            reporter = cast("Reporter", registry.load(registry.REPORTERS_GROUP, name, "reporter"))
            written.append(reporter(run, directory))
        except Exception as error:  # noqa: BLE001 - a reporter is a plug-in; one that breaks must not lose the others
            progress(f"the {name} report was not written: {error}")
    return written


def describe_environment() -> EnvironmentRecord:
    """Return where this trial ran."""
    return EnvironmentRecord(
        seatrial=seatrial.__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()} ({sys.platform})",
        cpus=os.cpu_count() or 0,
        memory_bytes=psutil.virtual_memory().total,
        docker=_describe_engine(),
        packages={name: version for name in _PACKAGES if (version := _version_of(name))},
    )


def _describe_engine() -> str:
    """Version and platform of the Docker engine; empty where none answers."""
    try:
        version = ask_engine("/version")
    except SeatrialError:
        return ""
    return f"{version['Version']} {version['Os']}/{version['Arch']}"


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
