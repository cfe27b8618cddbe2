"""The owner of everything a trial starts: what it creates is written down first and outlives no crash of the run."""

from __future__ import annotations

from seatrial.owner.entries import (
    Borrowed,
    Container,
    Directory,
    Entry,
    File,
    Image,
    KindCluster,
    NamedNetwork,
    Namespace,
    Network,
    Process,
    Spawning,
)
from seatrial.owner.journal import Journal, OwnerGoneError
from seatrial.owner.owner import Owner
from seatrial.owner.ownership import Leftover, OwnerClient, Ownership, SpawnError
from seatrial.owner.sweep import find_leftovers, sweep

__all__ = [
    "Borrowed",
    "Container",
    "Directory",
    "Entry",
    "File",
    "Image",
    "Journal",
    "KindCluster",
    "Leftover",
    "NamedNetwork",
    "Namespace",
    "Network",
    "Owner",
    "OwnerClient",
    "OwnerGoneError",
    "Ownership",
    "Process",
    "SpawnError",
    "Spawning",
    "find_leftovers",
    "sweep",
]
