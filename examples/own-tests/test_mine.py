"""A team's own tests over the fixture layer: `pytest --target inprocess,local` runs each on every target."""

from __future__ import annotations

import numpy as np

from seatrial.client import Client
from seatrial.model import ModelDirectory
from seatrial.target import Deployment
from seatrial.wire import Answer, Refusal


def test_probabilities_add_up(
    seatrial_deployment: Deployment, seatrial_client: Client, seatrial_model: ModelDirectory
) -> None:
    """Probabilities of one digit add up to one."""
    answer = seatrial_client.ask(seatrial_model.cases[0].inputs)

    assert isinstance(answer, Answer), seatrial_deployment.read_logs()
    assert abs(answer.outputs["probabilities"].sum() - 1.0) < 1e-9


def test_half_a_digit_is_refused(seatrial_client: Client) -> None:
    """32 pixels are no digit, whoever serves it."""
    answer = seatrial_client.ask({"pixels": np.zeros((1, 32))})

    assert isinstance(answer, Refusal)
