"""Builds model directories: `python -m seatrial.model_child KIND LOCATOR OUT`. Runs the model's code, so it is always a child.

The last line of its output is `{"directories": [...]}` or `{"error": "..."}`. Nothing heavy is imported before the process is
isolated, for isolating forks and numpy starts threads.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seatrial.isolation import enter_isolation


def _choose_builder(kind: str) -> Callable[[str, Path], list[Path]]:
    if kind == "python":
        from seatrial.model_building import build_python_model

        return build_python_model
    if kind == "onnx":
        from seatrial.model_formats.onnx_file import build_onnx_model

        return build_onnx_model
    from seatrial.model_formats.mlflow_directory import build_mlflow_model

    return build_mlflow_model


def _build(kind: str, locator: str, out: Path) -> dict[str, Any]:
    from seatrial.loading import LoadingError
    from seatrial.model_writing import BuildError

    try:
        return {"directories": [str(path) for path in _choose_builder(kind)(locator, out)]}
    except (BuildError, LoadingError) as error:
        return {"error": str(error)}
    except SystemExit as error:
        return {"error": f"its code ended the process (sys.exit({error.code!r}))"}
    except Exception as error:  # noqa: BLE001 - model code raises what it likes; the parent reports it in one sentence
        return {"error": f"{type(error).__name__}: {error}"}


def main(argv: list[str]) -> int:
    """Build and say where; what the model's code prints, in C too, goes to standard error, so that the last line stays ours."""
    kind, locator, out = argv
    result = os.dup(1)
    os.dup2(2, 1)
    uncovered = enter_isolation()
    if uncovered:
        sys.stderr.write(f"not hidden from the model's code here: {', '.join(uncovered)}\n")
    answer = _build(kind, locator, Path(out).resolve())
    sys.stdout.flush()
    with os.fdopen(result, "w") as stream:
        stream.write(json.dumps(answer) + "\n")
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
