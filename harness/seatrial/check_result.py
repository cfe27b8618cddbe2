"""What `seatrial check --json` writes: a stable interface, versioned like run.json (fields are added, never renamed)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from seatrial.model import LEARNED, UNSTEADY, ModelDirectory
from seatrial.records import CheckRecord, CheckStatus, Level, RunResult, Verdict

CHECK_SCHEMA: Final = "seatrial.check/1"


class CheckOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check."""

    id: Annotated[str, Meta(description="stable id of the check, as in R01")]
    title: str
    level: Level
    status: CheckStatus
    message: Annotated[str, Meta(description="why it is no pass, with the evidence; empty for a pass")] = ""
    source: Annotated[str, Meta(description="the sentence that is enforced and where it stands")] = ""
    reproduce: Annotated[str, Meta(description="the command that asks this check alone; values of headers masked")] = ""
    duration_s: float = 0.0
    facts: Annotated[dict[str, Any], Meta(description="figures and counts, e.g. cases, right, worst_error")] = {}


class CheckedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What answers were compared with."""

    name: str
    version: str
    cases: int
    golden: Annotated[
        Literal["given", "learned", "unsteady"],
        Meta(
            description="given: golden cases of --model; learned: what the endpoint answers when asked alone; "
            "unsteady: that, and it answers the same question in two ways"
        ),
    ]


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checks of one endpoint."""

    schema: Literal["seatrial.check/1"] = CHECK_SCHEMA
    url: str
    wire: str
    name: Annotated[str, Meta(description="what the model, endpoint or function is called there")]
    model: CheckedModel
    profile: str
    seed: int
    verdict: Verdict
    exit_code: int
    causes: Annotated[tuple[str, ...], Meta(description="every reason for the exit code, not only the first")] = ()
    remarks: Annotated[tuple[str, ...], Meta(description="what was found while learning, e.g. two answers")] = ()
    checks: tuple[CheckOutcome, ...]
    totals: Annotated[dict[str, int], Meta(description="checks by status, every status named")]
    started_at: Annotated[str, Meta(description="UTC, ISO 8601")]
    duration_s: float
    seatrial: Annotated[str, Meta(description="the version that asked")]


def summarise_checks(
    run: RunResult,
    model: ModelDirectory,
    *,
    url: str,
    wire: str,
    name: str,
    exit_code: int,
    remarks: tuple[str, ...],
    reproduce: Callable[[str], str],
) -> CheckResult:
    """Return what a trial over the one target `url` found.

    Args:
        run: the trial.
        model: what answers were compared with.
        url: as the user gave it.
        wire: how it was asked.
        name: of what was asked there.
        exit_code: of the command.
        remarks: from learning.
        reproduce: the command that asks a check alone, by the check's id.
    """
    (target,) = run.targets.values()
    counts = Counter(check.status for check in target.checks)
    return CheckResult(
        url=url,
        wire=wire,
        name=name,
        model=CheckedModel(
            name=model.name, version=model.version, cases=len(model.cases), golden=_tell_golden(model.manifest.golden)
        ),
        profile=str(run.settings["profile"]),
        seed=run.seed,
        verdict=run.verdict,
        exit_code=exit_code,
        causes=(*run.causes, *(error.message for error in target.errors if "\n" in error.message.strip())),
        remarks=remarks,
        checks=tuple(_tell_check(check, reproduce(check.id)) for check in target.checks),
        totals={status: counts[status] for status in get_args(CheckStatus)},
        started_at=run.started_at,
        duration_s=run.duration_s,
        seatrial=run.environment.seatrial,
    )


def _tell_golden(golden: str) -> Literal["given", "learned", "unsteady"]:
    if golden == UNSTEADY:
        return "unsteady"
    return "learned" if golden == LEARNED else "given"


def _tell_check(check: CheckRecord, reproduce: str) -> CheckOutcome:
    return CheckOutcome(
        id=check.id,
        title=check.title,
        level=check.level,
        status=check.status,
        message=check.message,
        source=check.source,
        reproduce=reproduce,
        duration_s=check.duration_s,
        facts=check.facts,
    )
