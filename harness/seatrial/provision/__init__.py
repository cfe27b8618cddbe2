"""What targets need of a machine beyond Python packages: found by probes, got by a plan, taken back from a record."""

from seatrial.provision.base_image import BaseImage, ensure_base_image
from seatrial.provision.command import ProvisionError
from seatrial.provision.engine_api import find_engine_url, open_client
from seatrial.provision.planning import Action, ProvisionFailedError, apply, plan
from seatrial.provision.record import Record
from seatrial.provision.requirements import probe_base_image, probe_docker, probe_kind, probe_kubectl, probe_node_image
from seatrial.provision.settings import KubernetesSettings
from seatrial.provision.undo import undo

__all__ = [
    "Action",
    "BaseImage",
    "KubernetesSettings",
    "ProvisionError",
    "ProvisionFailedError",
    "Record",
    "apply",
    "ensure_base_image",
    "find_engine_url",
    "open_client",
    "plan",
    "probe_base_image",
    "probe_docker",
    "probe_kind",
    "probe_kubectl",
    "probe_node_image",
    "undo",
]
