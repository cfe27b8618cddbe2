"""The user of Locust's that sends: one on each worker, who runs a pacer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from locust import User, task
from locust.exception import StopUser

if TYPE_CHECKING:
    from seatrial.load.swarm.worker import Worker


class PacerUser(User):
    """Sends this worker's share of the schedule, and is done."""

    worker: ClassVar[Worker | None] = None

    @task
    def pace(self) -> None:
        """Take the order through."""
        assert self.worker is not None
        self.worker.pace()
        raise StopUser
