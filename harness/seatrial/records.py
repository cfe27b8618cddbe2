"""Records of a trial: what is appended to `records.jsonl` as it comes, and what `run.json` holds.

All are JSON-safe and decode strictly; `seatrial schema` prints their JSON Schema. `run.json` is versioned: fields are added
within a version, never renamed or removed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from seatrial.load.calibration import Calibration
from seatrial.load.capacity import Capacity
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
    message: Annotated[
        str, Meta(description="one sentence; for a failure also the evidence, for an expected one the reason first")
    ] = ""
    source: Annotated[str, Meta(description="the sentence that is enforced and where it stands")] = ""
    reproduce: Annotated[str, Meta(description="the command that runs this check alone")] = ""
    duration_s: float = 0.0
    facts: Annotated[dict[str, Any], Meta(description="figures and counts, e.g. cases, right, worst_error")] = {}
    notes: Annotated[
        tuple[str, ...],
        Meta(
            description="entries of expected failures seen in other versions than this; the check it is asked in place of"
        ),
    ] = ()


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


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a target is to be asked: every check of the chosen profile and suites, whatever was left out of them later."""

    target: str
    checks: Annotated[tuple[str, ...], Meta(description="ids; one that several tests have stands as often")]


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


class CpuLimitRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limit of CPU that held for a deployment, as it was read back from it."""

    means: Annotated[
        Literal["quota", "cpu-set", "none", "unknown"],
        Meta(description="quota: of a control group, which throttles; cpu-set: kept to some CPUs; none: no limit held"),
    ]
    cpus: Annotated[float | None, Meta(description="null where none held, or nobody could tell")] = None
    cpu_set: Annotated[tuple[int, ...], Meta(description="the CPUs of a cpu-set")] = ()
    asked: Annotated[float, Meta(description="CPUs that the model's resources ask for")]


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
    cpu_limit: Annotated[CpuLimitRecord | None, Meta(description="by what means CPU was limited")] = None
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
    cpu_limit: Annotated[CpuLimitRecord | None, Meta(description="that held, read after the run")] = None
    samples: Annotated[str, Meta(description="where every request's record is, below the trial's directory")] = ""


class CapacityRunRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of a search for a target's capacity: what `Capacity.rungs` at the same place was judged by."""

    rate: float
    seed: Annotated[int, Meta(description="of the schedule: of one rate and repeat it is the same on every target")]
    duration_s: Annotated[float, Meta(description="of the timed window, as it was planned")]
    valid: bool
    saturated: bool
    reasons: Annotated[tuple[str, ...], Meta(description="codes")] = ()
    requests: int
    failed: Annotated[int, Meta(description="not answered, or not right")]
    p50_s: float | None
    p99_s: float | None
    throttled_periods: float | None = None
    samples: str = ""
    warm_up: Annotated[
        str, Meta(description="what was found of the warm-up before it; empty where its length was given")
    ] = ""


class CapacityRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The highest rate at which a target keeps objectives, as a bracket, with every run of the search for it."""

    target: str
    name: str
    capacity: Capacity
    runs: Annotated[tuple[CapacityRunRecord, ...], Meta(description="one for each of the capacity's rungs, in order")]
    arrivals: str
    took_s: float
    longest_s: Annotated[float, Meta(description="that the search was given")]
    network_path: str
    wire: str
    cpu_limit: CpuLimitRecord | None = None


class FloorLegRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way on which the cheapest question was asked."""

    way: Annotated[str, Meta(description="what lies between, in words")]
    valid: bool
    reasons: Annotated[tuple[str, ...], Meta(description="codes; empty when valid")] = ()
    requests: int
    p50_s: Annotated[float | None, Meta(description="response time, from the intended send; null when not valid")]
    p50_low_s: Annotated[float | None, Meta(description="of its interval of 95 %, for independent samples")]
    p50_high_s: float | None


class FloorRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a target's network path costs by itself: the cheapest question, asked on it and on the host's own network."""

    target: str
    network_path: str
    question: Annotated[str, Meta(description="what was asked, on both ways at the same rate and time")]
    rate: Annotated[float, Meta(description="requests a second")]
    path: FloorLegRecord
    floor: FloorLegRecord
    cost_p50_s: Annotated[float | None, Meta(description="path less floor; null where one of them was no measurement")]
    cost_low_s: Annotated[float | None, Meta(description="of what the two intervals allow")]
    cost_high_s: float | None


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
    capacities: tuple[CapacityRecord, ...] = ()
    floors: tuple[FloorRecord, ...] = ()
    not_run: tuple[NotRunRecord, ...] = ()
    not_asked: Annotated[
        tuple[str, ...], Meta(description="ids of checks of the chosen profile and suites that nothing was recorded of")
    ] = ()
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
    order: Annotated[tuple[str, ...], Meta(description="the targets as they were asked, one after the other")] = ()
    targets: dict[str, TargetResult]
    leftovers: tuple[LeftoverRecord, ...] = ()
    calibration: Annotated[
        Calibration | None, Meta(description="what this machine could tell apart; null when it was not measured")
    ] = None
    schema: Literal["seatrial.run/1"] = RUN_SCHEMA


Record = (
    CheckRecord
    | PhaseRecord
    | NotRunRecord
    | PlanRecord
    | ErrorRecord
    | DeploymentRecord
    | LoadRecord
    | CapacityRecord
    | FloorRecord
)


def encode_run(run: RunResult) -> bytes:
    """Return the text of `run.json`."""
    return msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"


def decode_run(data: bytes) -> RunResult:
    """Read `run.json`.

    Raises:
        msgspec.DecodeError: not JSON, not this schema, or a field that is not known.
    """
    return msgspec.json.decode(data, type=RunResult)
