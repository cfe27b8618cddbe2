"""report.md: the short report, fit for a pull request and for the step summary of a CI system."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from seatrial.records import CheckRecord, RunResult
from seatrial_reports.capacities import list_capacities, rank_capacities
from seatrial_reports.files import replace_file
from seatrial_reports.floors import list_floors
from seatrial_reports.histories import HistoryLine, list_histories
from seatrial_reports.loads import QUANTILES, list_loads
from seatrial_reports.matrix import list_groups, list_meanings
from seatrial_reports.quantities import DASH, Figure, show_bytes, show_seconds
from seatrial_reports.ranking import rank_targets
from seatrial_reports.statuses import describe_verdict, sign
from seatrial_reports.summary import PHASES, list_checks, list_not_run, list_red_checks, summarise
from seatrial_reports.text import clean_text, join_lines

FILE_NAME = "report.md"
# GitHub takes 1 MiB for a step's summary and drops all of it when it is more.
_MOST_ITEMS = 50
_MOST_ROWS = 200
_TEXT_LIMIT = 600
_CELL_LIMIT = 160
_HELD = ("CPU limit", "Throttled periods")
_SPECIAL = re.compile(r"([\\`*\[\]~|])|(?<![^\W_])(_)|(_)(?![^\W_])|(^[#+-])")


def write_markdown(run: RunResult, directory: Path) -> Path:
    """Write report.md into `directory`, the trial's, whose histories it counts, and return its path."""
    blocks = [
        *_render_head(run),
        *_render_summary(run),
        *_render_loads(run),
        *_render_floors(run),
        *_render_capacities(run),
        *_render_histories(run, directory),
        *_render_matrix(run),
        *_render_failures(run),
        *_render_expected(run),
        *_render_not_run(run),
        *_render_fidelity(run),
        *_render_leftovers(run),
    ]
    return replace_file(directory / FILE_NAME, "\n\n".join(blocks) + "\n")


def escape_markdown(text: str, limit: int = _TEXT_LIMIT) -> str:
    """Return `text` on one line such that GitHub's Markdown shows it as it is: no markup, HTML, formulae or table cells."""
    line = _SPECIAL.sub(lambda match: f"\\{match.group()}", join_lines(text, limit))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")


def quote_code(text: str) -> str:
    """Return `text` on one line as a code span that no backtick in it can end."""
    line = " ".join(clean_text(text).split())
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def _render_head(run: RunResult) -> Iterator[str]:
    yield f"# {sign(run.verdict)} Sea trial: {run.verdict}"
    yield f"{describe_verdict(run)} Exit code {run.exit_code}."
    if run.causes:
        yield "\n".join(f"- {escape_markdown(cause)}" for cause in run.causes[:_MOST_ITEMS])
    model = run.model
    described = (
        f"**{escape_markdown(model.name)}** version {escape_markdown(model.version)}, {model.cases} golden cases"
        if model
        else "none"
    )
    machine = run.environment
    memory = show_bytes(machine.memory_bytes, "not recorded").text
    docker = f", Docker {escape_markdown(machine.docker)}" if machine.docker else ""
    yield (
        f"Model: {described}. Trial {quote_code(run.run_id)}, {escape_markdown(run.started_at)}, "
        f"{show_seconds(run.duration_s, 'not recorded').text}. seatrial {escape_markdown(machine.seatrial)}, "
        f"Python {escape_markdown(machine.python)}, {escape_markdown(machine.platform)}, "
        f"{machine.cpus} CPUs, {memory} of memory{docker}."
    )


def _render_summary(run: RunResult) -> Iterator[str]:
    if not run.targets:
        yield "No target was run."
        return
    header = ["Target", "Status", "Golden cases right", *PHASES, "Fidelity", "Memory peak", "Notes"]
    rows = [
        [
            escape_markdown(line.name, _CELL_LIMIT),
            f"{sign(line.status)} {line.status}",
            *(_show(figure) for figure in (line.golden, *line.phases)),
            escape_markdown(line.fidelity, _CELL_LIMIT),
            _show(line.memory_peak),
            "; ".join(escape_markdown(note, _CELL_LIMIT) for note in line.notes),
        ]
        for line in summarise(run)
    ]
    yield _render_table(header, rows)
    yield f"{DASH}: there is no such number here; report.html says why for each."


def _render_loads(run: RunResult) -> Iterator[str]:
    lines = list_loads(run)
    if not lines:
        return
    yield "## Load"
    header = ["Target", "Run", "State", "Load", *QUANTILES, "Right", "Wrong", "Failed", *_HELD, "Path, wire"]
    rows = [
        [
            *(escape_markdown(text, _CELL_LIMIT) for text in (line.target, line.name, line.state, line.load)),
            *(_show(figure) for figure in (*line.times, line.right)),
            str(line.wrong),
            str(line.failed),
            *(_show(figure) for figure in (line.cpu_limit, line.throttled)),
            escape_markdown(line.network_path, _CELL_LIMIT),
        ]
        for line in lines
    ]
    yield _render_table(header, rows)
    yield "Response times count from the intended send; one target at a time, the others quiet."
    ranking = rank_targets(run)
    if ranking is not None:
        if ranking.groups:
            yield "\n".join(f"{place}. {escape_markdown(group)}" for place, group in enumerate(ranking.groups, 1))
        yield escape_markdown(ranking.note)
    items = [
        f"- **{escape_markdown(line.target)}** {escape_markdown(line.name)}: {escape_markdown(note)}"
        for line in lines
        for note in line.notes
    ]
    if items:
        yield "\n".join(items[:_MOST_ITEMS])


