"""A trial: what was chosen, who owns what is created, the model, the fleet; at the end the result and the reports."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seatrial import registry
from seatrial.errors import HarnessError, SeatrialError, UsageError
from seatrial.load.host_lock import HostLock
from seatrial.masking import find_secrets, hide, mask_setting
from seatrial.model import LEARNED, UNSTEADY, ModelDirectory
from seatrial.model_source import ModelSource, build_model, find_model
from seatrial.owner import Leftover, Owner, OwnerClient
from seatrial.records import CheckRecord, ModelRecord, NotRunRecord, Record, RunResult
from seatrial.requirement import Requirement
from seatrial.settings import Setting, Settings
from seatrial.target import DeployContext, Progress
from seatrial.trial.directory import TrialDirectory, encode_record, new_run_id
from seatrial.trial.equality import compare_targets
from seatrial.trial.fleet import Berth, Fleet
from seatrial.trial.further import Further
from seatrial.trial.hiding import hide_in_record
from seatrial.trial.report import finish_run
from seatrial.trial.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a trial is over.

    Attributes:
        targets: all of them.
        named: those that the user wrote out, not those that `all` stands for.
        order: all of them as they are asked, one after the other.
    """

    targets: tuple[str, ...]
    named: tuple[str, ...]
    order: tuple[str, ...] = ()


def choose(expressions: Sequence[str], default: Sequence[str]) -> Choice:
    """Return the targets that options like `docker,mlflow`, `all`, `!gradio` mean; `default` when there are none."""
    given = [word.strip() for expression in expressions for word in expression.split(",") if word.strip()]
    targets = registry.choose_targets(given or list(default))
    return Choice(targets=tuple(targets), named=tuple(name for name in targets if name in given))


