"""The image of a Kubernetes node, loaded from an archive where kind cannot pull its own."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from seatrial.provision import apt
from seatrial.provision.command import ProvisionError
from seatrial.provision.context import Context
from seatrial.provision.engine_api import explaining, find_image, open_client
from seatrial.provision.registry import probe_registry
from seatrial.provision.settings import KubernetesSettings

CHUNK_BYTES = 1 << 20
LOAD_TIMEOUT_S = 600
# What kind pulls by itself is of this repository, with a tag and a digest that only kind knows.
DEFAULT_IMAGE = "kindest/node:latest"
FIX_UNREACHABLE = (
    "make the registry reachable to the Docker engine, or set targets.kubernetes.node_image and"
    " targets.kubernetes.node_archive"
)
FIX_ARCHIVE = "set targets.kubernetes.node_archive to an archive of the image that targets.kubernetes.node_image names"


def list_commands(settings: KubernetesSettings) -> tuple[str, ...]:
    """Return the commands that load the node image, to be shown."""
    archive = settings.node_archive
    if archive is None:
        return (f"none: kind pulls it where a registry answers; else {FIX_UNREACHABLE}",)
    if archive.suffix != ".zst":
        return (f"docker load -i {archive}",)
    needed = () if _can_read_zstd() else (apt.format_install("zstd"),)
    return (*needed, f"zstd -dc {archive} | docker load")


def ensure_node_image(context: Context, settings: KubernetesSettings) -> None:
    """Load the node image from its archive, unless the engine has it or kind can pull one. Raises ProvisionError."""
    name, archive = settings.node_image, settings.node_archive
    if name is not None and find_image(name):
        return
    if name is None or archive is None:
        _require_registry(name or DEFAULT_IMAGE, context.record.state_dir)
        return
    if not archive.is_file():
        raise ProvisionError(f"the node image {name} is to come from {archive}, which is not a file", fix=FIX_ARCHIVE)
    if archive.suffix == ".zst" and not _can_read_zstd():
        apt.install(context, "zstd")
    context.progress(f"loading {name} from {archive} ({archive.stat().st_size / 1e6:.0f} MB)")
    step = context.record.begin("image", reference=name)
    loaded = _load(archive)
    found = find_image(name)
    if found is None:
        message = f"{archive} holds {', '.join(loaded) or 'no named image'}, expected {name}"
        raise ProvisionError(message, fix=FIX_ARCHIVE)
    context.record.finish(step, image_id=str(found["Id"]))


def _require_registry(reference: str, state_dir: Path) -> None:
    reason = probe_registry(reference, state_dir, afresh=True)
    if reason is not None:
        raise ProvisionError(f"kind would pull {reference}, but: {reason}", fix=FIX_UNREACHABLE)


def _can_read_zstd() -> bool:
    return importlib.util.find_spec("zstandard") is not None or shutil.which("zstd") is not None


def _load(archive: Path) -> list[str]:
    with (
        open_client(LOAD_TIMEOUT_S) as client,
        open_archive(archive) as stream,
        explaining(f"loading {archive}", fix=FIX_ARCHIVE),
    ):
        chunks: Any = iter(lambda: stream.read(CHUNK_BYTES), b"")
        return [tag for image in client.images.load(chunks) for tag in image.tags]


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[BinaryIO]:
    """Open an image archive for the engine, which itself reads plain and gzip tar files: zstd is unpacked here.

    Raises ProvisionError when the archive is broken.
    """
    if path.suffix != ".zst":
        with path.open("rb") as plain:
            yield plain
    elif importlib.util.find_spec("zstandard") is not None:
        zstandard = importlib.import_module("zstandard")
        with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as unpacked:
            yield unpacked
    else:
        with _open_with_program(path) as unpacked:
            yield unpacked


@contextlib.contextmanager
def _open_with_program(path: Path) -> Iterator[BinaryIO]:
    command = ["zstd", "--decompress", "--stdout", "--quiet", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as zstd:
        assert zstd.stdout is not None
        assert zstd.stderr is not None
        yield zstd.stdout  # type: ignore[misc]
        said = zstd.stderr.read().decode(errors="replace").strip()
        if zstd.wait() != 0:
            raise ProvisionError(f"{path} cannot be unpacked: {said}", fix=FIX_ARCHIVE)
