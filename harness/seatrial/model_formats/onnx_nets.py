"""The small nets with golden answers that the `onnx` wheel ships, and which of them can be deployed.

They are its backend tests (onnx/backend/test/data): exported by others, answered by others, so a good answer is nobody's
own opinion of itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOST_ELEMENTS = 20_000
_SAME_ANSWER = "its weights are all alike, so it gives every image the same answer, and a wrong answer looks right"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledNet:
    """A net of the `onnx` wheel. `unusable` is the reason why it cannot be deployed, empty when it can."""

    name: str
    path: Path
    unusable: str = ""


def find_bundled_net(name: str) -> Path | None:
    """Return the ONNX file of a bundled net, e.g. `test_Conv2d`; imports nothing and runs nothing."""
    return next((path for path in _list_files() if path.parent.name == name), None)


def bundled_onnx_nets() -> list[BundledNet]:
    """Return every bundled net, tried in onnxruntime against its golden answers. Takes seconds."""
    nets = [BundledNet(name=path.parent.name, path=path, unusable=_try(path)) for path in _list_files()]
    light = sorted(_data().glob("light/*.onnx")) if _data().is_dir() else []
    return [*nets, *(BundledNet(name=path.stem, path=path, unusable=_SAME_ANSWER) for path in light)]


def _data() -> Path:
    spec = importlib.util.find_spec("onnx")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "backend" / "test" / "data" if places else Path("onnx-is-not-installed")


def _list_files() -> Iterator[Path]:
    root = _data()
    return iter(sorted(root.glob("*/*/model.onnx"))) if root.is_dir() else iter(())


def _try(path: Path) -> str:
    import tempfile

    from seatrial.model_formats.onnx_file import build_first

    with tempfile.TemporaryDirectory(prefix="seatrial-net-") as directory:
        try:
            manifest, cases = build_first(path, Path(directory), made_up=False)
        except Exception as error:  # noqa: BLE001 - the reason, whatever it is, is what was asked for
            return str(error).partition("\n")[0][:200]
    elements = sum(array.size for case in cases for array in (*case.inputs.values(), *case.outputs.values()))
    if elements > _MOST_ELEMENTS:
        return f"a case holds {elements} numbers, too many for a quick exchange in JSON"
    if "laid them beside" not in manifest.golden:
        return "it has no golden answers of others"
    return ""
