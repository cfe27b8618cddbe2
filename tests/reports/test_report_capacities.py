"""Capacities, floors and limits of CPU in reports: brackets, runs, and an order only where brackets are apart."""

from __future__ import annotations

import msgspec
import pytest

from seatrial.load.capacity import Capacity, Rung
from seatrial.load.result import Judgement, ObjectiveVerdict
from seatrial.records import (
    CapacityRecord,
    CapacityRunRecord,
    CpuLimitRecord,
    FloorLegRecord,
    FloorRecord,
    decode_run,
    encode_run,
)
from seatrial.trial.summary import render_summary
from seatrial_reports.capacities import list_capacities, rank_capacities
from seatrial_reports.floors import list_floors
from seatrial_reports.html import write_html
from seatrial_reports.limits import show_cpu_limit, show_throttled
from seatrial_reports.markdown import write_markdown

OBJECTIVES = "p99 <= 250 ms and errors <= 0.1 %"
QUOTA = CpuLimitRecord(means="quota", cpus=1.0, asked=1.0)
SET = CpuLimitRecord(means="cpu-set", cpus=1.0, cpu_set=(3,), asked=0.5)
LEG = FloorLegRecord(way="docker-proxy", valid=True, requests=50, p50_s=0.0009, p50_low_s=0.00085, p50_high_s=0.00095)
FLOOR = FloorRecord(
    target="docker",
    network_path="published-port",
    question="GET /v2/health/ready",
    rate=20.0,
    path=LEG,
    floor=msgspec.structs.replace(LEG, way="loopback <alone>", p50_s=0.0007),
    cost_p50_s=0.0002,
    cost_low_s=0.0001,
    cost_high_s=0.0003,
)


BOUND_MS, FLOOR_S = 250.0, 0.001
NEAR_MS = 10.0
"""Less than three times the floor, which grows with the times beyond those of the slowest specimen: five times at the bound."""


def make_verdict(status, found_ms, name="p99_ms", bound=BOUND_MS):
    return ObjectiveVerdict(name=name, bound=bound, found=found_ms, status=status, sure=False, message="")


FAR = {"kept": (make_verdict("met", 100.0),), "missed": (make_verdict("missed", 600.0),)}
NEAR = {
    "kept": (make_verdict("met", 5.0, "p50_ms"), make_verdict("met", BOUND_MS - NEAR_MS)),
    "missed": (make_verdict("met", 5.0, "p50_ms"), make_verdict("missed", BOUND_MS + NEAR_MS)),
}


def make_capacity(
    target, kept, missed, ended="found", *, verdicts=FAR, times=(2, 2), saturated=False, failed=3, **changes
):
    """Return a search that measured its ends so many times each, with verdicts by what they came to."""
    ends = [
        (rate, status)
        for rate, status, count in ((kept, "kept", times[0]), (missed, "missed", times[1]))
        for _ in range(count)
        if rate is not None
    ]
    judged = {"kept": "met", "missed": "missed"}
    record = CapacityRecord(
        target=target,
        name="capacity",
        capacity=Capacity(
            highest_kept=kept,
            lowest_missed=missed,
            ended=ended,
            message="so it ended",
            objectives=OBJECTIVES,
            resolution=0.1,
            rungs=tuple(
                Rung(
                    rate=rate,
                    status=status,
                    judgement=Judgement(
                        status=judged[status], verdicts=verdicts.get(status, FAR[status]), message=f"p99 at {rate:g}"
                    ),
                )
                for rate, status in ends
            ),
        ),
        runs=tuple(
            CapacityRunRecord(
                rate=rate,
                seed=1,
                duration_s=4.0,
                valid=True,
                saturated=saturated and status == "missed",
                requests=400,
                failed=failed,
                p50_s=0.002,
                p99_s=None,
            )
            for rate, status in ends
        ),
        arrivals="poisson",
        took_s=61.2,
        longest_s=75.0,
        network_path="published-port",
        wire="v2",
        cpu_limit=QUOTA,
    )
    return msgspec.structs.replace(record, **changes)


def make_run(trials, *records, floors=(), **changes):
    targets = {
        each.target: trials.make_target(
            each.target, capacities=(each,), floors=floors if each.target == "docker" else ()
        )
        for each in records
    }
    return trials.make_run(targets, **{"calibration": trials.make_calibration(FLOOR_S), **changes})


def test_a_search_is_a_line_with_both_ends_of_its_bracket_and_its_runs(trials):
    overloaded = make_capacity("docker", 400.0, 440.0, times=(1, 1), saturated=True)
    run = make_run(trials, overloaded, make_capacity("url", None, 50.0, "never-kept"))
    found, none = list_capacities(run)

    assert (found.kept.text, found.missed.text, found.cpu_limit.text) == ("400/s", "440/s", "1 CPU, by quota")
    assert found.took == "2 runs in 61 s, 75 s allowed"
    assert [(each.rate.text, each.status, each.failed) for each in found.runs] == [
        ("400/s", "kept", "3 of 400"),
        ("440/s", "missed, saturated", "3 of 400"),
    ]
    assert [each.times[1].why for each in found.runs] == ["too few right answers for this quantile"] * 2
    assert (none.kept.why, none.missed.text) == ("no rate was kept", "50/s")
    assert decode_run(encode_run(run)) == run


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        ("client-limit", "above the highest kept the client or the machine could not measure"),
        ("out-of-time", "the search ended before one was missed"),
    ],
)
def test_a_bracket_without_an_upper_end_says_why(trials, ended, why):
    (line,) = list_capacities(make_run(trials, make_capacity("docker", 400.0, None, ended)))

    assert line.missed.why == why


