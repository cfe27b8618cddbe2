"""What the user's settings say about provisioning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """The part of `[tool.seatrial.kubernetes]` that decides what the machine needs.

    `node_image` is the name of the node image kind is to use, `node_archive` a `.tar`, `.tar.gz` or `.tar.zst` of it.
    With `context`, a cluster that already runs is used, and neither kind nor a node image is needed.
    """

    node_image: str | None = None
    node_archive: Path | None = None
    context: str | None = None
