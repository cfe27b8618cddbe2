"""An emulator of a cloud that a person works against: an address, the lines to export, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from seatrial.model import ModelDirectory
from seatrial.target import DeployContext, Fidelity


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOrder:
    """What is asked for.

    Args:
        context: owner, directories, and the size of an instance; its settings are not looked at.
        model: put where the cloud keeps models, and the image that serves it is allowed; None for none.
        images: further images that may run.
        programs: argv by image, in which `{model}` and `{port}` are filled in: run as processes where no containers are.
        host: what runs behind an endpoint.
        port: of 127.0.0.1; 0 takes a free one.
        refuse_config_in_use: hold a client to the rule that what an endpoint is made from is not deleted while it serves,
            where the cloud only asks for it.
    """

    context: DeployContext
    model: ModelDirectory | None
    images: Sequence[str] = ()
    programs: Mapping[str, Sequence[str]]
    host: Literal["auto", "container", "process"] = "auto"
    port: int = 0
    refuse_config_in_use: bool = False


class RunningEmulator(Protocol):
    """An emulator that answers."""

    fidelity: Fidelity
    exports: Mapping[str, str]
    """Variables with which the cloud's own clients find it and may come in."""
    unset: Sequence[str]
    """Variables that would lead those clients elsewhere."""
    hints: Sequence[str]
    """Lines for a person: what is there, and commands to begin with."""

    def find_end(self) -> str:
        """Return how it ended by itself, empty while it runs."""


class EmulatorSource(Protocol):
    """Starts an emulator, and tells what of the cloud it has."""

    def run(self, order: EmulatorOrder) -> AbstractContextManager[RunningEmulator]:
        """Run it for the block; everything that it started ends with it.

        Raises DeploymentError when it does not answer, UsageError when the order cannot be met.
        """

    def describe(self) -> str:
        """Return a page in Markdown: what is done, what is only kept, and what is absent."""
