"""Load of a trial on a target of it: what the others do meanwhile, and what is said. No load is put on anything here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from seatrial.errors import DeploymentError, HarnessError
from seatrial.load.analysis import NO_FIGURES
from seatrial.load.between_runs import Asked
from seatrial.load.calibration import BRIEF, QUICK, CalibrationPlan
from seatrial.load.capacity import Capacity, Measured
from seatrial.load.driver import UnconnectedError
from seatrial.load.host_lock import HostLock
from seatrial.load.live import Snapshot
from seatrial.load.objectives import Objectives
from seatrial.load.result import TOLD_TO_END, Judgement, Lag, LoadResult, Rate, Reason
from seatrial.records import FloorLegRecord
from seatrial.target import Deployment, NetworkFloor, Usage
from seatrial.trial import flooring, measuring, searching
from seatrial.trial.fleet import Fleet

NAMES = ("measured", "other", "third")
LEG = FloorLegRecord(way="a way", valid=True, requests=50, p50_s=0.001, p50_low_s=0.001, p50_high_s=0.001)
RUN = SimpleNamespace(valid=True, reasons=())


class Told:
    """As much of a deployment as is asked for here; it says whether it is kept quiet."""

    def __init__(self) -> None:
        self.is_quiet = False
        self.endpoint = SimpleNamespace(path="loopback", wire="v2", address="http://127.0.0.1:9")
        self.model = SimpleNamespace(manifest=SimpleNamespace(resources=SimpleNamespace(cpus=1.0)))

    @contextmanager
    def quiet(self) -> Iterator[None]:
        self.is_quiet = True
        try:
            yield
        finally:
            self.is_quiet = False

    @contextmanager
    def open_floor(self) -> Iterator[NetworkFloor]:
        yield NetworkFloor(path_url="http://127.0.0.1:9/", floor_url="http://127.0.0.1:9/", path_way="p", floor_way="f")

    def measure_usage(self) -> Usage:
        return Usage()

    def read_limits(self) -> Any:
        raise DeploymentError("there is none")


class TrialStub:
    """As much of a trial as puts load on a target, with a fleet of three that are up."""

    def __init__(self, path: Path, profile: str = "smoke", *, calibrate: bool = True) -> None:
        self.deployments = {name: Told() for name in NAMES}
        self.lock = HostLock(path)
        self.fleet = Fleet({}, None, record=lambda _: None, began_s=0.0, progress=lambda _: None, lock=self.lock)  # type: ignore[arg-type]
        self.fleet._up.update(cast("dict[str, Deployment]", self.deployments))
        self.settings = SimpleNamespace(general=SimpleNamespace(profile=profile, calibrate=calibrate))
        self.directory = SimpleNamespace(
            path=path, write=lambda name, content: path.joinpath(name).write_bytes(content)
        )
        self.said: list[str] = []
        self.say = self.said.append
        self.recorded: list[Any] = []
        self.record = self.recorded.append
        self._path = path

    def list_quiet(self) -> list[str]:
        return [name for name, each in self.deployments.items() if each.is_quiet]

    def is_free(self) -> bool:
        """Whether something else of a trial could begin on this machine."""
        try:
            with HostLock(self._path, patience_s=0.0).disturb():
                return True
        except HarnessError:
            return False


def measure(trial: Any) -> None:
    measuring.measure_target(trial, "measured", trial.deployments["measured"], measuring.LoadOrder(name="load"))


def search(trial: Any) -> None:
    searching.search_target(trial, "measured", trial.deployments["measured"], searching.CapacityOrder())


def measure_floor(trial: Any) -> None:
    flooring.measure_floor(trial, "measured", trial.deployments["measured"], 20.0)


@pytest.fixture(autouse=True)
def without_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (measuring, searching):
        monkeypatch.setattr(module, "make_questions", lambda *_: SimpleNamespace(cases=()))
    monkeypatch.setattr(searching, "_ask", lambda *_: Asked(took_s=0.001))


@pytest.mark.parametrize(
    ("put_load", "module", "name", "gives", "profile", "quiet"),
    [
        (measure, measuring, "run_order", RUN, "smoke", ["other", "third"]),
        (search, searching, "search_capacity", SimpleNamespace(ended="found", rungs=()), "smoke", ["other", "third"]),
        (measure_floor, flooring, "_measure", (LEG, LEG), "smoke", ["other", "third"]),
        (measuring.calibrate_once, measuring, "calibrate", {}, "standard", list(NAMES)),
    ],
    ids=["load", "capacity", "floor", "calibration"],
)
def test_while_load_is_put_on_one_target_the_others_are_quiet_and_the_machine_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    put_load: Callable[[Any], None],
    module: Any,
    name: str,
    gives: object,
    profile: str,
    quiet: list[str],
) -> None:
    trial = TrialStub(tmp_path, profile)
    (tmp_path / "samples").mkdir()
    seen = []

    def look(*_: Any, **__: Any) -> object:
        seen.append((trial.list_quiet(), trial.is_free()))
        return gives

    monkeypatch.setattr(module, name, look)
    put_load(trial)

    assert seen == [(quiet, False)]
    assert (trial.list_quiet(), trial.is_free()) == ([], True)


@pytest.mark.parametrize(
    ("profile", "calibrate", "plans"),
    [("smoke", True, []), ("standard", True, [BRIEF]), ("nightly", True, [QUICK]), ("nightly", False, [])],
)
def test_a_machine_is_calibrated_once_a_trial_as_closely_as_its_profile_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str, calibrate: bool, plans: list[CalibrationPlan]
) -> None:
    trial: Any = TrialStub(tmp_path, profile, calibrate=calibrate)
    made: list[CalibrationPlan] = []
    monkeypatch.setattr(measuring, "calibrate", lambda plan: made.append(plan) or {})
    for _ in range(2):
        measuring.calibrate_once(trial)

    assert made == plans
    assert [line.startswith("calibrating, ") for line in trial.said] == [True] * len(plans)


def test_a_calibration_that_breaks_keeps_no_load_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial: Any = TrialStub(tmp_path, "standard")
    tries: list[object] = []

    def break_off(plan: object) -> None:
        tries.append(plan)
        raise HarnessError("the specimen did not come up")

    monkeypatch.setattr(measuring, "calibrate", break_off)
    for _ in range(2):
        measuring.calibrate_once(trial)
    known = measuring.read_calibration(tmp_path)

    assert known is not None
    assert (known.valid, known.noise_floor_p50_s, len(tries)) == (False, None, 1)
    assert trial.said[-1] == "this machine's noise floor is not known: the specimen did not come up"


def make_result(**changes: Any) -> LoadResult:
    told: dict[str, Any] = {
        "mode": "open",
        "valid": True,
        "saturated": False,
        "requests": 9,
        "errors": 0,
        "wrong": 0,
        "censored": 0,
        "rate": Rate(requested=10.0, scheduled=10.0, achieved=10.0),
        "response_time_s": NO_FIGURES,
        "service_time_s": NO_FIGURES,
        "failure_time_s": NO_FIGURES,
        "dispatch_lag_s": Lag(p50=None, p99=None, max=None),
        "duration_s": 1.0,
    }
    return LoadResult(**(told | changes))


def test_the_first_run_that_is_made_warms_a_server_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one before, to which no connection was to be had."""
    trial: Any = TrialStub(tmp_path)
    (tmp_path / "samples").mkdir()
    warm_ups: list[float | None] = []
    judgement = Judgement(status="met", message="kept")

    def run(_questions: object, _schedule: object, order: measuring.LoadOrder, _directory: object) -> object:
        warm_ups.append(order.warm_up_s)
        if len(warm_ups) == 1:
            raise UnconnectedError("nobody listens")
        return make_result(judgement=judgement, warm_up_s=6.0)

    def search_thrice(measure: Callable[[float], Measured], **_: object) -> Capacity:
        runs = [measure(rate) for rate in (10.0, 20.0, 40.0)]
        assert [each.warm_up_s for each in runs] == [0.0, 6.0, 6.0]
        assert [each.judgement.status for each in runs] == ["missed", "met", "met"]
        return Capacity(
            objectives="",
            resolution=0.1,
            highest_kept=40.0,
            lowest_missed=None,
            ended="out-of-time",
            message="",
            rungs=(),
        )

    monkeypatch.setattr(searching, "run_order", run)
    monkeypatch.setattr(searching, "search_capacity", search_thrice)
    search(trial)

    assert warm_ups == [None, None, searching.WARM_UP_S]


