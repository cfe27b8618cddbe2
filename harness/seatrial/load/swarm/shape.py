"""A shape of Locust's for stages of rates, and one user on each worker, whatever the shape says."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from locust import LoadTestShape, User
from locust.dispatch import UsersDispatcher
from locust.runners import LocalRunner, MasterRunner, WorkerNode

if TYPE_CHECKING:
    from seatrial.load.swarm.master import Master

Tick = tuple[int, float] | tuple[int, float, list[type[User]] | None]


class Stages(LoadTestShape):
    """Ends the run when its pacers have ended. A subclass may give stages, which take the place of rate and duration.

    The schedule of all stages is drawn before the first send, by the law of `--seatrial-arrivals`, poisson or constant.
    """

    abstract = True
    stages: ClassVar[tuple[tuple[float, float], ...]] = ()
    """`(requests a second, seconds)` of each."""
    master: ClassVar[Master | None] = None

    def tick(self) -> Tick | None:
        """Return one user for each worker, the same as long as the run goes on, and None when it is over."""
        runner = self.runner
        assert isinstance(runner, MasterRunner | LocalRunner)
        if runner.shape_last_tick is None:
            count = max(1, runner.worker_count)
            return count, float(count)
        assert self.master is not None
        return None if self.master.is_over else runner.shape_last_tick


class PacerShape(Stages):
    """The rate and the duration of the options."""


class OneEach(UsersDispatcher):
    """One user on each worker that was there at the start, and none on others: a schedule cannot be moved while it runs."""

    def __init__(self, worker_nodes: list[WorkerNode], user_classes: list[type[User]]) -> None:
        super().__init__(worker_nodes, user_classes)
        self._each = {node.id: dict.fromkeys((user.__name__ for user in user_classes), 1) for node in worker_nodes}
        self._is_due = False

    def new_dispatch(
        self,
        target_user_count: int,  # noqa: ARG002 - Locust names it
        spawn_rate: float,  # noqa: ARG002
        user_classes: list[type[User]] | None = None,  # noqa: ARG002
    ) -> None:
        """Give the same again."""
        self._is_due = True

    def __next__(self) -> dict[str, dict[str, int]]:
        """Return the users of each worker, once."""
        if not self._is_due:
            raise StopIteration
        self._is_due = False
        return {name: dict(users) for name, users in self._each.items()}

    def add_worker(self, worker_node: WorkerNode) -> None:
        """Leave it idle until the next run."""

    def remove_worker(self, worker_node: WorkerNode) -> None:
        """Leave the others as they are."""
