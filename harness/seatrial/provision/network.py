"""What a Docker engine changes in this machine's network and leaves behind when it ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from seatrial.provision.command import Runner
from seatrial.provision.context import Progress

BRIDGE = "docker0"
PROGRAMS = ("iptables", "ip6tables")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# An engine touches these tables; every rule of its own names itself, or the bridge.
TABLES = ("filter", "nat")
OWN_RULE = re.compile(r"docker|br-[0-9a-f]{12}|172\.1[78]\.", re.IGNORECASE)


def observe(runner: Runner) -> dict[str, Any]:
    """Return what `restore` needs to know of the network before an engine starts."""
    saved = {program: _save_rules(runner, program) for program in PROGRAMS}
    return {
        "bridge_existed": (Path("/sys/class/net") / BRIDGE).exists(),
        "forwarding": FORWARDING.read_text(encoding="ascii").strip() if FORWARDING.exists() else None,
        "had_rules": any(_list_rules(text) for text in saved.values()),
        "forward_policies": {program: _find_forward_policy(text) for program, text in saved.items()},
    }


def restore(runner: Runner, before: dict[str, Any], progress: Progress) -> None:
    """Take away the bridge, the firewall rules and the forwarding of an engine that has ended, as far as it made them."""
    if before.get("bridge_existed") is False:
        runner.run(["ip", "link", "delete", BRIDGE], as_root=True, timeout_s=10.0)
    if before.get("had_rules") is False:
        for program, policy in before.get("forward_policies", {}).items():
            _flush_rules(runner, program, policy, progress)
    if before.get("forwarding") == "0":
        runner.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"], as_root=True, timeout_s=10.0)


def _save_rules(runner: Runner, program: str) -> str:
    done = runner.run([f"{program}-save"], as_root=True, timeout_s=10.0)
    return done.output if done.returncode == 0 else ""


def _list_rules(saved: str) -> list[str]:
    return [line for line in saved.splitlines() if line.startswith("-A ")]


def _find_forward_policy(saved: str) -> str:
    found = re.search(r"^:FORWARD (\w+)", saved.partition("*filter")[2], flags=re.MULTILINE)
    return found[1] if found else "ACCEPT"


def _flush_rules(runner: Runner, program: str, policy: str, progress: Progress) -> None:
    rules = _list_rules(_save_rules(runner, program))
    foreign = [rule for rule in rules if not OWN_RULE.search(rule)]
    if foreign:
        progress(f"leaving {program} as it is: {len(foreign)} rules are not the engine's, as {foreign[0]!r}")
        return
    if not rules:
        return
    runner.run([program, "-P", "FORWARD", policy], as_root=True, timeout_s=10.0)
    for table in TABLES:
        for action in ("-F", "-X"):
            runner.run([program, "-t", table, action], as_root=True, timeout_s=10.0)
