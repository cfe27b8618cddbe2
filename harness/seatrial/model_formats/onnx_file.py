"""Builds model directories from an ONNX file, with golden answers that onnxruntime did not make wherever there are any.

In this order: data that others laid beside the file (`test_data_set_0`); ONNX's own reference evaluator, which shares no code
with onnxruntime; onnxruntime itself. The manifest's `golden` says whose they are.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seatrial.comparison import compare
from seatrial.definition import Predict
from seatrial.loading import load_predictor
from seatrial.model import Arrays, Case, Manifest, Tolerance
from seatrial.model_formats import onnx_predictor
from seatrial.model_formats.onnx_graph import DataSet, is_batched, list_inputs, read_data_sets, read_graph, read_specs
from seatrial.model_formats.onnx_inputs import make_inputs
from seatrial.model_formats.onnx_version import Change, append_change, change_arrays, complement, negate
from seatrial.model_writing import BuildError, answer_case, check_arrays, seal, write_manifest

_REFERENCE_TIMEOUT_S = 20.0
_TOLERANCES = {
    "FP16": Tolerance(absolute=1e-3, relative=1e-3),
    "FP32": Tolerance(absolute=1e-6, relative=1e-5),
    "FP64": Tolerance(absolute=1e-12, relative=1e-9),
}


def build_onnx_model(locator: str, out: Path) -> list[Path]:
    """Build version 1, the file as it is, and version 2, which answers recognisably differently.

    Raises:
        BuildError: not an ONNX file, not runnable by onnxruntime, or not answering its data sets rightly.
    """
    path = Path(locator)
    manifest, cases = build_first(path, out)
    directory = out / f"{manifest.name}-1"
    second = _build_second(read_graph(path), manifest, cases, out / f"{manifest.name}-2")
    return [directory, second] if second else [directory]


def build_first(path: Path, out: Path, *, made_up: bool = True) -> tuple[Manifest, list[Case]]:
    """Build version 1 below `out`; `made_up` adds cases to those that came with the file.

    Raises:
        BuildError, LoadingError: as `build_onnx_model`.
    """
    proto = read_graph(path)
    data_sets = [each for each in read_data_sets(path, proto) if each.inputs]
    manifest = _describe(path, proto, data_sets)
    first = out / f"{manifest.name}-1"
    _lay_out(first, manifest, lambda target: _copy_graph(path, proto, target))
    predict = _load(first)
    manifest = _complete_outputs(manifest, proto, data_sets, predict)
    given = [_take(manifest, each, predict) for each in data_sets if each.outputs]
    more, origin = _evaluate(manifest, proto, data_sets, predict) if made_up or not given else ([], "")
    cases = _keep_distinct(manifest, [*given, *more])
    manifest = _replace(manifest, golden=_describe_golden(cases, given, origin))
    seal(first, manifest, cases)
    return manifest, cases


def _describe(path: Path, proto: Any, data_sets: list[DataSet]) -> Manifest:
    stem = path.parent.name if path.stem == "model" and path.parent.name else path.stem
    inputs = list_inputs(proto)
    known = data_sets[0].inputs if data_sets else {}
    return Manifest(
        name=re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:63] or "onnx",
        version="1",
        inputs=read_specs(inputs, known, batched=is_batched(inputs)),
        outputs=(),
        entry="onnx_predictor:model",
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        files={},
        requirements=tuple(f"{name}=={importlib.metadata.version(name)}" for name in ("onnxruntime", "numpy")),
        flavor="onnx",
    )


def _complete_outputs(manifest: Manifest, proto: Any, data_sets: list[DataSet], predict: Predict) -> Manifest:
    """Add the outputs' signature; open dimensions other than the batch take their size from a first answer."""
    known: Arrays = data_sets[0].outputs if data_sets else {}
    if any(output.name not in known for output in proto.graph.output):
        known = {**_ask(predict, make_inputs(manifest.inputs, data_sets)[0]), **known}
    outputs = read_specs(proto.graph.output, known, batched=is_batched(list_inputs(proto)))
    floats = [spec.datatype for spec in outputs if spec.datatype in _TOLERANCES]
    # Coarsest first: one tolerance holds for the model.
    tolerance = next((_TOLERANCES[each] for each in _TOLERANCES if each in floats), Tolerance())
    return _replace(manifest, outputs=outputs, tolerance=tolerance)


def _keep_distinct(manifest: Manifest, cases: list[Case]) -> list[Case]:
    """Drop cases whose answer is that of an earlier one: an answer to another's question must be seen to be wrong."""
    distinct: list[Case] = []
    for case in cases:
        if not any(compare(other.outputs, case.outputs, manifest).right for other in distinct):
            distinct.append(case)
    return distinct


def _describe_golden(cases: list[Case], given: list[Case], origin: str) -> str:
    kept = len({case.name for case in cases} & {case.name for case in given})
    rest = len(cases) - kept
    parts = [f"{kept} by those who laid them beside the file"] if kept else []
    return ", ".join([*parts, f"{rest} by {origin}"] if rest else parts)


