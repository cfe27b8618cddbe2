"""The floor's server, wrong in one way: `python wrong_floor.py WRONG --model DIR --socket PATH`. For the model `nonce`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from seatrial_fixtures import floor

NUMBER = 7
"""Of one golden case."""
LEANS = {"leans-up": 1 + 7e-8, "leans-nowhere": 1.0, "leans-down": 1 - 7e-8}
"""More than half of the tolerance of `digits`, 1e-7: each is right by it, and the two that lean are not the same."""
FIRST_NUMBERS = (0, 1, -2)


respond = floor.FloorServer.respond


class WrongServer(floor.FloorServer):
    """Answers as the floor does, but for `wrong`."""

    wrong = ""
    turn = threading.Lock()
    asked = at_once = 0
    first: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None
    remembered: ClassVar[set[tuple[int, ...]]] = set()
    offset = 0

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.wrong in LEANS:
            return self.lean(question)
        if self.wrong == "crosses":
            return self.answer_another(question)
        answer = self.answer_once(question)
        numbers = [int(number) for number in question["inputs"]["number"]["data"]]
        if self.wrong == "remembers" and tuple(numbers) not in WrongServer.remembered:
            WrongServer.remembered.add(tuple(numbers))
            time.sleep(0.03)
        with WrongServer.turn:
            WrongServer.asked += 1
            time.sleep(0.04 if self.wrong == "slow" else 0.0)
            is_twentieth = WrongServer.asked % 20 == 0
            last, WrongServer.last = WrongServer.last, answer
            WrongServer.first = WrongServer.first or answer
        if self.wrong == "slips" and is_twentieth:
            answer["outputs"]["answer"]["data"][0] += 1_000_000_007
        if self.wrong == "mixes-up" and is_twentieth and last is not None:
            return last
        return WrongServer.first if self.wrong == "caches" else answer

    def lean(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer off by less than the golden answers' tolerance, always to the same side."""
        answer = super().answer(question)
        for tensor in answer["outputs"].values():
            if any(isinstance(item, float) for item in tensor["data"]):
                tensor["data"] = [item * LEANS[self.wrong] for item in tensor["data"]]
        return answer

    def answer_another(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one who asks alone; of several at a time each gets what was last computed, as with a variable that all share."""
        with WrongServer.turn:
            WrongServer.at_once += 1
        try:
            answer = self.answer_once(question)
            WrongServer.last = answer
            time.sleep(0.005)
            return answer if WrongServer.at_once == 1 else WrongServer.last
        finally:
            with WrongServer.turn:
                WrongServer.at_once -= 1

    def respond(self, body: bytes) -> Mapping[str, Any]:
        """As the floor does, but for what is no JSON."""
        try:
            json.loads(body)
        except RecursionError:
            return respond(self, body)
        except ValueError:
            if self.wrong == "swallows" and WrongServer.first is not None:
                return WrongServer.first
            if self.wrong == "dies-of-it":
                os._exit(1)
            if self.wrong == "forgets":
                WrongServer.offset = 1
        return respond(self, body)

    def answer_once(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        numbers = [int(number) for number in question["inputs"]["number"]["data"]]
        answer = super().answer(question)
        data = answer["outputs"]["answer"]["data"]
        if self.wrong == "reorders" and len(numbers) > 1:
            data.reverse()
        if self.wrong == "off-by-one" and numbers == [NUMBER]:
            data[0] += 1
        if self.wrong == "drops" and numbers == [NUMBER]:
            sys.exit()  # ends the thread, and so the connection
        if self.wrong == "hangs" and len(numbers) == 1 and numbers[0] not in FIRST_NUMBERS:
            time.sleep(60)
        data[0] += WrongServer.offset
        if self.wrong == "nameless":
            return {"outputs": answer["outputs"]}
        return answer


def main(wrong: str) -> int:
    WrongServer.wrong = wrong
    floor.FloorServer = WrongServer  # type: ignore[misc]
    if wrong == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal = lambda *_: None
    return floor.main()


if __name__ == "__main__":
    code = main(sys.argv.pop(1))
    sys.stderr.flush()
    os._exit(code)  # as the floor does