class Trial:
    """One run. Made by `start` (it owns everything then) or by `attach` (a worker of one); `finish` ends it.

    Attributes:
        models: directories of the model's versions, the one to deploy first.
        fleet: the deployments.
        model_record: which model is on trial.
        lock: keeps this machine at rest while something is timed.
        turns: who of several checks that are asked at the same time asks a deployment that they share.
        further: deployments that checks have besides those of the fleet.
        lacking: unmet requirements by target; a target in it is not deployed.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        choice: Choice,
        directory: TrialDirectory,
        ownership: OwnerClient,
        models: Sequence[ModelDirectory],
        began_s: float,
        record: Callable[[Record], None],
        progress: Progress,
    ) -> None:
        self.settings = settings
        self.choice = choice
        self.directory = directory
        self.models = tuple(models)
        self.began_s = began_s
        secrets = [secret for name in choice.targets for secret in self._find_secrets(name)]
        self.record: Callable[[Record], None] = lambda each: record(hide_in_record(each, secrets))
        self.lock = HostLock()
        self.turns = Turns()
        self.further = Further()
        self._ownership = ownership
        self._progress: Progress = lambda line: progress(hide(line, secrets))
        self.lacking = {name: self._list_lacking(name) for name in choice.targets}
        self.model_record = self._describe_model()
        self._temporary_dirs: list[Path] = []
        usable = [name for name in choice.targets if not self.lacking[name]]
        self.fleet = Fleet(
            {name: self._make_berth(name) for name in usable},
            self.models[0],
            record=record,
            began_s=began_s,
            progress=self._progress,
            serial=settings.general.serial,
            lock=self.lock,
        )

    @property
    def run_id(self) -> str:
        return self.directory.path.name

    @property
    def is_owner(self) -> bool:
        return isinstance(self._ownership, Owner)

    @classmethod
    def start(cls, settings: Settings, choice: Choice, *, progress: Progress) -> Trial:
        """Begin a trial: its directory, its owner, its model.

        Raises:
            SeatrialError: the model cannot be built, the directory cannot be written.
        """
        began_s = time.monotonic()
        general = settings.general
        source = find_model(general.model)
        directory = TrialDirectory.create(Path(general.out), new_run_id())
        owner = Owner.start(directory.path.name, Path(general.state_dir).expanduser())
        try:
            progress(f"trial {directory.path.name}: model {source.given}: {_say_whose_code(source, choice)}")
            models_dir = owner.directory("seatrial-models-")
            models = build_model(source, models_dir, owner)
            directory.write("start.json", _describe_start(settings, choice, source, models))
            trial = cls(
                settings=settings,
                choice=choice,
                directory=directory,
                ownership=owner,
                models=models,
                began_s=began_s,
                record=lambda record: directory.append(encode_record(record)),
                progress=progress,
            )
        except BaseException:
            owner.close()
            raise
        trial._temporary_dirs.append(models_dir)
        return trial

    @classmethod
    def attach(cls, token: Mapping[str, Any], *, record: Callable[[Record], None], progress: Progress) -> Trial:
        """Join a trial as one of its workers; what is created belongs to the trial's owner."""
        given = {path: Setting(value, source) for path, value, source in token["settings"]}
        return cls(
            settings=Settings(given),
            choice=Choice(targets=tuple(token["targets"]), named=tuple(token["named"])),
            directory=TrialDirectory(Path(token["directory"])),
            ownership=OwnerClient.attach(token["owner"]),
            models=[ModelDirectory.open(Path(path)) for path in token["models"]],
            began_s=token["began_s"],
            record=record,
            progress=progress,
        )

    def make_token(self) -> dict[str, Any]:
        """Return what a worker needs to `attach`, JSON-safe."""
        return {
            "settings": [[path, setting.value, setting.source] for path, setting in self.settings.given.items()],
            "targets": list(self.choice.targets),
            "named": list(self.choice.named),
            "directory": str(self.directory.path),
            "owner": self._ownership.client_token(),
            "models": [str(model.path) for model in self.models],
            "began_s": self.began_s,
        }

    def must_run(self, name: str) -> bool:
        """Whether it is a failure when this target cannot run here."""
        return self.settings.general.require or name in self.choice.named

    @contextlib.contextmanager
    def open_directory(self, prefix: str) -> Iterator[Path]:
        """Own a directory during the block."""
        path = self._ownership.directory(prefix)
        self._temporary_dirs.append(path)
        try:
            yield path
        finally:
            self._ownership.remove_directory(path)
            self._temporary_dirs.remove(path)

    def record_lacking(self) -> None:
        """Record what each target lacks."""
        for name, lacking in self.lacking.items():
            for each in lacking:
                self.record(NotRunRecord(target=name, name=each.name, detail=each.detail, fix=each.fix))

    def say(self, line: str) -> None:
        """Tell one line of what is happening."""
        self._progress(line)

    def take_down(self) -> None:
        """Take every deployment down and remove what it worked in."""
        self.further.close()
        self.fleet.close()
        for path in list(self._temporary_dirs):  # a check that is still asked may give one back
            with contextlib.suppress(SeatrialError):  # the reaper has another try, and says what it found
                self._ownership.remove_directory(path)

    def finish(self, command: Sequence[str] = (), *, broken_off: str = "") -> RunResult:
        """Take everything down, write `run.json` and the reports, and return the result. For the owner only.

        `broken_off` says why not everything was asked that should have been: then the verdict is never a pass.

        Raises:
            HarnessError: records or `run.json` could not be written; everything is taken down all the same.
        """
        self.take_down()
        leftovers: list[Leftover] = self._ownership.close() if isinstance(self._ownership, Owner) else []
        fix = "free some space, or choose another place with --out"
        if not self.directory.problem:
            self._compare_targets()
        if self.directory.problem:
            raise HarnessError(self.directory.problem, fix=fix)
        try:
            return finish_run(self, leftovers, command, broken_off, self._progress)
        except OSError as error:
            raise HarnessError(f"{self.directory.path / 'run.json'} cannot be written: {error}", fix=fix) from error

    def _compare_targets(self) -> None:
        """Record whether the targets gave the same answers."""
        checks = [record for record in self.directory.read_records() if isinstance(record, CheckRecord)]
        for record in compare_targets(checks, self.models[0].manifest, self.directory.path, self.choice.targets):
            self.record(record)

    def _describe_model(self) -> ModelRecord:
        model = self.models[0]
        return ModelRecord(
            name=model.name,
            version=model.version,
            digest=model.digest,
            origin=_describe_origin(find_model(self.settings.general.model), model),
            cases=len(model.cases),
            python=model.manifest.python,
        )

    def _find_secrets(self, name: str) -> tuple[str, ...]:
        """What a target sends along that is not to be told; nothing of one that cannot be imported, for it sends nothing."""
        try:
            settings = self.settings.for_target(registry.find_target(name))
        except UsageError:
            return ()
        return find_secrets(getattr(settings, "headers", {}))

    def _list_lacking(self, name: str) -> list[Requirement]:
        try:
            target = registry.find_target(name)
        except UsageError as error:
            return [Requirement(name=f"extra {name}", found=False, detail=error.message, fix=error.fix)]
        found = target.probe_requirements(self.settings.for_target(target))
        return [requirement for requirement in found if not requirement.found]

    def _make_berth(self, name: str) -> Berth:
        general = self.settings.general
        target = registry.find_target(name)
        work_dir = self._ownership.directory(f"seatrial-{name}-")
        self._temporary_dirs.append(work_dir)
        settings = self.settings.for_target(target)
        context = DeployContext(
            ownership=self._ownership,
            work_dir=work_dir,
            cache_dir=Path(general.cache_dir).expanduser(),
            log_dir=self.directory.log_dir,
            settings=settings,
            resources=self.models[0].manifest.resources,
            progress=lambda line: self._progress(f"{name}: {line}"),
            keep=general.keep,
            kube_context=general.kube_context or getattr(settings, "context", ""),
            ready_timeout_s=general.ready_timeout_s,
            stop_grace_s=general.stop_grace_s,
        )
        return Berth(target=target, context=context)


def _say_whose_code(source: ModelSource, choice: Choice) -> str:
    if source.kind == "directory" and registry.NOT_IN_ALL.issuperset(choice.targets):
        return "none of its code is run, for nothing is deployed"
    return f"runs {source.origin}"


def _describe_origin(source: ModelSource, model: ModelDirectory) -> str:
    golden = model.manifest.golden
    return f"answers of {golden}" if golden in {LEARNED, UNSTEADY} else source.origin


def _describe_start(settings: Settings, choice: Choice, source: ModelSource, models: Sequence[ModelDirectory]) -> bytes:
    """What a killed trial leaves besides its records: what it was about."""
    import msgspec

    facts = {
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "targets": choice.targets,
        "model": {"given": source.given, "name": models[0].name, "versions": [model.version for model in models]},
        "settings": {
            path: {"value": mask_setting(path, setting.value), "source": setting.source}
            for path, setting in settings.given.items()
        },
    }
    return msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n"
