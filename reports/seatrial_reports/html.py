"""report.html: the whole trial in one file that needs no network, for the screen, light and dark, and for paper."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.errors import HarnessError, UnmetRequirementError
from seatrial.records import RunResult, encode_run
from seatrial_reports import capacities, floors, histories, loads, matrix, ranking, statuses, summary, timeline
from seatrial_reports.files import replace_file
from seatrial_reports.limits import show_cpu_limit
from seatrial_reports.quantities import name_facts, name_limits, show_bytes, show_seconds
from seatrial_reports.text import clean_text, shorten

if TYPE_CHECKING:
    from jinja2 import Environment

FILE_NAME = "report.html"
# `<` could end the script element; the others are controls that JSON leaves as they are.
_UNFIT_IN_SCRIPT = re.compile("[<\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")


def write_html(run: RunResult, directory: Path) -> Path:
    """Write report.html into `directory`, the trial's, whose histories it draws, and return its path.

    A timeline or a history that cannot be drawn is said in its place; the rest of the report stands.

    Raises:
        UnmetRequirementError: Jinja2 is not installed.
        HarnessError: the page could not be made of these records; a report.html that was there is untouched.
    """
    try:
        environment = _make_environment()
    except ImportError as error:
        message = f"report.html needs Jinja2, which cannot be imported: {error}"
        raise UnmetRequirementError(message, fix="pip install 'seatrial[report]'") from error
    try:
        content = environment.get_template("report.html.j2").render(_collect(run, directory))
    except Exception as error:  # whatever breaks this page must not keep the other reports from being written
        message = f"report.html could not be made of run {run.run_id}: {error!r}"
        raise HarnessError(
            message, fix="report.md, junit.xml and run.json hold the results; please report this"
        ) from error
    return replace_file(directory / FILE_NAME, content)


def embed_run(run: RunResult) -> str:
    """Return run.json such that it can stand in a script element: what is unfit for a page is escaped as JSON does it."""
    try:
        text = encode_run(run).decode()
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold
        cleaned = _replace_surrogates(msgspec.to_builtins(run))
        text = msgspec.json.format(msgspec.json.encode(cleaned), indent=2).decode()
    return _UNFIT_IN_SCRIPT.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _make_environment() -> Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seatrial_reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_fit_for_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clean=clean_text,
        shorten=shorten,
        sign=statuses.sign,
        seconds=partial(show_seconds, why="not recorded"),
        size=partial(show_bytes, why="not recorded"),
        facts=name_facts,
        limits=name_limits,
        cpu_limit=show_cpu_limit,
    )
    return environment


def _fit_for_page(value: Any) -> Any:
    """Clean and bound every string that a template puts out, so that none can be forgotten."""
    return shorten(value) if type(value) is str else value


def _collect(run: RunResult, directory: Path) -> dict[str, Any]:
    import jinja2
    from markupsafe import Markup

    loader = jinja2.PackageLoader("seatrial_reports")
    environment = jinja2.Environment(loader=loader, autoescape=True)
    style, script = (loader.get_source(environment, name)[0] for name in ("report.css", "report.js"))
    picture, trouble = _try_timeline(run)
    groups = matrix.list_groups(run)
    return {
        "run": run,
        "lines": summary.summarise(run),
        "phase_names": summary.PHASES,
        "loads": loads.list_loads(run),
        "load_quantiles": loads.QUANTILES,
        "ranking": ranking.rank_targets(run),
        "floors": floors.list_floors(run),
        "capacities": capacities.list_capacities(run),
        "capacity_ranking": capacities.rank_capacities(run),
        "red_checks": summary.list_red_checks(run),
        "errors": [(name, error) for name, result in run.targets.items() for error in result.errors],
        "not_run": summary.list_not_run(run),
        "matrix": groups,
        "meanings": matrix.list_meanings(groups),
        "timeline": Markup(picture),  # noqa: S704 - serialised by ElementTree, which escapes
        "timeline_trouble": trouble,
        "histories": [_show_history(line) for line in histories.list_histories(run, directory, drawn=True)],
        "phases": timeline.list_phases(run),
        "settings": list(_flatten(run.settings)),
        "verdict_words": statuses.describe_verdict(run),
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "run_json": Markup(embed_run(run)),  # noqa: S704 - holds no `<`
    }


def _try_timeline(run: RunResult) -> tuple[str, str]:
    try:
        return timeline.draw_timeline(run), ""
    except ImportError as error:
        return "", f"matplotlib cannot be imported ({error}). Fix: pip install 'seatrial[report]'"
    except Exception as error:  # noqa: BLE001 - whatever breaks the picture must not lose the report
        return "", f"drawing it failed: {error!r}"


def _show_history(line: histories.HistoryLine) -> dict[str, Any]:
    from markupsafe import Markup

    return {
        "line": line,
        "svg": Markup(line.picture.svg if line.picture else ""),  # noqa: S704 - all of its texts are escaped
        "notes": line.picture.notes if line.picture else (),
        "length": show_seconds(line.silence.length_s if line.silence else None, why="nothing was asked"),
    }


def _flatten(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return dotted keys and their values as JSON."""
    flat: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            flat.extend(_flatten(value, f"{name}."))
        else:
            flat.append((name, json.dumps(value, ensure_ascii=False, default=str)))
    return flat


def _replace_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_replace_surrogates(key): _replace_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_surrogates(item) for item in value]
    return value
