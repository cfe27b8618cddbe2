"""Answers of the emulator held against botocore's service model."""

from __future__ import annotations

import json
from typing import Any

from botocore.model import StructureShape
from botocore.validate import ParamValidator

# Of every operation of AWS, whatever its own list says: docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html,
# and the forms in which signatures and absent operations are refused.
_COMMON_ERRORS = {
    "AccessDeniedException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "NotImplementedException",
    "RequestAbortedException",
    "RequestExpired",
    "SerializationException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
    # The runtime's form of it, in its own list.
    "ValidationError",
    # A body above the bound is refused before any operation: it has no code, and botocore takes the status.
    "413",
}
CHECKED = {"sagemaker", "sagemaker-runtime", "application-autoscaling"}


def check_against_model(response_dict: dict[str, Any], parsed_response: dict[str, Any], model: Any) -> list[str]:
    """What a response has that botocore's service model does not know, lacks, or has of another type."""
    error = parsed_response.get("Error")
    if error is not None:
        shape = next(
            (each for each in model.error_shapes if each.error_code == error["Code"] or each.name == error["Code"]),
            None,
        )
        if shape is None:
            return [] if error["Code"] in _COMMON_ERRORS else [f"an error that is in no list: {error['Code']}"]
        known = {name.lower() for name in shape.members} | {"message", "__type", "code"}
        strange = {name for name in json.loads(response_dict["body"] or b"{}") if name.lower() not in known}
        return [f"members of {shape.name} that it does not have: {sorted(strange)}"] if strange else []
    if model.output_shape is None:
        return []
    members = {name: value for name, value in parsed_response.items() if name != "ResponseMetadata"}
    streams = {
        name
        for name, each in model.output_shape.members.items()
        if each.type_name == "blob" or each.serialization.get("eventstream")
    }
    report = ParamValidator().validate(
        {name: value for name, value in members.items() if name not in streams},
        StructureShape(
            model.output_shape.name, _without(model.output_shape, streams), model.output_shape._shape_resolver
        ),
    )
    found = [report.generate_report()] if report.has_errors() else []
    if not streams and isinstance(response_dict["body"], bytes) and model.service_model.resolved_protocol == "json":
        found += list_strangers(json.loads(response_dict["body"] or b"{}"), model.output_shape, model.name)
    return found


def _without(shape: Any, members: set[str]) -> dict[str, Any]:
    described = dict(shape._shape_model)
    described["members"] = {name: each for name, each in described["members"].items() if name not in members}
    described["required"] = [name for name in described.get("required", []) if name not in members]
    return described


def list_strangers(value: Any, shape: Any, where: str) -> list[str]:
    """Members of a raw answer, at any depth, that the shape does not have: botocore's parser drops them."""
    if shape.type_name == "structure" and isinstance(value, dict):
        known = shape.members
        return [f"{where}.{name}" for name in value if name not in known] + [
            each
            for name in value
            if name in known
            for each in list_strangers(value[name], known[name], f"{where}.{name}")
        ]
    if shape.type_name == "list" and isinstance(value, list):
        return [each for item in value for each in list_strangers(item, shape.member, f"{where}[]")]
    return []
