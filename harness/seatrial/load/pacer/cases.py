"""Which case is asked next: that which was idle for longest, for an answer that went to another request is told by its case."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class Cases:
    """The cases of a plan, in turn; with more requests in flight than there are, one of them is asked twice at a time.

    Attributes:
        doubled: requests that were sent while another one of their case was in flight.
    """

    __slots__ = ("_cases", "_flying", "_idle", "doubled")

    def __init__(self, cases: tuple[int, ...]) -> None:
        self._cases = cases
        self._idle = deque(dict.fromkeys(cases))
        self._flying = dict.fromkeys(cases, 0)
        self.doubled = 0

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

    def pass_on(self, back: Sequence[int], request: int) -> list[int]:
        """Give cases back and take as many, in one call; `request` is the number of the first that takes one."""
        flying, idle, cases = self._flying, self._idle, self._cases
        if len(flying) == 1 and back:
            # A load of one body is the most usual one, and every step counts: what is in flight stays as it is.
            self.doubled += len(back) - (flying[cases[0]] == len(back))
            return list(back)
        for case in back:
            flying[case] -= 1
            if not flying[case]:
                idle.append(case)
        taken = []
        for number in range(request, request + len(back)):
            if idle:
                case = idle.popleft()
            else:
                case = cases[number % len(cases)]
                self.doubled += 1
            flying[case] += 1
            taken.append(case)
        return taken

    def choose(self, request: int) -> int:
        """Return the case whose turn it is when all are in flight."""
        return self._cases[request % len(self._cases)]