def _take(manifest: Manifest, data_set: DataSet, predict: Predict) -> Case:
    case = Case(
        name=data_set.name,
        inputs=check_arrays(data_set.inputs, manifest.inputs, f"{data_set.name}: input"),
        outputs=check_arrays(data_set.outputs, manifest.outputs, f"{data_set.name}: output"),
    )
    outcome = compare(case.outputs, _ask(predict, case.inputs), manifest)
    if not outcome.right:
        raise BuildError(f"onnxruntime's answer to {data_set.name} is not the one beside the file: {outcome.message}")
    return case


def _evaluate(manifest: Manifest, proto: Any, data_sets: list[DataSet], predict: Predict) -> tuple[list[Case], str]:
    inputs = make_inputs(manifest.inputs, data_sets)
    runtime = [answer_case(manifest, predict, f"case-{index:03d}", each) for index, each in enumerate(inputs, start=1)]
    try:
        reference = [
            Case(name=case.name, inputs=case.inputs, outputs=check_arrays(answer, manifest.outputs, case.name))
            for case, answer in zip(runtime, _evaluate_by_reference(proto, inputs), strict=True)
        ]
    except Exception as error:  # noqa: BLE001 - the reference evaluator lacks operators, and says so in many ways
        return runtime, f"onnxruntime itself (ONNX's reference evaluator: {type(error).__name__}: {str(error)[:120]})"
    for want, got in zip(reference, runtime, strict=True):
        outcome = compare(want.outputs, got.outputs, manifest)
        if not outcome.right:
            return (
                runtime,
                f"onnxruntime itself (ONNX's reference evaluator disagrees in {want.name}: {outcome.message})",
            )
    return reference, "ONNX's reference evaluator"


def _evaluate_by_reference(proto: Any, inputs: list[Mapping[str, Any]]) -> list[Arrays]:
    from onnx.reference import ReferenceEvaluator

    names = [output.name for output in proto.graph.output]
    with _time_limit(_REFERENCE_TIMEOUT_S), np.errstate(all="ignore"):
        evaluator = ReferenceEvaluator(proto)
        answers: list[Any] = [evaluator.run(None, dict(each)) for each in inputs]
        return [dict(zip(names, answer, strict=True)) for answer in answers]


def _build_second(proto: Any, manifest: Manifest, cases: list[Case], directory: Path) -> Path | None:
    """Build version 2 in the first way in which every case is answered differently; None when there is none."""
    second = _replace(
        manifest, version="2", golden=f"{manifest.golden}, then changed as the node appended for version 2 does"
    )
    for change in (negate, complement):
        changed = _change_cases(cases, change)
        if any(compare(a.outputs, b.outputs, manifest).right for a, b in zip(cases, changed, strict=True)):
            continue
        try:
            graph = append_change(proto, change).SerializeToString()
            _lay_out(directory, second, lambda target, graph=graph: target.write_bytes(graph))
            predict = _load(directory)
            for case in changed:
                outcome = compare(case.outputs, _ask(predict, case.inputs), second)
                if not outcome.right:
                    raise BuildError(outcome.message)
        except Exception as error:  # noqa: BLE001 - onnx cannot convert every graph; one version is then all there is
            sys.stderr.write(f"no second version by {change.__name__}: {type(error).__name__}: {error}\n")
            continue
        seal(directory, second, changed)
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    return None


def _change_cases(cases: list[Case], change: Change) -> list[Case]:
    return [Case(name=each.name, inputs=each.inputs, outputs=change_arrays(each.outputs, change)) for each in cases]


def _lay_out(directory: Path, manifest: Manifest, write_graph: Any) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "artifact").mkdir(parents=True)
    (directory / "code").mkdir()
    shutil.copy(onnx_predictor.__file__, directory / "code" / "onnx_predictor.py")
    write_graph(directory / "artifact" / "model.onnx")
    write_manifest(directory, manifest)


def _copy_graph(path: Path, proto: Any, target: Path) -> None:
    from onnx.external_data_helper import uses_external_data

    # Read in by onnx.load, external data is marked so no more; the file itself tells.
    raw = path.read_bytes()
    unread = type(proto).FromString(raw)
    if any(uses_external_data(tensor) for tensor in unread.graph.initializer):
        target.write_bytes(proto.SerializeToString())
    else:
        target.write_bytes(raw)


def _load(directory: Path) -> Predict:
    return load_predictor(directory)[1]


def _ask(predict: Predict, inputs: Mapping[str, Any]) -> Arrays:
    try:
        return predict(inputs)
    except Exception as error:
        raise BuildError(
            f"onnxruntime does not answer: {type(error).__name__}: {error}; when made-up inputs are not what the net takes, "
            "lay a test_data_set_0 beside the file"
        ) from error


def _replace(manifest: Manifest, **changes: Any) -> Manifest:
    import msgspec

    return msgspec.structs.replace(manifest, **changes)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)
