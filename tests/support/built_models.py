"""Models as directories, built as a trial builds them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from seatrial.model import MANIFEST_NAME, ModelDirectory, hash_file


def build_models(locator: str, out: Path, *, kind: str = "python", cwd: Path | None = None) -> list[ModelDirectory]:
    argv = [sys.executable, "-m", "seatrial.model_child", kind, locator, str(out)]
    built = subprocess.run(argv, check=True, capture_output=True, cwd=cwd, timeout=160)
    return [ModelDirectory.open(Path(path)) for path in json.loads(built.stdout.splitlines()[-1])["directories"]]


def spoil_model(model: ModelDirectory, to: Path) -> ModelDirectory:
    """Copy a model, with an artifact that is no pickle but has the hash the manifest says."""
    shutil.copytree(model.path, to)
    (to / "artifact" / "model.pkl").write_bytes(b"not a pickle")
    manifest = json.loads((to / MANIFEST_NAME).read_text())
    manifest["files"]["artifact/model.pkl"] = hash_file(to / "artifact" / "model.pkl")
    (to / MANIFEST_NAME).write_text(json.dumps(manifest))
    return ModelDirectory.open(to)
