"""A target's answers to the golden cases, kept in the trial's directory: when all targets are gone they are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from seatrial.model import Arrays, Manifest
from seatrial.tensors import to_array, to_list

ANSWERS_DIR = "answers"
MOST_BYTES = 16 << 20
"""Of one target's file; answers beyond it are left out, and counted."""


class _Tensor(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    shape: tuple[int, ...]
    data: list[Any]


class _Line(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    case: str
    outputs: dict[str, _Tensor]


class AnswerBook:
    """Gathers one target's answers, and writes them to `answers/TARGET.jsonl`: floats read back to the same number."""

    def __init__(self, directory: Path, target: str, manifest: Manifest) -> None:
        self._directory, self._target = directory, target
        self._declared = tuple(spec.name for spec in manifest.outputs)
        self._lines: list[bytes] = []
        self._size_bytes = self._left_out = 0

    def keep(self, case: str, outputs: Arrays) -> None:
        """Keep the answer to a case: those of its outputs that the model declares."""
        tensors = {name: _encode(outputs[name]) for name in self._declared if name in outputs}
        line = msgspec.json.encode(_Line(case=case, outputs=tensors)) + b"\n"
        if self._size_bytes + len(line) > MOST_BYTES:
            self._left_out += 1
            return
        self._lines.append(line)
        self._size_bytes += len(line)

    def write(self) -> Mapping[str, Any]:
        """Write the file and return what the record of the check says of it."""
        name = f"{ANSWERS_DIR}/{self._target}.jsonl"
        path = self._directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(self._lines))
        return {"answers": name} | ({"answers_left_out": self._left_out} if self._left_out else {})


def read_answers(path: Path, manifest: Manifest) -> dict[str, Arrays]:
    """Return the answers of a file by case.

    Raises:
        ValueError: it is no such file, or holds another model's answers.
        OSError: it cannot be read.
    """
    return dict(_read_lines(path, manifest))


def _read_lines(path: Path, manifest: Manifest) -> Iterator[tuple[str, Arrays]]:
    types = {spec.name: spec.datatype for spec in manifest.outputs}
    for text in path.read_bytes().splitlines():
        line = msgspec.json.decode(text, type=_Line)
        if unknown := line.outputs.keys() - types.keys():
            raise ValueError(f"{path}: the model has no output {min(unknown)}")
        yield (
            line.case,
            {name: to_array(each.data, types[name], each.shape) for name, each in line.outputs.items()},
        )


def _encode(array: NDArray[np.generic]) -> _Tensor:
    return _Tensor(shape=tuple(array.shape), data=to_list(array))
