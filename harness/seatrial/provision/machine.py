"""What kind of machine this is, as far as provisioning depends on it."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from seatrial.provision import runc_wrapper

# Debian's names for architectures, by those of the kernel.
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "ppc64le": "ppc64el"}
RELEASES_BY_AGE = ("bullseye", "bookworm", "trixie", "forky", "sid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts of a machine. `missing_capabilities` are those its bounding set cannot give to anybody."""

    system: str
    distribution: str
    codename: str
    architecture: str
    has_apt: bool
    has_systemd: bool
    missing_capabilities: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = " ".join(part for part in (self.distribution, self.codename) if part) or self.system
        return f"{name} ({self.architecture})"

    def is_debian_before(self, codename: str) -> bool:
        """Tell whether this is a Debian release older than `codename`."""
        known = self.distribution == "debian" and self.codename in RELEASES_BY_AGE
        return known and RELEASES_BY_AGE.index(self.codename) < RELEASES_BY_AGE.index(codename)


def inspect_machine(root: Path = Path("/")) -> Machine:
    """Return the facts of this machine, read from the files under `root`."""
    release = _read_os_release(root / "etc/os-release")
    kernel = platform.machine().lower()
    linux = sys.platform == "linux"
    return Machine(
        system=platform.system(),
        distribution=release.get("ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        architecture=ARCHITECTURES.get(kernel, kernel),
        has_apt=linux and shutil.which("apt-get") is not None,
        # sd_booted(3): systemd is the init exactly when this directory exists.
        has_systemd=(root / "run/systemd/system").is_dir(),
        missing_capabilities=_missing_capabilities(root) if linux else (),
    )


def _read_os_release(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs if value}


def _missing_capabilities(root: Path) -> tuple[str, ...]:
    last = root / "proc/sys/kernel/cap_last_cap"
    known = int(last.read_text(encoding="ascii")) if last.exists() else len(runc_wrapper.CAPABILITIES) - 1
    bounding_set = runc_wrapper.read_bounding_set(str(root / "proc/self/status"))
    names = runc_wrapper.CAPABILITIES[: known + 1]
    return tuple(name for bit, name in enumerate(names) if not bounding_set >> bit & 1)