def _render_floors(run: RunResult) -> Iterator[str]:
    yield from _render_items(
        "What network paths cost", [f"- {escape_markdown(sentence)}" for sentence in list_floors(run)]
    )


def _render_capacities(run: RunResult) -> Iterator[str]:
    lines = list_capacities(run)
    if not lines:
        return
    yield "## Capacity"
    header = ["Target", "Search", "Highest rate kept", "Lowest rate missed", "Objectives", "Ended", *_HELD[:1], "Took"]
    rows = [
        [
            *(escape_markdown(text, _CELL_LIMIT) for text in (line.target, line.name)),
            *(_show(figure) for figure in (line.kept, line.missed)),
            *(escape_markdown(text, _CELL_LIMIT) for text in (line.objectives, line.ended)),
            _show(line.cpu_limit),
            escape_markdown(line.took, _CELL_LIMIT),
        ]
        for line in lines
    ]
    yield _render_table(header, rows)
    yield "The capacity lies between the two rates. An overloaded run is one that missed; report.html lists every run."
    ranking = rank_capacities(run)
    if ranking is not None:
        if ranking.groups:
            yield "\n".join(f"{place}. {escape_markdown(group)}" for place, group in enumerate(ranking.groups, 1))
        yield escape_markdown(ranking.note)


def _render_histories(run: RunResult, directory: Path) -> Iterator[str]:
    lines = list_histories(run, directory, drawn=False)
    yield from _render_items("Requests around faults", [_render_history(line) for line in lines])


def _render_history(line: HistoryLine) -> str:
    what = f"- **{escape_markdown(line.target, _CELL_LIMIT)}** {escape_markdown(line.check, _CELL_LIMIT)}".rstrip()
    link = f"[{escape_markdown(line.name)}]({line.link})"
    if line.trouble:
        return f"{what}: cannot be read: {escape_markdown(line.trouble)}; {link}"
    counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in line.outcomes.items())
    length = show_seconds(line.silence.length_s if line.silence else None, "nothing was asked")
    return f"{what}: {counts}; longest without a right answer {_show(length)}; {link}"


def _render_matrix(run: RunResult) -> Iterator[str]:
    groups = list_groups(run)
    if not groups:
        return
    rows: list[list[str]] = []
    for group in groups:
        rows.append([f"**{group.name}**", *[""] * (len(run.targets) + 1)])
        for row in group.rows:
            check = f"{escape_markdown(row.id, _CELL_LIMIT)} {escape_markdown(row.title, _CELL_LIMIT)}"
            cells = (f"{sign(cell.status)} {cell.status}" if cell.status else DASH for cell in row.cells)
            rows.append([check, row.level, *cells])
    yield "## Checks by target"
    yield _render_table(
        ["Check", "Level", *(escape_markdown(name, _CELL_LIMIT) for name in run.targets)], rows[:_MOST_ROWS]
    )
    if len(rows) > _MOST_ROWS:
        yield "… and more in report.html."
    legend = [f"{sign(status)} {status}: {meaning}" for status, meaning in list_meanings(groups).items()]
    yield f"{'; '.join(legend)}; {DASH}: no result."


def _render_failures(run: RunResult) -> Iterator[str]:
    items = [
        f"- **{escape_markdown(name)}** deployment (exit code {error.exit_code}): {escape_markdown(error.message)}"
        for name, result in run.targets.items()
        for error in result.errors
    ]
    items.extend(_render_check(check) for check in list_red_checks(run))
    yield from _render_items("Failures", items)


def _render_check(check: CheckRecord) -> str:
    line = (
        f"- {sign(check.status)} {check.status}: **{escape_markdown(check.target)}** "
        f"{escape_markdown(check.id)} {escape_markdown(check.title)} ({_name_level(check)}): "
        f"{escape_markdown(check.message) or 'no message was recorded'}"
    )
    return f"{line}\n  Reproduce: {quote_code(check.reproduce)}" if check.reproduce else line


def _name_level(check: CheckRecord) -> str:
    return "MAY, changes no verdict" if check.level == "MAY" else check.level


def _render_expected(run: RunResult) -> Iterator[str]:
    yield from _render_items(
        "Expected failures", [_render_check(check) for check in list_checks(run, "expected-failure")]
    )


def _render_not_run(run: RunResult) -> Iterator[str]:
    items = []
    for missing in list_not_run(run):
        fix = f" Fix: {quote_code(missing.fix)}" if missing.fix else ""
        what = f"**{escape_markdown(missing.target)}** {escape_markdown(missing.name)}"
        items.append(f"- {what}: {escape_markdown(missing.detail)}.{fix}")
    yield from _render_items("Not run", items)


def _render_fidelity(run: RunResult) -> Iterator[str]:
    rows = [
        [escape_markdown(name), *(escape_markdown("; ".join(part)) or "none" for part in parts)]
        for name, result in run.targets.items()
        if (fidelity := result.fidelity) is not None
        for parts in [(fidelity.real, fidelity.emulated, fidelity.absent)]
    ]
    if rows:
        yield "## Fidelity"
        yield _render_table(["Target", "Real", "Emulated", "Absent"], rows)


def _render_leftovers(run: RunResult) -> Iterator[str]:
    items = [f"- {escape_markdown(left.kind)} {quote_code(left.id)}" for left in run.leftovers]
    yield from _render_items("Left over by the trial, and removed at its end", items)


def _render_items(title: str, items: Sequence[str]) -> Iterator[str]:
    if not items:
        return
    yield f"## {title}"
    yield "\n".join(items[:_MOST_ITEMS])
    if len(items) > _MOST_ITEMS:
        yield f"… and {len(items) - _MOST_ITEMS} more in report.html."


def _render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _show(figure: Figure) -> str:
    return escape_markdown(figure.text)
