"""Names on a control plane: what it says when one is taken, in use, or gone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from seatrial.endpoint import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came back when a control plane was asked to make or delete something.

    Args:
        is_done: it says that it did it.
        status: of a refusal, as in HTTP.
        code: the name that it has for the refusal; empty where it has none.
        message: its sentence.
    """

    is_done: bool
    status: int = 0
    code: str = ""
    message: str = ""


class Named(Protocol):
    """Things of the kinds that a deployment is made of, under names of their own; none of them is there at first.

    Each method asks for one thing after another, whatever was said of the one before and never by force, and returns what was
    said of each, by its kind. Raises DeploymentError when nothing is said, or when what was said to be done does not come true.
    """

    api: str
    """Whose documentation says what comes back (`sagemaker`, `kubernetes`, `docker`); empty for one that no check knows."""

    @property
    def endpoint(self) -> Endpoint | None:
        """Where they answer as the deployment does while they are there; None while nobody can tell."""

    def create(self) -> Mapping[str, Said]:
        """Ask for each, as new; return when they answer, where all are there."""

    def delete_used(self) -> Mapping[str, Said]:
        """Ask to delete each that is in use: that runs, or that another one was made from."""

    def delete(self) -> Mapping[str, Said]:
        """Ask to delete each, users first; return when those are gone that were said to be deleted."""


@runtime_checkable
class HasNames(Protocol):
    """A deployment that claims `names`."""

    def open_named(self) -> AbstractContextManager[Named]:
        """Have things beside the deployment, on its own control plane; after the block they are gone, whatever was done."""
