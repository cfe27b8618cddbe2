"""The timeline of a trial as a picture: one row a target, one bar a phase, over the seconds since the trial began."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, cast
from xml.etree import ElementTree as ET

import msgspec

from seatrial.records import PhaseRecord, RunResult
from seatrial_reports.text import join_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by the colour-blind, and of enough contrast on white and on near-black (WCAG 2.2, 1.4.11: at least 3 to 1).
COLOURS: Final = {
    "build": "#3b78c4",
    "publish": "#8b66cc",
    "start": "#b87400",
    "ready": "#1f8f5f",
    "first-answer": "#d1487a",
    "update": "#b5563a",
    "restart": "#0f8797",
    "undeploy": "#75808c",
}
_OTHER = "#7a7a3c"
# Take the place of the page's colours until the picture stands in the page, whose scheme then decides.
_INK = "#010203"
_PAPER = "#fdfcfb"
_NAME_LIMIT = 40
_WIDTH_INCHES = 10.0
_CHARACTER_INCHES = 0.085


def draw_timeline(run: RunResult) -> str:
    """Return an SVG element to stand inside an HTML page: same records, same bytes; empty when no phase was recorded.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if not any(result.timeline for result in run.targets.values()):
        return ""
    import matplotlib as mpl

    ink = {
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    settings = {"svg.hashsalt": "seatrial", "svg.fonttype": "none", "text.parse_math": False, **ink}
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # the user's own matplotlibrc has no say in the report
        mpl.rcParams.update(cast("Any", settings))
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        titles, svg = _draw(run)
    return _fit_into_page(svg, titles)


def list_phases(run: RunResult) -> list[PhaseRecord]:
    """Return the phases of all targets, target by target, each in the order of its beginnings."""
    return [
        msgspec.structs.replace(phase, target=name)
        for name, result in run.targets.items()
        for phase in sorted(result.timeline, key=lambda phase: (phase.start_s, phase.end_s))
    ]


def _draw(run: RunResult) -> tuple[dict[str, str], str]:
    import io

    from matplotlib.figure import Figure

    phases = list_phases(run)
    figure = Figure(figsize=(_WIDTH_INCHES, 1.3 + 0.42 * len(run.targets)), layout="constrained")
    axes = figure.add_subplot()
    end_s = max(*(phase.end_s for phase in phases), run.duration_s, 0.001)
    rows = {name: row for row, name in enumerate(run.targets)}
    _prepare_axes(axes, list(rows), end_s)
    titles = {}
    for index, (phase, lane, lanes) in enumerate(_assign_lanes(phases)):
        titles[f"phase-{index}"] = _describe(phase)
        _draw_bar(axes, phase, row=rows[phase.target], lane=lane, lanes=lanes, end_s=end_s)
        axes.patches[-1].set_gid(f"phase-{index}")
    for name, result in run.targets.items():
        if not result.timeline:
            axes.text(
                end_s * 0.005, rows[name], result.status.replace("-", " "), va="center", style="italic", fontsize=9
            )
    _draw_legend(figure, phases)
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return titles, stream.getvalue()


def _prepare_axes(axes: Axes, names: list[str], end_s: float) -> None:
    axes.set_yticks(range(len(names)), [join_lines(name, _NAME_LIMIT) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, end_s)
    axes.set_xlabel("seconds since the trial began")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=_INK, alpha=0.15, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.patch.set_visible(False)
    axes.figure.patch.set_visible(False)


def _assign_lanes(phases: list[PhaseRecord]) -> list[tuple[PhaseRecord, int, int]]:
    """Give phases of one target that overlap a lane each, so that none hides another: (phase, its lane, lanes in its row)."""
    ends: dict[str, list[float]] = {}
    placed = []
    for phase in phases:
        lanes = ends.setdefault(phase.target, [])
        lane = next((index for index, end_s in enumerate(lanes) if end_s <= phase.start_s + 1e-6), len(lanes))
        lanes[lane:] = [phase.end_s, *lanes[lane + 1 :]]
        placed.append((phase, lane))
    return [(phase, lane, len(ends[phase.target])) for phase, lane in placed]


def _draw_bar(axes: Axes, phase: PhaseRecord, *, row: int, lane: int, lanes: int, end_s: float) -> None:
    height = 0.64 / lanes
    middle = row - 0.32 + height * (lane + 0.5)
    length_s = max(phase.end_s - phase.start_s, 0.0)
    colour = COLOURS.get(phase.name, _OTHER)
    # A hairline of the page's colour parts neighbours; a bar that it would swallow keeps its own.
    edge = _PAPER if length_s / end_s > 0.006 else colour
    axes.barh(middle, length_s, left=phase.start_s, height=height, color=colour, edgecolor=edge, linewidth=0.8)
    name = join_lines(phase.name, _NAME_LIMIT)
    if lanes == 1 and length_s / end_s * (_WIDTH_INCHES - 1.5) > len(name) * _CHARACTER_INCHES + 0.1:
        place = phase.start_s + length_s / 2
        axes.text(place, middle, name, ha="center", va="center", fontsize=8, color="white")


def _draw_legend(figure: Figure, phases: list[PhaseRecord]) -> None:
    from matplotlib.patches import Patch

    present = {phase.name for phase in phases}
    known = [name for name in COLOURS if name in present]
    handles = [Patch(color=COLOURS[name], label=name) for name in known]
    if others := sorted(present.difference(COLOURS)):
        handles.append(Patch(color=_OTHER, label=join_lines(", ".join(others), _NAME_LIMIT)))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)


def _describe(phase: PhaseRecord) -> str:
    length_s = phase.end_s - phase.start_s
    text = f"{phase.target}: {phase.name}, {length_s:.2f} s, from {phase.start_s:.2f} s to {phase.end_s:.2f} s"
    return join_lines(text, 200)


def _fit_into_page(svg: str, titles: dict[str, str]) -> str:
    """Make matplotlib's file an element of an HTML page: no prologue, namespaces, own style sheet or fixed colours."""
    root = ET.fromstring(svg)  # noqa: S314 - written by matplotlib just now
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        if title := titles.get(element.get("id", "")):
            element.insert(0, _make_title(title))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib.update({"role": "img", "aria-labelledby": "timeline-title", "class": "timeline"})
    return ET.tostring(root, encoding="unicode").replace(_INK, "currentColor").replace(_PAPER, "var(--paper)")


def _make_title(text: str) -> Any:
    title = ET.Element("title")
    title.text = text
    return title
