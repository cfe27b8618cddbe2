"""A small image with Python, made of the packages of this machine's own distribution: it needs no registry.

Source: debootstrap(8); https://docs.docker.com/reference/cli/docker/image/import/
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.provision import apt
from seatrial.provision.command import ProvisionError, Runner, check, remove_tree, root_command, tail
from seatrial.provision.context import Context, Progress
from seatrial.provision.engine_api import explaining
from seatrial.provision.machine import Machine
from seatrial.provision.sources import Source, find_mirror, read_sources

# The Python of each release, so that an image can have the one that models were made with.
RELEASE_PYTHONS = {
    "debian": {"bullseye": (3, 9), "bookworm": (3, 11), "trixie": (3, 13)},
    "ubuntu": {"jammy": (3, 10), "noble": (3, 12)},
}
# python3-minimal lacks http.server and more.
PACKAGES = ("python3",)
TRIMMED = (
    "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian",
    "var/cache/apt", "var/lib/apt/lists", "var/log",
)  # fmt: skip
# The official images have it, and Dockerfiles that were written for them call it.
PYTHON_LINK = "usr/local/bin/python"
CHANGES = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ENV LANG=C.UTF-8",
    'CMD ["python3"]',
)
RECIPE_VERSION = 1
BUILD_TIMEOUT_S = 900.0
CHUNK_BYTES = 1 << 20
# Not the temporary directory: it may be mounted without devices or execution, or be memory.
TREES = Path("/var/tmp")  # noqa: S108 - directories there are made by mkdtemp
PREFIX = "seatrial-base-"
# What was made within this time may be about to be locked.
FRESH_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What goes into an image. Two recipes with one digest make images that may stand for each other."""

    release: str
    architecture: str

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of everything that decides the content."""
        parts = (RECIPE_VERSION, self.release, self.architecture, PACKAGES, TRIMMED, PYTHON_LINK, CHANGES)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]

    @property
    def reference(self) -> str:
        """The name of the image."""
        return f"seatrial/base:{self.release}-{self.architecture}-{self.digest}"


def choose_recipe(machine: Machine, python: tuple[int, int]) -> Recipe:
    """Return the recipe of the release with that Python, or of the machine's own release when none has it."""
    pythons = RELEASE_PYTHONS.get(machine.distribution, {})
    release = next((name for name, version in pythons.items() if version == python), machine.codename)
    return Recipe(release=release, architecture=machine.architecture)


def list_commands(recipe: Recipe, directory: str = "DIR") -> tuple[str, ...]:
    """Return the commands that make the image, to be shown."""
    mirror = _choose_mirror(read_sources())
    trimmed = " ".join(f"{directory}/{path}/*" for path in TRIMMED)
    changes = " ".join(f"--change '{change}'" for change in (*CHANGES, f"LABEL seatrial.cache={recipe.digest}"))
    return (
        " ".join(_debootstrap_command(recipe, directory, mirror)),
        f"rm -rf {trimmed}",
        f"ln -s /usr/bin/python3 {directory}/{PYTHON_LINK}",
        f"tar -C {directory} -c . | docker import {changes} - {recipe.reference}",
    )


def ensure_installed(context: Context) -> None:
    """Install debootstrap where there is none."""
    apt.ensure_program(context, "debootstrap", "debootstrap")


def build_image(client: Any, recipe: Recipe, runner: Runner, progress: Progress) -> str:
    """Make the image and return its id. Needs debootstrap and root. Raises ProvisionError."""
    mirror = _choose_mirror(read_sources())
    remove_stale_trees(runner, progress)
    with _make_directory(runner) as parent:
        tree = parent / "tree"
        progress(f"building {recipe.reference} from the packages of {recipe.release} (half a minute or so)")
        command = _debootstrap_command(recipe, str(tree), mirror)
        done = runner.run(command, as_root=True, timeout_s=BUILD_TIMEOUT_S)
        check(done, what=f"building a tree of {recipe.release}", fix=f"see {tree}/debootstrap/debootstrap.log by hand")
        _trim(runner, tree)
        progress(f"importing {recipe.reference}")
        with explaining(f"importing {recipe.reference}", fix="see the log of the Docker engine"):
            return _import_tree(client, recipe, tree)