LATE = SimpleNamespace(valid=False, reasons=(SimpleNamespace(code="late-sends"),), wrong=0, mixed_up=0)
SWAPPED = SimpleNamespace(**{**vars(LATE), "mixed_up": 1})
WRONG = SimpleNamespace(**{**vars(LATE), "wrong": 1})


@pytest.mark.parametrize(
    ("results", "made"),
    [((LATE, LATE, LATE), 3), ((LATE, RUN), 2), ((WRONG, RUN), 1), ((LATE, SWAPPED, RUN), 2)],
    ids=["invalid", "valid later", "wrong", "swapped later"],
)
def test_a_run_is_made_again_until_it_is_a_measurement_or_finds_a_wrong_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: tuple[object, ...], made: int
) -> None:
    """A server that is wrong now and then must not get away with it by the run that follows."""
    trial: Any = TrialStub(tmp_path)
    left = iter(results)
    monkeypatch.setattr(measuring, "run_order", lambda *_: next(left))
    measure(trial)

    assert [record.result for record in trial.recorded] == list(results[:made])


TOLD = SimpleNamespace(
    **{**vars(LATE), "reasons": (Reason(code=TOLD_TO_END, message="the run ended before its time", fix=""),)}
)


def test_who_interrupts_a_run_is_not_answered_with_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it has a result, and that is no measurement."""
    trial: Any = TrialStub(tmp_path)
    left = iter((LATE, TOLD, RUN))
    monkeypatch.setattr(measuring, "run_order", lambda *_: next(left))
    with pytest.raises(KeyboardInterrupt, match="before its time"):
        measure(trial)

    assert [record.result for record in trial.recorded] == [LATE, TOLD]
    assert (trial.list_quiet(), trial.is_free()) == ([], True)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_who_interrupts_a_search_is_not_answered_with_another_run_and_what_it_found_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    trial: Any = TrialStub(tmp_path)
    (tmp_path / "samples").mkdir()
    met = make_result(judgement=Judgement(status="met", message="kept"))
    told = make_result(valid=False, reasons=TOLD.reasons, judgement=Judgement(status="undecided", message="invalid"))
    made: list[LoadResult] = []

    def run(*_: object) -> LoadResult:
        made.append(told if len(made) == place else met)
        return made[-1]

    monkeypatch.setattr(searching, "run_order", run)
    with pytest.raises(KeyboardInterrupt):
        search(trial)

    assert made == [met] * place + [told]
    assert [record.capacity.ended for record in trial.recorded] == ["interrupted"] * bool(place)
    assert [len(record.runs) for record in trial.recorded] == [place] * bool(place)
    assert [len(record.capacity.rungs) for record in trial.recorded] == [place] * bool(place)
    assert (trial.list_quiet(), trial.is_free()) == ([], True)


def test_a_run_is_to_keep_up_with_what_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bursts of a short window have far less, or more, than their rate, which no server can do anything about."""
    trial: Any = TrialStub(tmp_path)
    asked: list[float | None] = []

    def run(_questions: object, schedule: Any, order: measuring.LoadOrder, *_: object) -> object:
        assert order.objectives is not None
        asked.append(order.objectives.rate)
        drawn.append(schedule.rate)
        return RUN

    drawn: list[float] = []
    monkeypatch.setattr(measuring, "run_order", run)
    for objectives in (Objectives(rate=150.0, p99_ms=50.0), Objectives(p99_ms=50.0)):
        order = measuring.LoadOrder(
            name="load", rate=150.0, arrivals="gamma:0.1", duration_s=30.0, objectives=objectives
        )
        measuring.measure_target(trial, "measured", trial.deployments["measured"], order)

    assert drawn[0] == drawn[1] < 150.0 * 0.95
    assert asked == [drawn[0], None]


def make_snapshot(elapsed_s: float) -> Snapshot:
    return Snapshot(
        elapsed_s=elapsed_s,
        left_s=40.0 - elapsed_s,
        phase="window",
        share=0.5,
        sent=int(elapsed_s),
        in_flight=0,
        failed=0,
    )


def test_of_a_run_that_tells_each_second_a_line_is_said_each_ten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the trial is given its turn as often, as it is at the beginning."""
    trial: Any = TrialStub(tmp_path)
    turns: list[int] = []

    def run(_questions: object, _schedule: object, _order: object, _directory: object, tell: Any) -> object:
        for second in range(1, 35):
            tell(make_snapshot(second))
        return RUN

    monkeypatch.setattr(measuring, "run_order", run)
    order = measuring.LoadOrder(name="load")
    measuring.measure_target(
        trial, "measured", trial.deployments["measured"], order, lambda: turns.append(len(trial.said))
    )

    assert [line.partition(", 0 errors, ")[2] for line in trial.said] == [
        "10 sent, 0 in flight",
        "20 sent, 0 in flight",
        "30 sent, 0 in flight",
    ]
    assert all(line.startswith("measured: load: ") for line in trial.said)
    assert turns == [0, 1, 2, 3]
