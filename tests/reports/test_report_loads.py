"""Load runs in reports: a line a run, a dash with its reason where there is no figure."""

from __future__ import annotations

import msgspec
import pytest

from seatrial.load.quantiles import FEWEST_FOR_INTERVAL
from seatrial.load.result import Interval, Lag, LoadResult, Quantiles, Rate, Reason
from seatrial.records import CpuLimitRecord, LoadRecord
from seatrial.trial.result import Tally, judge_target
from seatrial.trial.summary import render_summary
from seatrial_reports.html import write_html
from seatrial_reports.loads import list_loads
from seatrial_reports.markdown import write_markdown
from seatrial_reports.ranking import rank_targets

NONE = Quantiles(p50=None, p90=None, p95=None, p99=None, p99_9=None, max=None)
TIMES = Quantiles(p50=0.0051, p90=0.006, p95=0.007, p99=0.0123, p99_9=None, max=0.0456)
LATE = Reason(code="late-sends", message="3 of 208 <requests> were late", fix="a quieter machine")
RESULT = LoadResult(
    mode="open",
    arrivals="poisson 20/s",
    valid=True,
    saturated=False,
    requests=208,
    errors=2,
    wrong=1,
    censored=3,
    rate=Rate(requested=20, scheduled=20.8, achieved=20.2),
    response_time_s=TIMES,
    service_time_s=TIMES,
    failure_time_s=NONE,
    dispatch_lag_s=Lag(p50=0.0, p99=0.0, max=0.0),
    duration_s=10.0,
    outcomes={"answered": 202, "wrong": 1, "refused": 2, "censored": 3},
)
INVALID = msgspec.structs.replace(RESULT, valid=False, response_time_s=NONE, reasons=(LATE,))


def make_record(result=RESULT, attempt=1, **changes):
    record = LoadRecord(
        target="docker",
        name="latency",
        attempt=attempt,
        result=result,
        network_path="published-port",
        wire="v2",
        cases=9,
    )
    return msgspec.structs.replace(record, **changes)


@pytest.fixture
def run(trials):
    target = trials.make_target("docker")
    loads = (make_record(INVALID), make_record(attempt=2, usage={"throttled_periods": 7.0}))
    return trials.make_run({"docker": msgspec.structs.replace(target, loads=loads)})


def test_a_run_is_a_line_with_its_figures(run):
    first, second = list_loads(run)

    assert (first.state, second.state) == ("invalid", "valid")
    assert {figure.text for figure in first.times} == {"\N{EN DASH}"}
    assert {figure.why for figure in first.times} == {"the run is no measurement"}
    assert [figure.text for figure in second.times] == [
        "5.10 ms",
        "6.00 ms",
        "7.00 ms",
        "12.30 ms",
        "\N{EN DASH}",
        "45.60 ms",
    ]
    assert second.times[4].why == "too few requests for this quantile"
    assert (second.name, second.right.text, second.wrong, second.failed) == ("latency, attempt 2", "202 of 208", 1, 5)
    assert (first.throttled.text, second.throttled.text) == ("\N{EN DASH}", "7")


def test_a_quantile_among_failures_says_so(trials):
    """That it has no value is no matter of how few requests there were."""
    times = msgspec.structs.replace(TIMES, p99=None, max=None)
    target = msgspec.structs.replace(
        trials.make_target("docker"), loads=(make_record(msgspec.structs.replace(RESULT, response_time_s=times)),)
    )
    (line,) = list_loads(trials.make_run({"docker": target}))

    assert [figure.why for figure in line.times[3:]] == [
        "it lies among requests that failed",
        "too few requests for this quantile",
        "it lies among requests that failed",
    ]
    (note,) = line.notes
    assert note.startswith(
        "remark: 6 of 208 requests failed (2.88%), which count as slower than any answer: p99, max are"
    )


def test_the_limit_that_held_stands_beside_the_figures(trials, tmp_path, read_page):
    limits = (CpuLimitRecord(means="none", asked=1.0), CpuLimitRecord(means="quota", cpus=1.0, asked=1.0))
    loads = tuple(make_record(cpu_limit=limit, usage={"throttled_periods": 7.0}) for limit in limits)
    run = trials.make_run({"docker": msgspec.structs.replace(trials.make_target("docker"), loads=loads)})

    assert "| no CPU limit | 7 | published-port, v2 |" in write_markdown(run, tmp_path).read_text()
    section = read_page(write_html(run, tmp_path)).find(".//section[@id='load']")
    assert [row[-3].text for row in section.findall(".//tbody/tr")] == ["no CPU limit", "1 CPU, by quota"]


def test_an_overload_is_called_one(trials):
    saturated = msgspec.structs.replace(RESULT, saturated=True)
    target = msgspec.structs.replace(trials.make_target("docker"), loads=(make_record(saturated),))

    assert [line.state for line in list_loads(trials.make_run({"docker": target}))] == ["saturated"]


