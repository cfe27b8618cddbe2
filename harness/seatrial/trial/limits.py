"""Which limit of CPU held for a deployment, as it was read back, and by what means."""

from __future__ import annotations

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


def _ask(deployment: Deployment) -> float:
    return deployment.model.manifest.resources.cpus
