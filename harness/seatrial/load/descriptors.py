"""What a client has of its machine to open connections with, and how it is told that there is no more."""

from __future__ import annotations

import errno
import resource
from typing import Final

EXHAUSTED: Final = {errno.EMFILE: "descriptors", errno.ENFILE: "descriptors", errno.EADDRNOTAVAIL: "ports"}
"""What the client has run out of, by the error of who opens: never the server's doing."""
OTHER_DESCRIPTORS: Final = 64
"""Besides those of connections."""


def allow_descriptors(count: int) -> None:
    """Let this process have so many files open, as far as it may: what it has is often 1,024, fewer than a plan's connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