def test_the_page_shows_runs_and_why_one_is_none(run, tmp_path, read_page):
    page = read_page(write_html(run, tmp_path))
    section = page.find(".//section[@id='load']")
    rows = [["".join(cell.itertext()).strip() for cell in row] for row in section.findall(".//tbody/tr")]

    assert rows[1][:5] == ["docker", "latency, attempt 2", "valid", "poisson 20/s, 10 s", "5.10 ms"]
    assert "3 of 208 <requests> were late" in "".join(section.find(".//ul").itertext())


def test_what_should_be_known_of_figures_stands_in_every_report(trials, tmp_path, read_page):
    drifting = msgspec.structs.replace(RESULT, window_stationary=False, window_course="p50 rose 3 -> 9 ms")
    target = msgspec.structs.replace(trials.make_target("docker"), loads=(make_record(drifting),))
    run = trials.make_run({"docker": target})
    remark = "remark: response times were not level over the window: p50 rose 3 -> 9 ms"

    assert remark.replace(">", "&gt;") in write_markdown(run, tmp_path).read_text()
    section = read_page(write_html(run, tmp_path)).find(".//section[@id='load']")
    assert remark in "".join(section.find(".//ul").itertext())


def test_a_trial_without_load_has_no_such_section(trials, tmp_path, read_page):
    run = trials.make_run({"docker": trials.make_target("docker")})

    assert read_page(write_html(run, tmp_path)).find(".//section[@id='load']") is None
    assert "## Load" not in write_markdown(run, tmp_path).read_text()
    assert "p99 ms" not in render_summary(run, tmp_path)


def test_the_short_reports_have_the_figures(run, tmp_path):
    text = write_markdown(run, tmp_path).read_text()

    assert "| docker | latency, attempt 2 | valid | poisson 20/s, 10 s | 5.10 ms |" in text
    assert "late-sends: 3 of 208 &lt;requests&gt; were late" in text
    assert "p50 ms  p99 ms" in render_summary(run, tmp_path)


def make_ranked(trials, medians_s, floor_s, half_s=0.0001):
    targets = {}
    for name, median_s in medians_s.items():
        result = msgspec.structs.replace(
            RESULT,
            response_time_s=msgspec.structs.replace(TIMES, p50=median_s),
            intervals={"p50": Interval(low=median_s - half_s, high=median_s + half_s, confidence=0.95)},
        )
        load = make_record(result, target=name)
        targets[name] = msgspec.structs.replace(trials.make_target(name), loads=(make_record(INVALID), load))
    calibration = None if floor_s is None else trials.make_calibration(floor_s)
    return msgspec.structs.replace(trials.make_run(targets), calibration=calibration)


MEDIANS_S = {"mlflow": 0.009, "local": 0.002, "docker": 0.0023, "gradio": 0.0065}


@pytest.mark.parametrize(
    ("floor_s", "half_s", "groups"),
    [
        (0.0002, 0.0001, ("local 2.00 ms, docker 2.30 ms", "gradio 6.50 ms", "mlflow 9.00 ms")),
        (0.00005, 0.0001, ("local 2.00 ms", "docker 2.30 ms", "gradio 6.50 ms", "mlflow 9.00 ms")),
        (0.00005, 0.002, ("local 2.00 ms, docker 2.30 ms", "gradio 6.50 ms, mlflow 9.00 ms")),
        (0.01, 0.0001, ("local 2.00 ms, docker 2.30 ms, gradio 6.50 ms, mlflow 9.00 ms",)),
    ],
    ids=["floor joins two", "all apart", "intervals join", "floor joins all"],
)
def test_no_order_is_given_that_noise_would_have_too(trials, floor_s, half_s, groups):
    ranking = rank_targets(make_ranked(trials, MEDIANS_S, floor_s, half_s))

    assert ranking.groups == groups
    assert "noise floor" in ranking.note


def test_one_that_is_not_told_apart_from_one_of_a_group_is_in_it(trials):
    medians_s = {"local": 0.002, "docker": 0.0023, "mlflow": 0.00265, "gradio": 0.009}

    ranking = rank_targets(make_ranked(trials, medians_s, 0.0002))

    assert ranking.groups == ("local 2.00 ms, docker 2.30 ms, mlflow 2.65 ms", "gradio 9.00 ms")


