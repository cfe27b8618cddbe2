"""Takes down what a trial started once its run is gone: `python -I reaper.py --journal PATH --trial ID`.

Standard library only. It starts work when its standard input ends or says `finish`, ignores Ctrl-C and the like, touches
nothing without the trial's label, marker or journal entry, and writes what it found to PATH.reaped.json.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # Its parts are found beside it, not through the package: that may be half gone by the time they are needed.
    sys.path.append(str(Path(__file__).resolve().parent))
    sys.exit(importlib.import_module("reaping.work").main(sys.argv[1:]))
