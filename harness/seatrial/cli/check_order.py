"""What `seatrial check` was asked for, looked at before anything is sent."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from seatrial.checks import PROFILES
from seatrial.discovery import MODEL_FIX
from seatrial.endpoint import Endpoint
from seatrial.errors import UsageError
from seatrial.load import limits
from seatrial.load.address import read_header, resolve
from seatrial.masking import mask_header
from seatrial.model import MANIFEST_NAME, ModelDirectory
from seatrial.registry import WIRES_GROUP, find_wire, names
from seatrial.settings import Settings, read_settings
from seatrial.suggestion import suggest

SUITE: Final = "conformance"
# What a wire puts behind the address itself, so that nobody asks for it twice.
_ADDED_PATHS: Final = {
    "v2": "/v2",
    "sagemaker": "/invocations",
    "mlflow": "/invocations",
    "gradio-run": "/gradio_api",
    "gradio-call": "/gradio_api",
}
# As the wires spell them, for one of each name is sent.
_SPELLINGS: Final = {"accept": "Accept", "content-type": "Content-Type", "host": "Host"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """The options, as they were given.

    Args:
        url: the address.
        wire: how it is asked.
        model: a model directory; empty to learn from the server.
        name: of the model or function there.
        headers: `Name: value` each.
        ca_file: certificates to trust.
        profile: how much is asked.
        check_ids: checks to ask alone.
        seed: of everything random; None to draw one.
        allowed: hosts that need not be this machine.
        out: where the trial's directory is kept; None keeps none.
        json_file: where the result is written.
    """

    url: str
    wire: str
    model: str
    name: str
    headers: tuple[str, ...] = field(repr=False)
    ca_file: str
    profile: str
    check_ids: tuple[str, ...]
    seed: int | None
    allowed: tuple[str, ...]
    out: Path | None
    json_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOrder:
    """The options, understood.

    Args:
        options: as they were given.
        endpoint: where and how; its name is empty where none was given.
        model: None to learn from the server.
        settings: of this directory and environment, without those of targets.
        check_ids: as the suites spell them.
        seed: of everything random.
    """

    options: CheckOptions
    endpoint: Endpoint
    model: ModelDirectory | None
    settings: Settings = field(repr=False)
    check_ids: tuple[str, ...]
    seed: int


def read_order(options: CheckOptions, environ: Mapping[str, str]) -> CheckOrder:
    """Return what the options mean.

    Raises:
        UsageError: one of them cannot be used as given.
        ModelError: the model directory is not what its manifest says.
    """
    wires = names(WIRES_GROUP)
    if options.wire not in wires:
        raise UsageError(f"there is no wire {options.wire!r}.{suggest(options.wire, wires)}")
    if options.profile not in PROFILES:
        raise UsageError(f"--profile is {options.profile!r}, one of {', '.join(PROFILES)} was expected")
    found = read_settings(Path.cwd(), environ)
    # Those of targets are about other endpoints, headers among them.
    settings = Settings({path: each for path, each in found.given.items() if not path.startswith("targets.")})
    limits.check_writable(options.json_file)
    limits.check_certificates(options.ca_file, options.url)
    endpoint = _read_endpoint(options, (*settings.general.allow_remote, *options.allowed))
    model = _open_model(options.model) if options.model else None
    if model is None and not hasattr(find_wire(options.wire), "discover"):
        raise UsageError(
            f"what a server asked by the wire {options.wire} takes is told by none of its pages", fix=MODEL_FIX
        )
    return CheckOrder(
        options=options,
        endpoint=endpoint,
        model=model,
        settings=settings,
        check_ids=_find_checks(options.check_ids),
        seed=secrets.randbelow(1 << 31) if options.seed is None else options.seed,
    )


def tell_command(order: CheckOrder, check_id: str) -> tuple[str, ...]:
    """Return the command that asks one check alone, as it may be told."""
    options = order.options
    words = ["seatrial", "check", options.url, "--wire", options.wire]
    for option, value in (("--model", options.model), ("--name", options.name), ("--ca-file", options.ca_file)):
        words += [option, value] if value else []
    for header in options.headers:
        words += ["--header", mask_header(header)]
    for host in options.allowed:
        words += ["--allow-remote", host]
    return (*words, "--seed", str(order.seed), "--check", check_id)


def _read_endpoint(options: CheckOptions, allowed: Sequence[str]) -> Endpoint:
    framed = find_wire(options.wire).framing == "frame"
    if framed != options.url.startswith("unix:"):
        fix = "give unix:/PATH, the socket's" if framed else "give http://HOST:PORT or https://HOST"
        raise UsageError(f"{options.url!r} is no address that the wire {options.wire} goes to", fix=fix)
    remote = False
    if not framed:
        parts = urlsplit(options.url)
        resolve(options.url, allowed=allowed, what="what is malformed", strictly=True)
        remote = parts.hostname is not None and _is_remote(options.url)
        if parts.query or parts.fragment:
            raise UsageError(f"{options.url!r} has more than an address", fix="leave out what begins with ? or #")
        added = _ADDED_PATHS.get(options.wire, "")
        if added and f"{parts.path.rstrip('/')}/".endswith(f"{added}/"):
            base = options.url.rstrip("/").removesuffix(added)
            raise UsageError(f"{options.url!r} ends in {added}, which the wire {options.wire} adds", fix=f"give {base}")
    return Endpoint(
        address=options.url.rstrip("/"),
        wire=options.wire,
        path="unix-socket" if framed else "remote" if remote else "loopback",
        name=options.name.removeprefix("/"),
        headers=_read_headers(options.headers),
        ca_file=options.ca_file,
    )


def _is_remote(url: str) -> bool:
    try:
        resolve(url, strictly=True)
    except UsageError:
        return True
    return False


def _read_headers(given: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for header in given:
        name, value = read_header(header)
        name = _SPELLINGS.get(name.lower(), name)
        if name.lower() in {each.lower() for each in headers}:
            raise UsageError(f"the header {name} was given twice", fix="give each once")
        if not value.isascii():
            raise UsageError(f"the header {name} has a value that is not ASCII", fix="encode it as the server expects")
        headers[name] = value
    return headers


def _open_model(given: str) -> ModelDirectory:
    """Return a model directory; any other name of a model would have code run."""
    path = Path(given)
    if not (path / MANIFEST_NAME).is_file():
        what = "it has no manifest" if path.is_dir() else "there is no such directory"
        raise UsageError(
            f"--model {given} is no model directory: {what}",
            fix="`seatrial build NAME DIR` writes one of any model; this command runs no model's code",
        )
    return ModelDirectory.open(path.resolve())


def _find_checks(given: Sequence[str]) -> tuple[str, ...]:
    """Return the ids as the suites spell them. Raises UsageError for one that is none of this command's."""
    if not given:
        return ()
    from seatrial.cli.catalogue import collect_checks

    suites = {known.check.id: known.suite for known in collect_checks().checks}
    known = [each for each, suite in suites.items() if suite == SUITE]
    found = []
    for each in given:
        name = next((name for name in suites if name.lower() == each.lower()), "")
        if not name:
            raise UsageError(f"there is no check {each!r}.{suggest(each.upper(), known)}")
        if name not in known:
            raise UsageError(
                f"{name} belongs to the suite {suites[name]}, and this command asks the suite {SUITE}",
                fix="see `seatrial load` for figures of an endpoint that already runs",
            )
        found.append(name)
    return tuple(dict.fromkeys(found))
