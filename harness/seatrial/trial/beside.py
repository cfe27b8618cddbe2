"""Another deployment on a target that is up, for as long as a check needs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from seatrial.failure_log import tell_log
from seatrial.model import ModelDirectory
from seatrial.target import Deployment, choose_settings_beside, claim_capabilities
from seatrial.trial.trial import Trial

READY_TIMEOUT_S = 60.0


@contextmanager
def deploy_beside(trial: Trial, name: str, model: ModelDirectory) -> Iterator[Deployment]:
    """Deploy a model and wait until it is ready; taken down after the block.

    Nothing is prepared: what the deployment on trial was built from is there.

    An exception that leaves the block takes the last lines of this deployment's log along, as a note.

    Raises:
        DeploymentError: it did not get ready, within a minute at most; nothing is left of it then.
    """
    berth = trial.fleet.find_berth(name)
    with trial.open_directory(f"seatrial-{name}-") as work_dir:
        log_dir = berth.context.log_dir / work_dir.name
        log_dir.mkdir(parents=True)
        context = dataclasses.replace(
            berth.context,
            work_dir=work_dir,
            log_dir=log_dir,
            settings=choose_settings_beside(berth.target, berth.context.settings),
            ready_timeout_s=min(READY_TIMEOUT_S, berth.context.ready_timeout_s),
        )
        with trial.further.keep(lambda: berth.target.deploy(model, context)) as deployment:
            try:
                deployment.wait_ready(context.ready_timeout_s)
                yield deployment
            except Exception as error:
                if told := tell_log(
                    deployment, claims_logs="logs" in claim_capabilities(berth.target, context.settings)
                ):
                    error.add_note(told)
                raise