@pytest.mark.parametrize(
    ("brackets", "groups"),
    [
        ({"a": (400, 440), "b": (200, 220)}, ("a 400 to 440/s", "b 200 to 220/s")),
        ({"a": (200, 220), "b": (220, 240)}, ("b 220 to 240/s", "a 200 to 220/s")),
        ({"a": (400, 440), "b": (380, 420)}, ("a 400 to 440/s, b 380 to 420/s",)),
        ({"a": (400, None), "b": (300, None)}, ("a 400/s or more, b 300/s or more",)),
        ({"a": (400, 440), "b": (390, 420), "c": (350, 385)}, ("a 400 to 440/s, b 390 to 420/s", "c 350 to 385/s")),
        ({"a": (400, 440), "b": (390, 420), "c": (350, 395)}, ("a 400 to 440/s, b 390 to 420/s, c 350 to 395/s",)),
        ({"a": (400, 440), "b": (300, 320), "c": (100, None)}, ("a 400 to 440/s, b 300 to 320/s, c 100/s or more",)),
    ],
    ids=["apart", "touching", "overlapping", "no upper end", "two and one", "a chain", "the last has no upper end"],
)
def test_no_order_is_given_within_brackets_that_overlap(trials, brackets, groups):
    records = [make_capacity(name, *map(to_rate, ends)) for name, ends in brackets.items()]

    assert rank_capacities(make_run(trials, *records)).groups == groups


def to_rate(rate):
    return None if rate is None else float(rate)


APART = ("a 400 to 440/s", "b 200 to 220/s")
TOGETHER = ("a 400 to 440/s, b 200 to 220/s",)


@pytest.mark.parametrize(
    ("calibrated", "why"), [(None, "was not measured, as"), (False, "could not be measured")], ids=["none", "invalid"]
)
def test_without_a_noise_floor_there_is_no_order_of_rates(trials, tmp_path, read_page, calibrated, why):
    calibration = None if calibrated is None else trials.make_calibration(None)
    run = make_run(trials, make_capacity("a", 400.0, 440.0), make_capacity("b", 200.0, 220.0), calibration=calibration)

    ranking = rank_capacities(run)

    assert ranking.groups == ()
    assert why in ranking.note
    section = read_page(write_html(run, tmp_path)).find(".//section[@id='capacity']")
    assert section.find("ol") is None
    assert why in "".join(section.itertext())
    assert why in write_markdown(run, tmp_path).read_text()


@pytest.mark.parametrize(
    ("first", "second", "groups", "doubt"),
    [
        ({}, {"verdicts": {"missed": NEAR["missed"]}}, TOGETHER, "b: 220/s was not surely missed by 3 times"),
        ({"verdicts": {"kept": NEAR["kept"]}}, {}, TOGETHER, "a: 400/s was not surely kept by 3 times"),
        (
            {"verdicts": {"missed": NEAR["missed"]}},
            {"verdicts": {"kept": NEAR["kept"]}},
            APART,
            "a: 440/s was not surely missed",
        ),
        ({}, {"verdicts": {"missed": NEAR["missed"]}, "saturated": True}, APART, ""),
        (
            {},
            {"verdicts": {"missed": (*NEAR["missed"], make_verdict("missed", 0.01, "error_rate", 0.001))}},
            APART,
            "",
        ),
        ({}, {"verdicts": {"missed": (make_verdict("missed", None),)}, "failed": 5}, APART, ""),
        ({}, {"verdicts": {"missed": (make_verdict("missed", None),)}}, TOGETHER, "b: 220/s was not surely missed by"),
        ({}, {"times": (2, 1), "ended": "out-of-time"}, TOGETHER, "b: 220/s was missed once only"),
        ({"times": (1, 2), "ended": "out-of-time"}, {}, TOGETHER, "a: 400/s was kept once only"),
        ({"times": (2, 1), "ended": "out-of-time"}, {"times": (1, 2)}, APART, "a: 440/s was missed once only"),
    ],
    ids=[
        "missed by little",
        "kept by little",
        "ends that do not decide",
        "missed by little under an overload",
        "missed by little and by failures",
        "quantile among failures",
        "quantile that is not known",
        "missed once",
        "kept once",
        "once each where it does not decide",
    ],
)
def test_an_end_that_noise_or_one_run_made_puts_nobody_in_an_order(trials, first, second, groups, doubt):
    records = (make_capacity("a", 400.0, 440.0, **first), make_capacity("b", 200.0, 220.0, **second))

    ranking = rank_capacities(make_run(trials, *records))

    assert ranking.groups == groups
    assert doubt in ranking.note
    assert ("put nobody in an order" in ranking.note) == bool(doubt)


