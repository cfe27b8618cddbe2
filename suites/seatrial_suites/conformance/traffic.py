"""Clients that ask golden cases while something is done to a deployment, and keep a history of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from seatrial.checks import InvalidMeasurementError
from seatrial.client import AskTimeoutError, Client
from seatrial.comparison import compare
from seatrial.history import (
    MOST_REQUESTS,
    MOST_SAID_CHARS,
    Ending,
    History,
    HistoryHead,
    HistoryMark,
    HistoryRequest,
    Judgement,
    Outcome,
)
from seatrial.load.questions import pick_cases
from seatrial.model import Arrays, Case, ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import Answer, Refusal, RefusalKind
from seatrial_suites.conformance.asking import have_same_inputs
from seatrial_suites.conformance.crowd import list_right_alone
from seatrial_suites.conformance.together import begin

KeepHistory = Callable[[str, History], None]
"""What the fixture `seatrial_history` gives."""
QUESTION_TIMEOUT_S = 10.0
ANSWERED_WAIT_S = 30.0
_AFTER_FAILURE_S = 0.02
_POLL_S = 0.005
_OUTCOMES: dict[Ending, Outcome] = {
    "answered": "ok",
    "refused": "fail",
    "unreachable": "fail",
    "closed": "unknown",
    "cut-off": "unknown",
    "timed-out": "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A case of the deployed version, and its golden answers by version."""

    case: Case
    answers: dict[str, Arrays]


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """What became of a question."""

    ending: Ending
    judgement: Judgement | None = None
    versions: tuple[str, ...] = ()
    said: str = ""


