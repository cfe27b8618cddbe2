"""Records of a trial: what is appended to `records.jsonl` as it comes, and what `run.json` holds.

All are JSON-safe and decode strictly; `seatrial schema` prints their JSON Schema. `run.json` is versioned: fields are added
within a version, never renamed or removed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from seatrial.load.calibration import Calibration
from seatrial.load.result import LoadResult

RUN_SCHEMA: Final = "seatrial.run/1"

CheckStatus = Literal["pass", "fail", "error", "unsupported", "expected-failure", "not-run", "invalid"]
Verdict = Literal["pass", "partial", "fail", "invalid", "error"]
Level = Literal["MUST", "SHOULD", "MAY"]


class CheckRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of one check on one target."""

    target: str
    id: Annotated[str, Meta(description="stable id of the check, as in R01")]
    title: str
    level: Level
    status: CheckStatus
    message: Annotated[str, Meta(description="one sentence; for a failure also the evidence")] = ""
    source: Annotated[str, Meta(description="the sentence that is enforced and where it stands")] = ""
    reproduce: Annotated[str, Meta(description="the command that runs this check alone")] = ""
    duration_s: float = 0.0
    facts: Annotated[dict[str, Any], Meta(description="figures and counts, e.g. cases, right, worst_error")] = {}


class PhaseRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of a target's time in this trial: what was done from when to when, in seconds since the trial began."""

    target: str
    name: Annotated[str, Meta(description="build, publish, start, ready, first-answer, update, restart, undeploy")]
    start_s: float
    end_s: float


class NotRunRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something a target lacks, with the way to get it."""

    target: str
    name: str
    detail: str
    fix: str


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deployment that failed, or the harness itself."""

    target: str
    message: str
    exit_code: int
    logs: str = ""


class FidelityRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of the technology was real, emulated or absent."""

    real: tuple[str, ...]
    emulated: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class DeploymentRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts of one deployment, appended when it is taken down."""

    target: str
    address: str
    wire: str
    network_path: str
    fidelity: FidelityRecord
    phases_s: dict[str, float]
    versions: Annotated[dict[str, str], Meta(description="versions of the technology and what it runs on")] = {}
    limits: Annotated[dict[str, float | None], Meta(description="cpus and memory_bytes as read from inside")] = {}
    usage: Annotated[
        dict[str, float | None], Meta(description="cpu_s, memory_bytes, memory_peak_bytes, throttled_periods")
    ] = {}


class LoadRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A load run on one target, with what the target used meanwhile."""

    target: str
    name: Annotated[str, Meta(description="what it was for: latency, repeated-input")]
    attempt: Annotated[int, Meta(description="from 1; an invalid run is repeated")]
    result: LoadResult
    network_path: Annotated[str, Meta(description="loopback, published-port, node-port, …")]
    wire: str
    cases: Annotated[int, Meta(description="golden cases that were asked in turn")]
    usage: Annotated[
        dict[str, float | None],
        Meta(description="of the deployment over the run: cpu_s, throttled_periods; memory_peak_bytes since its start"),
    ] = {}
    samples: Annotated[str, Meta(description="where every request's record is, below the trial's directory")] = ""


class TargetResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about one target in `run.json`."""

    status: Verdict | Literal["not-run"]
    fidelity: FidelityRecord | None = None
    phases_s: dict[str, float] = {}
    timeline: tuple[PhaseRecord, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    metrics: Annotated[dict[str, float | None], Meta(description="headline figures with the unit in the name")] = {}
    deployments: tuple[DeploymentRecord, ...] = ()
    loads: tuple[LoadRecord, ...] = ()
    not_run: tuple[NotRunRecord, ...] = ()
    errors: tuple[ErrorRecord, ...] = ()
    notes: Annotated[tuple[str, ...], Meta(description="e.g. why limits are not comparable")] = ()


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model was on trial."""

    name: str
    version: str
    digest: str
    origin: str
    cases: int
    python: str


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the trial ran."""

    seatrial: str
    python: str
    platform: str
    cpus: int
    memory_bytes: int
    docker: str = ""
    packages: dict[str, str] = {}


class LeftoverRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something the trial had not taken down itself, found at its end."""

    kind: str
    id: str
    how: Annotated[str, Meta(description="removed, terminated, killed, or why it is still there")] = ""


class RunResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`run.json`: a whole trial."""

    run_id: str
    started_at: Annotated[str, Meta(description="UTC, ISO 8601")]
    duration_s: float
    verdict: Verdict
    exit_code: int
    causes: Annotated[tuple[str, ...], Meta(description="every reason for the exit code, not only the first")] = ()
    command: tuple[str, ...] = ()
    model: ModelRecord | None = None
    environment: EnvironmentRecord
    settings: dict[str, Any] = {}
    seed: int = 0
    targets: dict[str, TargetResult]
    leftovers: tuple[LeftoverRecord, ...] = ()
    calibration: Annotated[
        Calibration | None, Meta(description="what this machine could tell apart; null when it was not measured")
    ] = None
    schema: Literal["seatrial.run/1"] = RUN_SCHEMA


Record = CheckRecord | PhaseRecord | NotRunRecord | ErrorRecord | DeploymentRecord | LoadRecord


def encode_run(run: RunResult) -> bytes:
    """Return the text of `run.json`."""
    return msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"


def decode_run(data: bytes) -> RunResult:
    """Read `run.json`.

    Raises:
        msgspec.DecodeError: not JSON, not this schema, or a field that is not known.
    """
    return msgspec.json.decode(data, type=RunResult)
