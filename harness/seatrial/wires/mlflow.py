"""`mlflow`: MLflow's scoring protocol, POST /invocations.

mlflow.org/docs/latest, "Deploy MLflow Model as a Local Inference Server".

One input goes bare under `inputs` (a signature without names refuses an object, one with names takes a bare list), several go
by name. Predictions come as a list (the only output), as an object of outputs, or as rows of a data frame.
"""

from __future__ import annotations

from typing import Any

import orjson

from seatrial.endpoint import Endpoint
from seatrial.model import Arrays, Manifest
from seatrial.wire import Exchange, Framing
from seatrial.wires.json_exchange import Decoded, JsonExchange, nest, unnest


class MlflowWire:
    """`{"inputs": ...}` to `{"predictions": ...}`, as JSON."""

    name = "mlflow"
    framing: Framing = "http"

    def open_exchange(self, endpoint: Endpoint, manifest: Manifest) -> Exchange:
        """Return a fresh exchange for one question."""

        def encode(inputs: Arrays) -> bytes:
            nested = nest(inputs)
            return orjson.dumps({"inputs": next(iter(nested.values())) if len(nested) == 1 else nested})

        def decode(body: Any) -> Decoded:
            return unnest(name_predictions(body["predictions"], manifest), manifest), ""

        url = f"{endpoint.address}/invocations"
        return JsonExchange(url=url, headers=endpoint.headers, encode=encode, decode=decode)


def name_predictions(predictions: Any, manifest: Manifest) -> dict[str, Any]:
    """Return predictions as nested lists by output name.

    Raises:
        ValueError: a bare list for a model of several outputs.
    """
    if isinstance(predictions, dict):
        return predictions
    rows_of_objects = (
        isinstance(predictions, list) and predictions and all(isinstance(row, dict) for row in predictions)
    )
    if rows_of_objects:
        return {spec.name: [row[spec.name] for row in predictions] for spec in manifest.outputs}
    if len(manifest.outputs) != 1:
        raise ValueError(f"one nameless prediction for {len(manifest.outputs)} outputs")
    return {manifest.outputs[0].name: predictions}
