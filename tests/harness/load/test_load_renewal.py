"""Signatures that hold for less time than a run takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seatrial.load.arrivals import Constant
from seatrial.load.measuring import measure_load
from seatrial.load.plan import Destination, Plan
from seatrial.load.questions import Questions
from seatrial.load.schedules import make_schedule
from seatrial.model import Case
from signed_server import ANSWER, MANIFEST, serve_signed

pytestmark = pytest.mark.timeout(60)
HOLD_S, WINDOW_S, RATE = 4.0, 6.0, 20.0
CASE = Case(name="n", inputs={"number": np.array([1])}, outputs={"answer": np.array([ANSWER])})


def test_no_request_is_sent_with_a_signature_that_has_run_out(tmp_path: Path) -> None:
    """The requests are written before the run, which goes on for longer than what they are signed with holds."""
    plan = Plan(
        destination=Destination(),
        requests=(b"",),
        cases=(0,),
        mode="open",
        duration_s=WINDOW_S,
        drain_s=5.0,
        timeout_s=5.0,
    )
    schedule = make_schedule(Constant(rate=RATE), duration_s=WINDOW_S, seed=1)
    with serve_signed(HOLD_S) as server:
        questions = Questions(endpoint=server.endpoint, manifest=MANIFEST, cases=(CASE,))
        result = measure_load(plan, schedule, directory=tmp_path, questions=questions)

    assert (result.checked, result.statuses) == (True, {"200": int(WINDOW_S * RATE)})
    assert result.outcomes == {"answered": result.requests}
    assert len({date for _, date in server.seen}) >= 2