def test_one_that_is_not_told_apart_from_any_before_joins_all_between(trials):
    run = make_ranked(trials, {"local": 0.002, "docker": 0.003, "mlflow": 0.0031, "gradio": 0.009}, 0.0001)
    load = run.targets["mlflow"].loads[-1]
    wide = msgspec.structs.replace(load.result, intervals={"p50": Interval(low=0.0015, high=0.005, confidence=0.95)})
    target = msgspec.structs.replace(run.targets["mlflow"], loads=(msgspec.structs.replace(load, result=wide),))

    groups = rank_targets(msgspec.structs.replace(run, targets={**run.targets, "mlflow": target})).groups

    assert groups == ("local 2.00 ms, docker 3.00 ms, mlflow 3.10 ms", "gradio 9.00 ms")


def test_without_a_noise_floor_no_order_is_given(trials, tmp_path):
    run = make_ranked(trials, MEDIANS_S, None)

    assert rank_targets(run).groups == ()
    assert "was not measured, as" in write_markdown(run, tmp_path).read_text()
    busy = rank_targets(msgspec.structs.replace(run, calibration=trials.make_calibration(None)))
    assert (busy.groups, "could not be measured" in busy.note) == ((), True)
    assert rank_targets(make_ranked(trials, {"local": 0.002}, 0.1)) is None


def test_both_reports_have_the_order(trials, tmp_path, read_page):
    run = make_ranked(trials, MEDIANS_S, 0.0002)

    assert "1. local 2.00 ms, docker 2.30 ms\n2. gradio 6.50 ms" in write_markdown(run, tmp_path).read_text()
    items = read_page(write_html(run, tmp_path)).findall(".//ol[@class='ranking']/li")
    assert items[0].text == "local 2.00 ms, docker 2.30 ms"


def replace_latency(run, name, **changes):
    """Return the trial with another result of a target's last run."""
    target = run.targets[name]
    load = target.loads[-1]
    other = msgspec.structs.replace(load, result=msgspec.structs.replace(load.result, **changes))
    target = msgspec.structs.replace(target, loads=(*target.loads[:-1], other))
    return msgspec.structs.replace(run, targets={**run.targets, name: target})


def test_an_overload_is_not_ranked_though_it_is_the_soonest(trials):
    run = replace_latency(make_ranked(trials, MEDIANS_S, 0.00005), "local", saturated=True)
    run = replace_latency(run, "gradio", valid=False, response_time_s=NONE)

    ranking = rank_targets(run)

    assert ranking.groups == ("docker 2.30 ms", "mlflow 9.00 ms")
    assert (
        "local (saturated, so that its times grow with the length of the run); gradio (no measurement)" in ranking.note
    )


def test_who_is_left_out_is_named_where_no_two_are_left(trials):
    run = replace_latency(make_ranked(trials, {"local": 0.002, "docker": 0.003}, 0.00005), "local", saturated=True)

    ranking = rank_targets(run)

    assert ranking.groups == ()
    assert "fewer than two targets have a median to compare. Not ranked: local (saturated" in ranking.note


def test_a_median_among_failures_is_not_ranked_and_says_so(trials):
    run = make_ranked(trials, {"local": 0.002, "docker": 0.003, "gradio": 0.004}, 0.00005)
    run = replace_latency(run, "gradio", response_time_s=msgspec.structs.replace(TIMES, p50=None))

    assert "gradio (its median lies among requests that failed)" in rank_targets(run).note


@pytest.mark.parametrize(
    ("requests", "why"),
    [
        (FEWEST_FOR_INTERVAL - 1, "docker (fewer than 400 requests were sent)"),
        (FEWEST_FOR_INTERVAL, "docker (its requests were too much alike, or too many of them failed)"),
    ],
)
def test_a_missing_interval_is_named_as_what_joins_two(trials, requests, why):
    run = make_ranked(trials, {"local": 0.002, "docker": 0.003, "gradio": 0.009}, 0.00005)
    run = replace_latency(run, "docker", intervals={}, requests=requests)

    ranking = rank_targets(run)

    assert ranking.groups == ("local 2.00 ms, docker 3.00 ms, gradio 9.00 ms",)
    assert f"for want of a confidence interval: {why}." in ranking.note


def test_no_floor_is_blamed_where_no_two_have_an_interval(trials):
    run = make_ranked(trials, {"local": 0.002, "docker": 0.003}, 0.00005)
    run = replace_latency(run, "docker", intervals={})

    assert "noise floor" not in rank_targets(run).note


def test_times_of_an_overload_are_marked_where_a_table_has_them_alone(trials, tmp_path):
    tally = Tally(loads=[make_record(), make_record(msgspec.structs.replace(RESULT, saturated=True))])
    run = trials.make_run({"docker": judge_target(tally)})

    assert "5.1 (saturated)  12.3 (saturated)" in render_summary(run, tmp_path)
    assert any(note.startswith("saturated: ") for note in run.targets["docker"].notes)
    calm = trials.make_run({"docker": judge_target(Tally(loads=[*reversed(tally.loads)]))})
    assert "saturated" not in render_summary(calm, tmp_path)
    assert calm.targets["docker"].notes == ()