class Traffic:
    """Asks from the beginning of the block to its end; `history` is there after it.

    Only what is answered right alone is asked. No case is asked by two clients at a time while there are as many cases.

    Args:
        deployment: what is asked.
        clients: how many ask, each on a new connection for every question.
        kept: how many more, each with one connection that it keeps.
        pace_s: seconds from one question of a client to its next, at least; 0 asks as soon as the last was answered.
        versions: of the model, whose golden answers are right ones; empty: the deployed one's alone.
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        clients: int = 0,
        kept: int = 0,
        pace_s: float = 0.0,
        versions: Sequence[ModelDirectory] = (),
    ) -> None:
        self._deployment = deployment
        self._clients = [True] * clients + [False] * kept
        self._pace_s = pace_s
        self._questions = _list_questions(deployment, versions or (deployment.model,))
        self._began_s = time.monotonic()
        self._marks: list[HistoryMark] = []
        self._requests: list[HistoryRequest] = []
        self._ending = threading.Event()
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._began_s = time.monotonic()
        self._futures = [begin(partial(self._ask_on, number, new)) for number, new in enumerate(self._clients)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        wait(self._futures)
        if error is None:
            for future in self._futures:
                future.result()

    def mark(self, name: str, at_s: float | None = None) -> float:
        """Note that something is done, now or at a time on the clock of `time.monotonic`; return when on the history's."""
        moment_s = (time.monotonic() if at_s is None else at_s) - self._began_s
        self._marks.append(HistoryMark(name=name, at_s=moment_s))
        return moment_s

    def wait_answered(self, each: int = 3) -> None:
        """Wait until every client has had some more questions answered. Raises AssertionError when that does not come to be."""
        begin_s, begin = self._now_s(), len(self._requests)
        deadline_s = time.monotonic() + ANSWERED_WAIT_S
        wanted = dict.fromkeys(range(len(self._clients)), each)
        while any(wanted.values()):
            assert time.monotonic() < deadline_s, (
                f"within {ANSWERED_WAIT_S:g} s a client had fewer than {each} questions answered"
            )
            time.sleep(_POLL_S)
            answered = [
                request for request in self._requests[begin:] if request.invoke_s > begin_s and request.outcome == "ok"
            ]
            wanted = {number: max(0, each - sum(request.client == number for request in answered)) for number in wanted}

    @property
    def history(self) -> History:
        """What was asked so far. Raises InvalidMeasurementError when it is more than is kept."""
        if len(self._requests) >= MOST_REQUESTS:
            raise InvalidMeasurementError(f"more than {MOST_REQUESTS} questions were asked, and no more are kept")
        return History(
            head=HistoryHead(endpoint=self._deployment.endpoint.address, clients=len(self._clients)),
            marks=tuple(self._marks),
            requests=tuple(sorted(self._requests, key=lambda request: request.invoke_s)),
        )

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _ask_on(self, number: int, new: bool) -> None:
        questions, turn = self._questions, number * len(self._questions) // len(self._clients)
        with Client(self._deployment.endpoint, self._deployment.model.manifest, keep_alive=not new) as client:
            while not self._ending.is_set() and len(self._requests) < MOST_REQUESTS:
                request = self._ask(client, number, new, questions[turn % len(questions)])
                self._requests.append(request)
                turn += 1
                pause_s = self._pace_s - (request.end_s - request.invoke_s)
                self._ending.wait(max(pause_s, 0.0 if request.outcome == "ok" else _AFTER_FAILURE_S))

    def _ask(self, client: Client, number: int, new: bool, question: _Question) -> HistoryRequest:
        stale, invoke_s = client.stale_connections, self._now_s()
        end = self._try(client, question)
        end_s = self._now_s()
        is_out = client.sent_at_s is not None
        return HistoryRequest(
            client=number,
            case=question.case.name,
            connection="new" if new else "kept",
            invoke_s=invoke_s,
            sent_s=client.sent_at_s - self._began_s if client.sent_at_s is not None else None,
            end_s=end_s,
            outcome=_OUTCOMES[end.ending] if is_out else "fail",
            ending=end.ending,
            judgement=end.judgement,
            versions=end.versions,
            said=end.said[:MOST_SAID_CHARS],
            stale=client.stale_connections > stale,
        )

    def _try(self, client: Client, question: _Question) -> _End:
        try:
            outcome = client.ask(question.case.inputs, timeout_s=QUESTION_TIMEOUT_S)
        except AskTimeoutError as error:
            client.close()
            return _End(ending="timed-out", said=error.message)
        except OSError as error:
            client.close()
            said = f"{type(error).__name__}: {error}"
            if client.sent_at_s is None:
                return _End(ending="unreachable", said=said)
            return _End(ending="cut-off" if client.received else "closed", said=said)
        if isinstance(outcome, Refusal):
            return _read_refusal(outcome)
        return self._judge(question, outcome)

    def _judge(self, question: _Question, answer: Answer) -> _End:
        manifest = self._deployment.model.manifest
        found = {version: compare(outputs, answer.outputs, manifest) for version, outputs in question.answers.items()}
        versions = tuple(version for version, each in found.items() if each.right)
        if versions:
            return _End(ending="answered", judgement="right", versions=versions)
        said = next(iter(found.values())).message
        for other in self._questions:
            if any(compare(outputs, answer.outputs, manifest).right for outputs in other.answers.values()):
                said = f"{said}; it is the answer of {other.case.name}"
                return _End(ending="answered", judgement="of-another", said=said)
        return _End(ending="answered", judgement="wrong", said=said)


def _list_questions(deployment: Deployment, versions: Sequence[ModelDirectory]) -> list[_Question]:
    """Return the cases that can be told apart and are answered right alone, with each version's answer to the same inputs."""
    model = deployment.model
    cases = list_right_alone(deployment, pick_cases(model.cases, model.manifest))
    assert cases, f"asked alone, no golden case of {model.name} {model.version} is answered right"
    return [
        _Question(
            case=case,
            answers={
                version.version: other.outputs
                for version in versions
                for other in version.cases
                if have_same_inputs(case, other)
            },
        )
        for case in cases
    ]


def _read_refusal(refusal: Refusal) -> _End:
    said = f"{refusal.kind.value} (status {refusal.status}): {refusal.message}"
    if refusal.kind is RefusalKind.MALFORMED:
        return _End(ending="answered", judgement="wrong", said=said)
    return _End(ending="cut-off" if refusal.kind is RefusalKind.TRUNCATED else "refused", said=said)
