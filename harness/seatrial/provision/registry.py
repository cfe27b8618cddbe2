"""Whether the engine can pull an image, asked with a short bound and remembered for an hour, for each image by itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from seatrial.provision.engine_api import EngineRefusedError, EngineUnavailableError, ask_engine

ASK_TIMEOUT_S = 10
# A probe is to be quick: a name that does not resolve and a port that is closed are said at once.
PROBE_TIMEOUT_S = 3.0
MEMORY_S = 3600.0
FILE_NAME = "registry.json"


def default_state_dir() -> Path:
    """Return where answers are remembered when nobody says: the default of the setting `state_dir`."""
    return Path("~/.local/state/seatrial").expanduser()


def can_pull(client: Any, reference: str, state_dir: Path | None, *, afresh: bool = False) -> bool:
    """Tell whether the registry of an image answers the engine of `client` (a docker.DockerClient).

    Only the manifest is asked for, so a slow download is not taken for a registry that is out of reach. A failure of
    the last hour is believed, unless `afresh`.
    """
    if state_dir is not None and not afresh and recall_failure(state_dir, reference):
        return False
    reason = _ask_by_client(client, reference)
    if state_dir is not None:
        _remember(state_dir, reference, reason)
    return reason is None


def recall_failure(state_dir: Path, reference: str) -> str | None:
    """Return why the registry of an image did not answer within the last hour, None when it was not asked or did."""
    said = _recall(state_dir, reference)
    return said and said[0]


def probe_registry(reference: str, state_dir: Path, *, afresh: bool = False) -> str | None:
    """Return why the engine cannot reach the registry of an image, None when it can.

    The answer of the last hour is believed, unless `afresh`. A registry that answers with a refusal was reached: who
    pulls may have credentials that this question has not.
    Raises EngineUnavailableError when no engine answers.
    """
    said = None if afresh else _recall(state_dir, reference)
    if said is not None:
        return said[0]
    bound_s = float(ASK_TIMEOUT_S) if afresh else PROBE_TIMEOUT_S
    ask_engine("/version")
    try:
        ask_engine(f"/distribution/{reference}/json", timeout_s=bound_s)
        reason = None
    except EngineRefusedError as exc:
        reason = str(exc.message) if exc.status >= 500 else None
    except EngineUnavailableError as exc:
        reason = f"the registry of {reference} did not answer the engine within {bound_s:.0f} s ({exc.message})"
    _remember(state_dir, reference, reason)
    return reason


def _recall(state_dir: Path, reference: str) -> tuple[str | None] | None:
    """Return the answer of the last hour in a tuple, None when there is none."""
    try:
        said = _read(state_dir)[reference]
        return (said["reason"],) if 0 <= time.time() - said["at"] < MEMORY_S else None
    except (KeyError, TypeError):
        return None


def _remember(state_dir: Path, reference: str, reason: str | None) -> None:
    state_dir.mkdir(parents=True, exist_ok=True)
    told = {**_read(state_dir), reference: {"at": time.time(), "reason": reason}}
    new = state_dir / f"{FILE_NAME}.{os.getpid()}"
    new.write_text(json.dumps(told), encoding="utf-8")
    new.replace(state_dir / FILE_NAME)


def _read(state_dir: Path) -> dict[str, Any]:
    try:
        said = json.loads((state_dir / FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: each for name, each in said.items() if isinstance(each, dict)} if isinstance(said, dict) else {}


def _ask_by_client(client: Any, reference: str) -> str | None:
    import docker.errors
    import requests

    patience = client.api.timeout
    client.api.timeout = ASK_TIMEOUT_S
    try:
        client.api.inspect_distribution(reference)
    except (docker.errors.DockerException, requests.RequestException) as exc:
        return str(exc)
    finally:
        client.api.timeout = patience
    return None
