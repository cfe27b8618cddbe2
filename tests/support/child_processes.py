"""Processes below this one."""

from __future__ import annotations

import psutil


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def find_children(word: str) -> list[psutil.Process]:
    """Processes below this one with a word in their command."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if word in process.cmdline() and is_alive(process):
                found.append(process)
        except psutil.Error:
            continue
    return found
