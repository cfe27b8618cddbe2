"""Linux namespaces and capabilities of this process, by unshare(2), mount(2), prctl(2) and capset(2)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_MS_BIND = 0x1000
_MS_REC_PRIVATE = 0x4000 | (1 << 18)
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
# With any of these the code could uncover what is covered: by mounting, by file handle, by device, through another process.
_DROPPED = {
    "DAC_READ_SEARCH": 2,
    "SYS_MODULE": 16,
    "SYS_RAWIO": 17,
    "SYS_CHROOT": 18,
    "SYS_PTRACE": 19,
    "SYS_ADMIN": 21,
    "SYS_BOOT": 22,
    "MKNOD": 27,
    "SETFCAP": 31,
    "PERFMON": 38,
    "BPF": 39,
}


def enter(*, processes: bool) -> bool:
    """Enter a mount namespace, and a PID namespace for the children to come; tell whether the kernel allowed it.

    It is rehearsed in a child, because there is no way back from half of it: where AppArmor restricts unprivileged user
    namespaces (Ubuntu since 23.10), unshare(2) succeeds and what comes after it is refused. This process is in them wholly
    or, with False, not at all.
    """
    return _rehearse(processes=processes) and _enter(processes=processes)


def _rehearse(*, processes: bool) -> bool:
    """Tell whether a child of this process can enter them."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if _enter(processes=processes) else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _enter(*, processes: bool) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    flags = _CLONE_NEWNS | (_CLONE_NEWPID if processes else 0) | (_CLONE_NEWUSER if uid != 0 else 0)
    if libc.unshare(flags) != 0:
        return False
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return bool(libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) == 0)


def cover(path: str) -> bool:
    """Put nothing in the place of a file, socket or directory; tell whether that was allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if Path(path).is_dir():
        return bool(libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, b"size=4k") == 0)
    return bool(libc.mount(b"/dev/null", os.fsencode(path), None, _MS_BIND, None) == 0)


def continue_in_child() -> None:
    """Go on in the PID namespace: returns in a grandchild; this process and the namespace's first one wait for it.

    The code does not run as the namespace's first process, for that one is immune to its own signals.
    """
    first = os.fork()
    if first != 0:
        _end_like(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.mount(b"proc", b"/proc", b"proc", 0, None)
    worker = os.fork()
    if worker == 0:
        return
    _reap_until(worker)


def drop_capabilities() -> None:
    """Give up, also for programs started from here, the capabilities that could undo a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in _DROPPED.values():
        libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; low words, then high words
    if libc.capget(header, data) != 0:
        return
    for number in _DROPPED.values():
        for kind in range(3):
            data[3 * (number // 32) + kind] &= ~(1 << (number % 32)) & 0xFFFFFFFF
    libc.capset(header, data)


def _reap_until(worker: int) -> None:
    while True:
        pid, status = os.wait()
        if pid == worker:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _end_like(code: int) -> None:
    """End this process as the worker ended: with its exit code or by the same signal."""
    number = code - 128 if code > 128 else -code
    if number > 0:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        # No core of this process: it is not the one that crashed.
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        os.kill(os.getpid(), number)
    os._exit(code)
