"""What breaks the protocol of its wire trips the checks that it says, and no other."""

from __future__ import annotations

from collections.abc import Callable

FAMILIES = ("protocol", "protocol-mlflow", "protocol-gradio", "protocol-sagemaker")


def test_a_specimen_trips_its_checks_and_no_other(assert_trips: Callable[[str], None], specimen: str) -> None:
    assert_trips(specimen)
