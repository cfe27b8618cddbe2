#!/usr/bin/python3 -IS
"""An OCI runtime in front of runc, for machines whose capability bounding set lacks something.

An engine asks for every capability it knows in a privileged container, and runc fails when the machine cannot give one
("unable to apply caps: operation not permitted"). This one takes what the machine does not have out of the container's
description, then becomes runc with the same arguments. Standard library only: the engine starts it by itself.
Description: https://github.com/opencontainers/runtime-spec/blob/main/config.md#linux-process
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

GLOBAL_OPTIONS_WITH_VALUE = frozenset({"--criu", "--log", "--log-format", "--root", "--rootless"})
CAP_SYS_RESOURCE = 24
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The numbers of linux/capability.h, in order.
CAPABILITIES = (  # noqa: SIM905
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP "
    "CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER "
    "CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE "
    "CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL "
    "CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ "
    "CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE"
).split(" ")


def read_bounding_set(status_path: str = "/proc/self/status") -> int:
    """Return the capability bounding set of this process as a bit mask."""
    with open(status_path, encoding="ascii", errors="replace") as status:  # noqa: PTH123
        for line in status:
            if line.startswith("CapBnd:"):
                return int(line.split()[1], 16)
    return (1 << len(CAPABILITIES)) - 1


def strip_process(process: dict[str, Any], bounding_set: int) -> None:
    """Take out of an OCI `process` object, in place, what a machine with `bounding_set` cannot give."""
    absent = {name for bit, name in enumerate(CAPABILITIES) if not bounding_set >> bit & 1}
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names or [] if name not in absent]
    if not bounding_set >> CAP_SYS_RESOURCE & 1:
        process.pop("oomScoreAdj", None)


def find_description(arguments: list[str]) -> tuple[str, bool] | None:
    """Return the file runc will read for these arguments, and whether the process is a key of it or all of it."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        position += 2 if arguments[position] in GLOBAL_OPTIONS_WITH_VALUE else 1
    command, options = [*arguments, ""][position], arguments[position + 1 :]
    if command in {"create", "run"}:
        bundle = _option(options, "bundle", "b") or "."
        return os.path.join(bundle, "config.json"), True  # noqa: PTH118
    if command == "exec" and (path := _option(options, "process", "p")):
        return path, False
    return None


def _option(options: list[str], long: str, short: str) -> str | None:
    spellings = (f"--{long}", f"-{long}", f"-{short}", f"--{short}")
    for index, option in enumerate(options):
        name, equals, value = option.partition("=")
        if name in spellings:
            return value if equals else [*options, ""][index + 1]
    return None


def rewrite(path: str, *, nested: bool, bounding_set: int) -> None:
    """Strip the description at `path`; `nested` says that the process is its key `process`."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        description = json.load(file)
    strip_process(description.get("process") or {} if nested else description, bounding_set)
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(description, file)


def main() -> None:
    """Rewrite the description these arguments name, if any, and become runc."""
    found = find_description(sys.argv[1:])
    if found:
        rewrite(found[0], nested=found[1], bounding_set=read_bounding_set())
    runc = shutil.which("runc", path=SEARCH_PATH)
    if runc is None:
        sys.exit(f"runc not found in {SEARCH_PATH}")
    os.execv(runc, [runc, *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