def test_the_floor_of_the_median_is_that_of_the_median(trials):
    """A p50 that lies far from its bound by its own floor, and near it by that of p99."""
    verdicts = {"missed": (make_verdict("missed", 20.0, "p50_ms", 10.0),)}
    records = (make_capacity("a", 400.0, 440.0), make_capacity("b", 200.0, 220.0, verdicts=verdicts))
    calibration = msgspec.structs.replace(trials.make_calibration(FLOOR_S), noise_floor_p99_s=0.005)

    assert rank_capacities(make_run(trials, *records, calibration=calibration)).groups == APART


def test_there_is_no_order_of_one_or_under_different_objectives(trials):
    first, second = make_capacity("a", 400.0, 440.0), make_capacity("b", 200.0, 220.0)
    other = msgspec.structs.replace(second.capacity, objectives="p50 <= 1 ms")

    assert rank_capacities(make_run(trials, first)) is None
    assert rank_capacities(make_run(trials, first, make_capacity("b", None, 10.0))) is None
    assert rank_capacities(make_run(trials, first, msgspec.structs.replace(second, capacity=other))) is None


def test_every_report_has_the_bracket_and_the_order(trials, tmp_path, read_page):
    run = make_run(trials, make_capacity("docker", 400.0, 440.0), make_capacity("local", 200.0, 220.0), floors=(FLOOR,))
    metrics = {"capacity_kept_per_s": 400.0, "capacity_missed_per_s": 440.0}
    docker = msgspec.structs.replace(run.targets["docker"], metrics=metrics)
    run = msgspec.structs.replace(run, targets={**run.targets, "docker": docker})

    section = read_page(write_html(run, tmp_path)).find(".//section[@id='capacity']")
    rows = [["".join(cell.itertext()).strip() for cell in row] for row in section.find(".//tbody")]
    assert rows[0][:4] == ["docker", "capacity", "400/s", "440/s"]
    assert [item.text for item in section.findall("ol/li")] == ["docker 400 to 440/s", "local 200 to 220/s"]
    assert len(section.findall("details")) == 2
    text = write_markdown(run, tmp_path).read_text()
    assert "| docker | capacity | 400/s | 440/s |" in text
    assert "1. docker 400 to 440/s\n2. local 200 to 220/s" in text
    assert "400 (missed 440)" in render_summary(run, tmp_path)


def test_without_a_search_there_is_no_such_section(trials, tmp_path, read_page):
    run = trials.make_run()

    assert read_page(write_html(run, tmp_path)).find(".//section[@id='capacity']") is None
    assert "## Capacity" not in write_markdown(run, tmp_path).read_text()
    assert "kept /s" not in render_summary(run, tmp_path)


def test_what_a_path_costs_is_a_sentence_with_its_interval_or_the_reason_why_not(trials):
    run = make_run(trials, make_capacity("docker", 400.0, 440.0), floors=(FLOOR,))
    late = msgspec.structs.replace(LEG, valid=False, reasons=("late-sends",), p50_s=None)
    unknown = msgspec.structs.replace(FLOOR, path=late, cost_p50_s=None)

    (said,) = list_floors(run)
    assert "the published-port costs 0.200 ms at p50 (0.100 to 0.300 ms by both intervals of 95 %)" in said
    (said,) = list_floors(make_run(trials, make_capacity("docker", 400.0, 440.0), floors=(unknown,)))
    assert said.endswith("what the published-port costs is not known: late-sends")
    assert list_floors(trials.make_run()) == []


def test_both_reports_say_what_a_path_costs(trials, tmp_path, read_page):
    run = make_run(trials, make_capacity("docker", 400.0, 440.0), floors=(FLOOR,))

    section = read_page(write_html(run, tmp_path)).find(".//section[@id='floors']")
    assert "0.700 ms by loopback <alone>" in section.find(".//li").text
    assert "loopback &lt;alone&gt;" in write_markdown(run, tmp_path).read_text()


@pytest.mark.parametrize(
    ("limit", "text", "throttled"),
    [
        (QUOTA, "1 CPU, by quota", "7"),
        (SET, "1 CPU, by set: 3 (0.5 asked for)", "a set of CPUs never throttles"),
        (CpuLimitRecord(means="none", asked=1.0), "no CPU limit", "without a limit nothing throttles"),
        (CpuLimitRecord(means="unknown", asked=1.0), "it could not be read back", "the technology does not tell"),
        (None, "it was not read", "the technology does not tell"),
    ],
    ids=["quota", "set", "none", "unknown", "unread"],
)
def test_the_limit_that_held_is_said_and_how_often_it_throttled(limit, text, throttled):
    shown, periods = show_cpu_limit(limit), show_throttled(7.0 if limit is QUOTA else None, limit)

    assert text in {shown.text, shown.why}
    assert throttled in {periods.text, periods.why}
