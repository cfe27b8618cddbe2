"""Which case is asked next: that which was idle for longest, for an answer that went to another request is told by its case."""

from __future__ import annotations

from collections import deque


class Cases:
    """The cases of a plan, in turn; with more requests in flight than there are, one of them is asked twice at a time.

    Attributes:
        doubled: requests that were sent while another one of their case was in flight.
        is_one: there is one case only, which a load asks most often.
    """

    __slots__ = ("_cases", "_flying", "_idle", "doubled", "is_one")

    def __init__(self, cases: tuple[int, ...]) -> None:
        self._cases = cases
        self._idle = deque(dict.fromkeys(cases))
        self._flying = dict.fromkeys(cases, 0)
        self.doubled = 0
        self.is_one = len(self._flying) == 1

    def take(self, request: int) -> int:
        """Return the case of request number `request`, which is in flight from now on."""
        if self._idle:
            case = self._idle.popleft()
        else:
            case = self.choose(request)
            self.doubled += 1
        self._flying[case] += 1
        return case

    def give_back(self, case: int) -> None:
        """A request of a case is in flight no more."""
        self._flying[case] -= 1
        if not self._flying[case]:
            self._idle.append(case)

    def pass_on(self, case: int, request: int) -> int:
        """Give a case back and take the next one, in one call: where the pacer has no time for two."""
        flying, idle = self._flying, self._idle
        flying[case] -= 1
        if not flying[case]:
            idle.append(case)
        if idle:
            case = idle.popleft()
        else:
            case = self.choose(request)
            self.doubled += 1
        flying[case] += 1
        return case

    def pass_on_only(self, times: int) -> None:
        """Give the only case back and take it again, so many times in a row."""
        if self._flying[self._cases[0]] > 1:
            self.doubled += times

    def choose(self, request: int) -> int:
        """Return the case whose turn it is when all are in flight."""
        return self._cases[request % len(self._cases)]
