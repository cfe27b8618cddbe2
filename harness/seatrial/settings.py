"""Settings, each with where it came from: default < pyproject.toml < environment < command line.

`[tool.seatrial]` in pyproject.toml holds the general settings, `[tool.seatrial.targets.NAME]` those of a target,
`[tool.seatrial.objectives]` what a deployment is asked to keep, `[[tool.seatrial.expect.NAME]]` what a target is known to break.
In the environment, `SEATRIAL_MODEL` is `model`, `SEATRIAL_KUBERNETES_NODE_IMAGE` is `targets.kubernetes.node_image`,
`SEATRIAL_OBJECTIVES_P99_MS` is `objectives.p99_ms`.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from seatrial import registry
from seatrial.errors import UsageError
from seatrial.expectations import Expectation, read_entries
from seatrial.load.objectives import Objectives
from seatrial.masking import mask_setting
from seatrial.suggestion import suggest

if TYPE_CHECKING:
    from seatrial.target import Target

ENVIRONMENT_PREFIX = "SEATRIAL_"
_OBJECTIVES = "objectives."
_EXPECT = "expect."
# Set in the children of a trial and of its tests, and by the wrapper script; they configure nothing.
_NOT_SETTINGS = frozenset({"SEATRIAL_TRIAL", "SEATRIAL_HELD_BY", "SEATRIAL_PYTHON", "SEATRIAL_VENV"})


class General(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `[tool.seatrial]` itself."""

    model: Annotated[
        str, Meta(description="what is served: a name, package.module:attribute, a directory, an ONNX file")
    ] = "digits"
    target: Annotated[list[str], Meta(description="targets to deploy to: names, all, !name")] = []
    profile: Annotated[Literal["smoke", "standard", "nightly"], Meta(description="how much is asked")] = "smoke"
    suite: Annotated[Literal["all", "conformance", "benchmark"], Meta(description="which suites are asked")] = "all"
    check: Annotated[
        list[str], Meta(description="ids of the checks to ask, whatever their profile; none: those of the profile")
    ] = []
    allow_remote: Annotated[
        list[str], Meta(description="hosts besides this machine that load and faults may go to")
    ] = []
    out: Annotated[str, Meta(description="where trials' directories go")] = "seatrial-results"
    cache_dir: Annotated[str, Meta(description="wheels and build contexts, kept between trials")] = "~/.cache/seatrial"
    state_dir: Annotated[str, Meta(description="journals of what trials created, and of what provision did")] = (
        "~/.local/state/seatrial"
    )
    require: Annotated[bool, Meta(description="a target that lacks something is a failure; true when CI is set")] = (
        False
    )
    keep: Annotated[bool, Meta(description="keep the kind cluster for the next trial")] = False
    kube_context: Annotated[str, Meta(description="use this cluster instead of a kind cluster of our own")] = ""
    ready_timeout_s: Annotated[float, Meta(description="bound on start to ready, for each deployment", gt=0)] = 180.0
    stop_grace_s: Annotated[float, Meta(description="SIGTERM to SIGKILL when a deployment is stopped", ge=0)] = 10.0
    seed: Annotated[int, Meta(description="of everything random")] = 0
    calibrate: Annotated[
        bool, Meta(description="measure this machine's noise floor before the first load; never in the profile smoke")
    ] = True
    serial: Annotated[bool, Meta(description="bring targets up, and ask checks, one after another")] = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its source, in words: `default`, `pyproject.toml`, `SEATRIAL_MODEL`, `--model`."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings that were given, by dotted path; what was not given has its default."""

    given: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def general(self) -> General:
        """The general settings, checked."""
        values = {path: setting.value for path, setting in self.given.items() if "." not in path}
        general: General = _convert(values, General, self, "")
        return general

    @property
    def objectives(self) -> Objectives:
        """What a deployment is asked to keep, checked."""
        values = {
            path.removeprefix(_OBJECTIVES): s.value for path, s in self.given.items() if path.startswith(_OBJECTIVES)
        }
        objectives: Objectives = _convert(values, Objectives, self, _OBJECTIVES)
        return objectives

    @property
    def expectations(self) -> dict[str, tuple[Expectation, ...]]:
        """The user's entries of expected failures by target, checked."""
        return {
            path.removeprefix(_EXPECT): read_entries(
                _parse_text(s.value, list), f"{s.source}, [[tool.seatrial.{path}]]"
            )
            for path, s in self.given.items()
            if path.startswith(_EXPECT)
        }

    def for_target(self, target: Target) -> Any:
        """The settings of a target, checked against its `settings_type`."""
        prefix = f"targets.{target.name}."
        values = {path.removeprefix(prefix): s.value for path, s in self.given.items() if path.startswith(prefix)}
        takes_context = any(each.name == "context" for each in msgspec.structs.fields(target.settings_type))
        if takes_context and "kube_context" in self.given:
            values.setdefault("context", self.given["kube_context"].value)
        return _convert(values, target.settings_type, self, prefix)

    def with_given(self, values: Mapping[str, Any], source: str) -> Settings:
        """Return settings in which `values` (by dotted path) come from `source` and win."""
        return Settings({**self.given, **{path: Setting(value, source) for path, value in values.items()}})

    def list_all(self) -> list[tuple[str, Any, str]]:
        """Return (path, value, source) of every general setting and objective, and of every target setting that was given.

        Of headers only the names are returned.
        """
        known = msgspec.structs.asdict(self.general) | {
            f"{_OBJECTIVES}{name}": value for name, value in msgspec.structs.asdict(self.objectives).items()
        }
        rows = [
            (path, value, self.given[path].source if path in self.given else "default") for path, value in known.items()
        ]
        return rows + [
            (path, mask_setting(path, s.value), s.source) for path, s in sorted(self.given.items()) if path not in known
        ]


