"""The connections that a run begins with: what they take of this process, side by side, and why they cannot be had."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from seatrial.load.descriptors import EXHAUSTED, OTHER_DESCRIPTORS
from seatrial.load.pacer.connection import Connection
from seatrial.load.plan import Failed, Plan

SIDE_BY_SIDE: Final = 16
"""A server that shakes hands with one at a time has half a second for each before the last of them takes too long."""


class OpeningError(Exception):
    """Not all could be opened.

    Attributes:
        made: how many were.
        cause: what the next one met.
    """

    def __init__(self, made: int, cause: OSError) -> None:
        super().__init__(str(cause))
        self.made = made
        self.cause = cause


async def open_side_by_side(
    open_one: Callable[[], Awaitable[Connection]], count: int, timeout_s: float
) -> list[Connection]:
    """Return so many connections in the order of their numbers. Raises OpeningError with the first that cannot be had."""
    made: list[Connection] = []

    async def open_in_turn(turns: Iterator[int]) -> None:
        for _ in turns:
            connection = await open_one()
            made.append(connection)

    turns = iter(range(count))
    tasks = [asyncio.create_task(open_in_turn(turns)) for _ in range(min(count, SIDE_BY_SIDE))]
    try:
        async with asyncio.timeout(timeout_s) as bound:
            await asyncio.gather(*tasks)
    except OSError as error:
        cause = TimeoutError(f"it took over {timeout_s:g} s") if bound.expired() else error
        raise OpeningError(len(made), cause) from error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return sorted(made, key=lambda connection: connection.number)


def count_descriptors(plan: Plan) -> int:
    """Return how many files the pacer of a plan may have open at a time."""
    return max(plan.users, plan.max_connections) + OTHER_DESCRIPTORS


def describe_failure(plan: Plan, error: OpeningError) -> Failed:
    """Say why a run cannot begin, and whether that is the client's doing."""
    where = plan.destination.unix_path or f"{plan.destination.host}:{plan.destination.port}"
    begun = f"{error.made:,} of the {plan.first_connections:,} connections to {where}"
    exhausted = EXHAUSTED.get(error.cause.errno or 0, "")
    if exhausted == "ports" and not error.made:
        # An address that this machine has no way to is told by the same number.
        exhausted = ""
    fewer = "fewer users" if plan.mode == "closed" else "a lower rate"
    if exhausted == "descriptors":
        wanted, limit = count_descriptors(plan), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return Failed(
            message=f"the client ran out of descriptors after {begun}: it may have {limit:,} files open, and wanted {wanted:,}",
            fix=f"raise the limit of open files (`ulimit -n {wanted}`; root may where that is refused), or {fewer}",
            exhausted=exhausted,
        )
    if exhausted:
        return Failed(
            message=f"the client ran out of {exhausted} after {begun}: {error.cause}",
            fix=f"widen net.ipv4.ip_local_port_range, or {fewer}",
            exhausted=exhausted,
        )
    why = str(error.cause) or "it took too long"
    if not error.made:
        return Failed(message=f"no connection to {where}: {why}", fix="see that it listens")
    return Failed(
        message=f"only {begun} could be made: {why}", fix=f"{fewer}, or see how many connections the server takes"
    )
