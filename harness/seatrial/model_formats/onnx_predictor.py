"""Runs `model.onnx` in onnxruntime. Travels with the model as its code, so it needs nothing but onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class OnnxModel:
    """What `seatrial.loading` loads: an ONNX file on one CPU thread."""

    @staticmethod
    def load(directory: Path) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        """Return `predict`: arrays by the graph's input names to arrays by its output names."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(directory / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]

        def predict(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
            return dict(zip(names, session.run(names, dict(tensors)), strict=True))

        return predict


model = OnnxModel
