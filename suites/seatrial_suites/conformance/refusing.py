"""How checks ask what is no question, see that it is refused as one, and show what went over the wire."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.client import AskTimeoutError, Client
from seatrial.comparison import compare
from seatrial.endpoint import Endpoint
from seatrial.evidence import show_received, show_sent
from seatrial.model import Arrays, ModelDirectory
from seatrial.registry import find_wire
from seatrial.wire import Answer, RawQuestion, Refusal, RefusalKind
from seatrial_suites.conformance import asking
from seatrial_suites.conformance.asking import NoAnswer, ask

OVER_HTTP = frozenset({"http", "http-events"})
"""For what only HTTP has."""
Outcome = Answer | Refusal | NoAnswer


def ask_raw(client: Client, question: RawQuestion) -> Outcome:
    """Ask what may be no question; whatever keeps an answer away comes back as a sentence. The client can be asked again."""
    return _ask(client, lambda timeout_s: client.ask_raw(question, timeout_s=timeout_s))


def ask_whole(client: Client, inputs: Arrays, *, timeout_s: float | None = None) -> Outcome:
    """Ask a question as it should be, where what became of it has to be told more exactly than by `asking.ask`."""
    return _ask(client, lambda given_s: client.ask(inputs, timeout_s=given_s if timeout_s is None else timeout_s))


_MOST_TIMEOUTS = 3


class Patience:
    """Is over after some questions in a row without an answer in time: each of them is waited for, and there may be hundreds."""

    def __init__(self) -> None:
        self._timeouts = 0

    @property
    def is_over(self) -> bool:
        """Whether no more are to be asked."""
        return self._timeouts >= _MOST_TIMEOUTS

    def take(self, outcome: Outcome) -> None:
        """Take what became of the next question."""
        self._timeouts = self._timeouts + 1 if isinstance(outcome, NoAnswer) and outcome.timed_out else 0


def is_refused(outcome: Outcome, endpoint: Endpoint) -> bool:
    """Whether it was refused as the asker's mistake: by a status of 4xx, by an event stream's `error`, by a frame's `error`."""
    if not isinstance(outcome, Refusal):
        return False
    if outcome.kind is RefusalKind.REJECTED:
        return True
    told_by_event = find_wire(endpoint.wire).framing == "http-events" and outcome.status < 300
    return outcome.kind is RefusalKind.FAILED and told_by_event


def say_after(client: Client, model: ModelDirectory, *, timeout_s: float | None = None) -> str:
    """Ask a golden case after something that was refused; return what is wrong with its answer, or an empty string."""
    after = ask(client, model.cases[0].inputs, timeout_s=timeout_s)
    if isinstance(after, NoAnswer):
        return f"the next question has no answer: {after.message}"
    found = compare(model.cases[0].outputs, after.outputs, model.manifest)
    return "" if found.right else f"the next question is answered wrong: {found.message}"


def is_right_answer(model: ModelDirectory, answer: Answer, index: int = 0) -> bool:
    """Whether it is the answer of a golden case, the first if no other is meant."""
    return compare(model.cases[index].outputs, answer.outputs, model.manifest).right


def show_exchange(client: Client, endpoint: Endpoint, outcome: Outcome) -> str:
    """Return what was sent, what came back, and what became of it, a line or more each."""
    return "\n".join(
        [
            f"  sent: {show_sent(endpoint, client.sent)}",
            f"  came back: {show_received(client.received)}",
            f"  that is: {describe(outcome)}",
        ]
    )


def describe(outcome: Outcome) -> str:
    """Return what became of a question."""
    if isinstance(outcome, Answer):
        return f"an answer, with status {outcome.status}"
    if isinstance(outcome, Refusal):
        return f"{outcome.kind.value}, with status {outcome.status}"
    return outcome.message


def _ask(client: Client, ask: Callable[[float], Answer | Refusal]) -> Outcome:
    try:
        return ask(asking.ANSWER_TIMEOUT_S)
    except AskTimeoutError as error:
        client.close()
        return NoAnswer(message=f"no answer: {error.message}", timed_out=True)
    except OSError as error:
        client.close()
        return NoAnswer(message=f"no answer: {type(error).__name__}: {error}")
