"""Questions by chance, from the trial's seed: the same seed draws the same ones, and what fails is made as small as may be."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.strategies import SearchStrategy

from seatrial.plugin import find_session

Drawn = TypeVar("Drawn")
MOST_ASKED = 120
"""Bounds how long a failure is made smaller."""


def find_wrong(
    questions: SearchStrategy[Drawn],
    judge: Callable[[Drawn], str],
    *,
    key: Callable[[Drawn], bytes],
    seed: int,
    drawn: int,
) -> str:
    """Draw questions and return what `judge` says of the smallest that does not hold, or an empty string.

    A question is asked once, however often it is drawn: a server that answers now so and now otherwise would have hypothesis
    report that, and not what it answered.
    """
    judged: dict[bytes, str] = {}
    last = ""

    @with_seed(seed)
    @settings(
        max_examples=drawn,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(questions)
    def hold(question: Drawn) -> None:
        nonlocal last
        name = key(question)
        if name not in judged:
            if len(judged) >= MOST_ASKED:
                return
            judged[name] = judge(question)
        if judged[name]:
            last = judged[name]
            raise AssertionError

    with _without_files(), contextlib.suppress(AssertionError):
        hold()
    return last


def read_seed(request: pytest.FixtureRequest) -> int:
    """Return the trial's seed."""
    return find_session(request.config).settings.general.seed


def describe_replay(request: pytest.FixtureRequest, target: str) -> str:
    """Return the seed, and the command that draws the same questions again."""
    seed = read_seed(request)
    name = request.function.__name__
    command = f"pytest --pyargs seatrial_suites --target {target} --seatrial-profile standard -k {name} --seatrial-seed {seed}"
    return f"drawn with seed {seed}; again: {command}"


@contextlib.contextmanager
def _without_files() -> Iterator[None]:
    """Keep hypothesis from leaving its directory where a trial is started from."""
    with tempfile.TemporaryDirectory(prefix="seatrial-hypothesis-") as directory:
        set_hypothesis_home_dir(directory)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)