def remove_stale_trees(runner: Runner, progress: Progress) -> None:
    """Remove what builds that were killed left behind."""
    for directory in find_stale_trees():
        progress(f"removing {directory}, which an interrupted build left behind")
        remove_tree(runner, directory)


def find_stale_trees() -> list[Path]:
    """Return the directories of builds whose process is gone. Another user's are not told apart, and left out."""
    return [path for path in sorted(TREES.glob(f"{PREFIX}*")) if _is_stale(path)]


def _is_stale(directory: Path) -> bool:
    try:
        if time.time() - directory.stat().st_mtime < FRESH_S:
            return False
        with _locking(directory):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def _make_directory(runner: Runner) -> Iterator[Path]:
    """A directory that is locked, and so not taken for a killed build's, while this process lives."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=TREES))
    try:
        with _locking(directory):
            yield directory
    finally:
        remove_tree(runner, directory)


@contextlib.contextmanager
def _locking(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory. Raises OSError when another process holds it, or it is no directory of ours."""
    import fcntl  # not on every platform, and this is called on Linux only

    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _choose_mirror(sources: list[Source]) -> Source | None:
    # Any release of the distribution will do: they all lie on one mirror, beside each other.
    known = [name for pythons in RELEASE_PYTHONS.values() for name in pythons]
    return next((found for name in known if (found := find_mirror(sources, name))), None)


def _debootstrap_command(recipe: Recipe, directory: str, mirror: Source | None) -> tuple[str, ...]:
    keyring = (f"--keyring={mirror.keyring}",) if mirror and mirror.keyring else ()
    options = ("--variant=minbase", f"--arch={recipe.architecture}", f"--include={','.join(PACKAGES)}", *keyring)
    return ("debootstrap", *options, recipe.release, directory, *((mirror.uri,) if mirror else ()))


def _trim(runner: Runner, tree: Path) -> None:
    inside = [str(tree / path) for path in TRIMMED]
    find = ("find", *inside, "-mindepth", "1", "-delete")
    fix = "look at the message above"
    check(runner.run(find, as_root=True), what="trimming the tree", fix=fix)
    link = ("ln", "-s", "/usr/bin/python3", str(tree / PYTHON_LINK))
    check(runner.run(link, as_root=True), what="linking python", fix=fix)


def _read_python_version(tree: Path) -> str:
    # /usr/bin/python3 is a link to the program of its minor version.
    return (tree / "usr/bin/python3").readlink().name.removeprefix("python")


def _import_tree(client: Any, recipe: Recipe, tree: Path) -> str:
    labels = {
        "seatrial.cache": recipe.digest, "seatrial.origin": "debootstrap", "seatrial.python": _read_python_version(tree),
    }  # fmt: skip
    changes = [*CHANGES, *(f"LABEL {key}={value}" for key, value in labels.items())]
    name, _, tag = recipe.reference.rpartition(":")
    command = root_command(("tar", "-C", str(tree), "--numeric-owner", "-c", "."))
    with tempfile.TemporaryFile() as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as tar:
        chunks = _read_chunks(tar)
        answer = client.api.import_image_from_stream(chunks, repository=name, tag=tag, changes=changes)
        if tar.wait() != 0:
            errors.seek(0)
            said = tail(errors.read().decode(errors="replace"))
            raise ProvisionError(
                f"packing {tree} failed with {tar.returncode}:\n{said}", fix="look at the message above"
            )
    image = client.images.get(recipe.reference)
    if image.labels.get("seatrial.cache") != recipe.digest:
        raise ProvisionError(
            f"importing {recipe.reference} gave another image. The engine said: {answer}", fix="try again"
        )
    return str(image.id)


def _read_chunks(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    assert process.stdout is not None
    while chunk := process.stdout.read(CHUNK_BYTES):
        yield chunk