def read_settings(directory: Path, environ: Mapping[str, str]) -> Settings:
    """Read pyproject.toml of `directory` or the nearest parent that has one, and the environment.

    Raises:
        UsageError: TOML that does not parse, an unknown setting or target, a value of the wrong type.
    """
    settings = Settings()
    file = next(
        (d / "pyproject.toml" for d in (directory, *directory.parents) if (d / "pyproject.toml").is_file()), None
    )
    if file is not None:
        settings = settings.with_given(_read_file(file), str(file))
    for path, (value, name) in _read_environment(environ).items():
        settings = settings.with_given({path: value}, name)
    check_settings(settings)
    return settings


def runs_in_ci(environ: Mapping[str, str]) -> bool:
    """Whether `CI` is set, and not to a word for no."""
    return environ.get("CI", "").lower() not in {"", "0", "false", "no"}


def check_settings(settings: Settings) -> None:
    """Raise UsageError for the first setting that is unknown or of the wrong type."""
    _ = settings.general, settings.objectives, settings.expectations
    known = registry.names(registry.TARGETS_GROUP)
    for path, setting in settings.given.items():
        head, _, rest = path.partition(".")
        if not rest or head == "objectives":
            continue
        name = rest.partition(".")[0] if head == "targets" else rest
        if head not in ("targets", "expect") or name not in known:
            wrong, right = (
                (name, known) if head in ("targets", "expect") else (head, ["targets", "objectives", "expect"])
            )
            raise UsageError(f"{setting.source}: there is no setting {path!r}.{suggest(wrong, right)}")
        if head == "targets":
            settings.for_target(registry.find_target(name))


def _read_file(file: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error
    return dict(_flatten(tables.get("tool", {}).get("seatrial", {})))


def _flatten(table: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterable[tuple[str, Any]]:
    """Yield dotted paths: general keys, and two levels down for targets; deeper tables are values."""
    for key, value in table.items():
        nested = isinstance(value, Mapping) and (depth == 0 or (depth == 1 and prefix == "targets."))
        if nested:
            yield from _flatten(value, f"{prefix}{key}.", depth + 1)
        else:
            yield f"{prefix}{key}", value


def _read_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    general = {field.name for field in msgspec.structs.fields(General)}
    objectives = {f"objectives_{field.name}" for field in msgspec.structs.fields(Objectives)}
    targets = registry.names(registry.TARGETS_GROUP)
    found: dict[str, tuple[Any, str]] = {}
    for name, text in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _NOT_SETTINGS:
            continue
        word = name.removeprefix(ENVIRONMENT_PREFIX).lower()
        target = next((t for t in targets if word.startswith(f"{t.replace('-', '_')}_")), None)
        if word in general:
            found[word] = (text.split(",") if word in {"target", "check", "allow_remote"} else text, name)
        elif target is not None:
            found[f"targets.{target}.{word[len(target) + 1 :]}"] = (text, name)
        elif word in objectives:
            found[word.replace("_", ".", 1)] = (text, name)
        else:
            raise UsageError(f"{name} is set, but there is no such setting.{suggest(word, general | objectives)}")
    return found


def _convert(values: Mapping[str, Any], kind: Any, settings: Settings, prefix: str) -> Any:
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    known = list(types)
    for name in values:
        if name not in known:
            source = settings.given[prefix + name].source
            raise UsageError(f"{source}: there is no setting {prefix + name!r}.{suggest(name, known)}")
    try:
        return msgspec.convert(
            {name: _parse_text(value, types[name]) for name, value in values.items()}, kind, strict=False
        )
    except msgspec.ValidationError as error:
        where = next(
            (s.source for path, s in settings.given.items() if path.removeprefix(prefix) in str(error)), "settings"
        )
        raise UsageError(f"{where}: {prefix.rstrip('.') or 'a setting'} has a wrong value: {error}") from error


def _parse_text(value: Any, kind: Any) -> Any:
    """A list or table that came as text, as options and variables do: JSON, or a list's words as a shell splits them."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    origin = get_origin(kind) or kind
    if not isinstance(value, str) or origin not in {list, tuple, dict}:
        return value
    if value.lstrip()[:1] in {"[", "{"}:
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value if origin is dict else shlex.split(value.replace(",", " ") if " " not in value else value)
