"""How checks ask golden cases and say what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seatrial.client import DEFAULT_TIMEOUT_S, AskTimeoutError, Client
from seatrial.comparison import Comparison, compare
from seatrial.model import Arrays, Case, ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import Answer, Refusal

PART_E = "seatrial's list of checks"
ANSWER_TIMEOUT_S = DEFAULT_TIMEOUT_S
_MAX_SHOWN = 5
_MAX_TIMEOUTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """A question without an answer: refused, cut off, or not heard in time. All of it is the deployment's doing."""

    message: str
    timed_out: bool = False


def ask(client: Client, inputs: Arrays, *, timeout_s: float | None = None) -> Answer | NoAnswer:
    """Ask one question; whatever keeps the answer away comes back as a sentence. The client can be asked again."""
    try:
        outcome = client.ask(inputs, timeout_s=ANSWER_TIMEOUT_S if timeout_s is None else timeout_s)
    except AskTimeoutError as error:
        client.close()
        return NoAnswer(message=f"no answer: {error.message}", timed_out=True)
    except OSError as error:
        client.close()
        return NoAnswer(message=f"no answer: {type(error).__name__}: {error}")
    if isinstance(outcome, Refusal):
        return NoAnswer(message=f"{outcome.kind.value} (status {outcome.status}): {outcome.message}")
    return outcome


def ask_cases(
    deployment: Deployment,
    model: ModelDirectory,
    facts: dict[str, Any],
    keep: Callable[[str, Arrays], None] = lambda _case, _outputs: None,
) -> list[str]:
    """Ask every golden case of `model` and return a sentence for each that is not answered right; `keep` is told each answer.

    After three questions in a row without an answer in time no more are asked: the rest counts as not answered right.
    """
    wrong: list[str] = []
    comparisons: list[Comparison] = []
    timeouts = 0
    with Client(deployment.endpoint, model.manifest) as client:
        for case in model.cases:
            if timeouts == _MAX_TIMEOUTS:
                wrong.append(f"{case.name}: not asked, for {timeouts} questions in a row had no answer in time")
                continue
            outcome = ask(client, case.inputs)
            if isinstance(outcome, NoAnswer):
                timeouts = timeouts + 1 if outcome.timed_out else 0
                wrong.append(f"{case.name}: {outcome.message}")
                continue
            timeouts = 0
            keep(case.name, outcome.outputs)
            comparisons.append(compare(case.outputs, outcome.outputs, model.manifest))
            if not comparisons[-1].right:
                wrong.append(f"{case.name}: {comparisons[-1].message}")
    facts.update(
        cases=len(model.cases),
        right=len(model.cases) - len(wrong),
        worst_absolute_error=max((each.worst_absolute for each in comparisons), default=0.0),
        worst_relative_error=max((each.worst_relative for each in comparisons), default=0.0),
    )
    return wrong


def describe_wrong(wrong: list[str], model: ModelDirectory) -> str:
    """Return how many cases were wrong, the first of them and the last."""
    shown = wrong[:_MAX_SHOWN]
    if len(wrong) > _MAX_SHOWN:
        shown = [*shown, f"… and {len(wrong) - _MAX_SHOWN} more, the last:", wrong[-1]]
    head = f"{len(wrong)} of {len(model.cases)} golden cases of {model.name} {model.version} are not answered right:"
    return "\n".join([head, *shown])


def is_told_apart(first: ModelDirectory, second: ModelDirectory) -> bool:
    """Whether one of the golden cases shows which of two versions answered: the same inputs, another answer."""
    return any(
        _have_same_inputs(one, other) and not compare(other.outputs, one.outputs, second.manifest).right
        for one in first.cases
        for other in second.cases
    )


def _have_same_inputs(one: Case, other: Case) -> bool:
    return one.inputs.keys() == other.inputs.keys() and all(
        array.dtype == other.inputs[name].dtype
        and array.shape == other.inputs[name].shape
        and bool((array == other.inputs[name]).all())
        for name, array in one.inputs.items()
    )
