"""Which limit of CPU held for a deployment, as it was read back, and by what means."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from seatrial.errors import SeatrialError
from seatrial.records import CpuLimitRecord
from seatrial.target import Deployment, Limits


def read_cpu_limit(deployment: Deployment) -> CpuLimitRecord:
    """Ask a deployment for the limit that holds now; what cannot be asked has one that is not known."""
    try:
        return describe_cpu_limit(deployment.read_limits(), deployment)
    except SeatrialError:
        return CpuLimitRecord(means="unknown", asked=_ask(deployment))


def describe_cpu_limit(limits: Limits, deployment: Deployment) -> CpuLimitRecord:
    """Return limits that were read as a record, beside what the model asks for."""
    asked = _ask(deployment)
    if limits.cpus is None:
        return CpuLimitRecord(means="none" if limits.is_known else "unknown", asked=asked)
    if limits.cpu_set is None:
        return CpuLimitRecord(means="quota", cpus=limits.cpus, asked=asked)
    return CpuLimitRecord(means="cpu-set", cpus=limits.cpus, cpu_set=limits.cpu_set, asked=asked)


@contextlib.contextmanager
def off_cpus(deployment: Deployment) -> Iterator[None]:
    """Keep the client, which the block starts, off the CPUs of a deployment that is kept to a set.

    A pacer comes first for a CPU, and who is kept to that CPU could not go elsewhere meanwhile. Where there are no others they
    share them.
    """
    record = read_cpu_limit(deployment)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
    rest = allowed - set(record.cpu_set)
    if not rest or rest == allowed:
        yield
        return
    os.sched_setaffinity(0, rest)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _ask(deployment: Deployment) -> float:
    return deployment.model.manifest.resources.cpus
