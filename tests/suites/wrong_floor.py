"""The floor's server, wrong in one way: `python wrong_floor.py WRONG --model DIR --socket PATH`. For the model `nonce`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from seatrial_fixtures import floor

NUMBER = 7
"""Of one golden case."""
FIRST_NUMBERS = (0, 1, -2)


class WrongServer(floor.FloorServer):
    """Answers as the floor does, but for `wrong`."""

    wrong = ""

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
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
