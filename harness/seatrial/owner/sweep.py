"""Finds and removes what survived even the reaper: `seatrial clean`. A live trial's things are never touched."""

from __future__ import annotations

import dataclasses
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seatrial.owner import reaper_process
from seatrial.owner.entries import Borrowed, Container, Entry, KindCluster, NamedNetwork
from seatrial.owner.journal import TRIAL_ID, Journal, OwnerGoneError, is_alive
from seatrial.owner.ownership import Leftover
from seatrial.owner.reaping import processes
from seatrial.owner.reaping.engine import CACHE_LABEL, KIND_LABEL, TRIAL_LABEL, Engine, RefusedError, UnreachableError
from seatrial.owner.reaping.records import names_trial

NAMELESS = "unknown"
"""Trial of what carries no label and whose journal is gone: kept kind clusters and their networks."""


def find_leftovers(
    state_dir: Path, *, docker_hosts: Sequence[str] = (), only_trial: str = "", cache: bool = False
) -> list[Leftover]:
    """Return what is left of dead trials, removing nothing.

    Looks at the journals in `state_dir`, at the engines in them and in `docker_hosts` (URLs), and at every process of
    this machine. With `only_trial`, at what is that trial's by journal, label, marker or its id in a name. With
    `cache`, images kept for the next trial (label seatrial.cache) count as well.
    """
    return _go_over(state_dir, docker_hosts, only_trial=only_trial, cache=cache, dry_run=True)


def sweep(
    state_dir: Path, *, docker_hosts: Sequence[str] = (), only_trial: str = "", cache: bool = False
) -> list[Leftover]:
    """Remove what `find_leftovers` finds, kept kind clusters included; returns what became of each thing."""
    return _go_over(state_dir, docker_hosts, only_trial=only_trial, cache=cache, dry_run=False)


@dataclasses.dataclass(slots=True)
class _Seen:
    """What a look at the machine and its engines found, before asking which trials live."""

    trials: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    """Trial id to the engines that hold something of it."""
    nameless: list[KindCluster | NamedNetwork] = dataclasses.field(default_factory=list)
    problems: list[Leftover] = dataclasses.field(default_factory=list)


def _go_over(
    state_dir: Path, docker_hosts: Sequence[str], *, only_trial: str, cache: bool, dry_run: bool
) -> list[Leftover]:
    # The look comes before the question who lives: what is seen was made by a trial that is then known as alive.
    journals = _list_journals(state_dir)
    seen = _look(_list_hosts(journals.values(), docker_hosts))
    living, borrowed = _find_living(journals)
    found = list(seen.problems)
    with tempfile.TemporaryDirectory(prefix="seatrial-clean-") as folder:
        for trial_id in [*journals, *sorted(seen.trials.keys() - journals.keys())]:
            if trial_id in living or (only_trial and trial_id != only_trial):
                continue
            if trial_id in journals and not journals[trial_id].exists():
                continue  # It came to a clean end while this looked.
            hosts = sorted(seen.trials.get(trial_id, set()))
            if trial_id not in journals:
                found += [_leave_alone(trial_id, host) for host in hosts if not _is_local(host)]
                hosts = [host for host in hosts if _is_local(host)]
            path = journals.get(trial_id) or Path(folder) / f"{trial_id}.journal"
            found += _reap(path, trial_id, [Container(docker_host=host) for host in hosts], dry_run=dry_run)
        if borrowed is not None:
            free = [each for each in seen.nameless if not _is_in_use(each.name, living, borrowed)]
            if only_trial:
                free = [each for each in free if names_trial(each.name, only_trial)]
            found += _reap_nameless(Path(folder), free, dry_run=dry_run)
    if cache:
        for host in docker_hosts:
            found += _clear_cache(Engine(host), state_dir, dry_run=dry_run)
    return list(dict.fromkeys(found))


def _list_journals(state_dir: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(state_dir.glob("*.journal"))}


def _reap_nameless(folder: Path, nameless: Sequence[Entry], *, dry_run: bool) -> list[Leftover]:
    if not nameless:
        return []
    trial_id = f"{NAMELESS}-{secrets.token_hex(4)}"
    found = _reap(folder / f"{trial_id}.journal", trial_id, nameless, dry_run=dry_run)
    return [dataclasses.replace(each, trial_id=NAMELESS) for each in found]


def _list_hosts(journals: Any, docker_hosts: Sequence[str]) -> list[str]:
    hosts = dict.fromkeys(docker_hosts)
    for path in journals:
        hosts |= dict.fromkeys(host for each in _read_open(path) if (host := getattr(each, "docker_host", "")))
    return list(hosts)


def _read_open(journal: Path) -> list[Entry]:
    try:
        with Journal.attach(journal) as opened:
            return list(opened.open_entries().values())
    except (KeyError, TypeError):
        return []  # Written by another version: its reaper reads what it can.
    except OwnerGoneError:
        return []  # Its trial came to a clean end while this looked.


def _look(docker_hosts: Sequence[str]) -> _Seen:
    seen = _Seen()
    for running in processes.list_running().values():
        if TRIAL_ID.fullmatch(running.marker):
            seen.trials.setdefault(running.marker, set())
    for host in docker_hosts:
        try:
            _look_at_engine(Engine(host), seen)
        except (UnreachableError, RefusedError) as exc:
            seen.problems.append(Leftover(trial_id="", kind="engine", id=host, how=f"unreachable: {exc}"))
    return seen


def _look_at_engine(engine: Engine, seen: _Seen) -> None:
    networks = engine.list_networks()
    labelled = (
        *engine.list_containers(TRIAL_LABEL),
        *engine.list_images(TRIAL_LABEL),
        *engine.list_volumes(TRIAL_LABEL),
        *networks,
    )
    for each in labelled:
        trial_id = (each.get("Labels") or {}).get(TRIAL_LABEL, "")
        if TRIAL_ID.fullmatch(trial_id):
            seen.trials.setdefault(trial_id, set()).add(engine.docker_host)
    clusters = {str(each["Labels"][KIND_LABEL]) for each in engine.list_containers(KIND_LABEL)}
    loose = {str(each["Name"]) for each in networks if TRIAL_LABEL not in (each.get("Labels") or {})}
    for name in sorted(clusters):
        if name.startswith("seatrial-"):
            seen.nameless.append(KindCluster(name=name, docker_host=engine.docker_host))
    for name in sorted(loose):
        if name.startswith("seatrial-"):
            seen.nameless.append(NamedNetwork(name=name, docker_host=engine.docker_host))


def _find_living(journals: dict[str, Path]) -> tuple[set[str], set[str] | None]:
    """Return the ids of the living trials, and the names of clusters and networks they use.

    A trial with another state directory is known by its reaper's command line. The names are None when the journal of
    one of them cannot be read (another user's): then nothing is known to be unused.
    """
    living = {trial_id: path for trial_id, path in journals.items() if is_alive(path)}
    for running in processes.list_running().values():
        if running.reaps:
            living.setdefault(running.reaps, Path(running.journal))
    names = set()
    try:
        for path in living.values():
            names |= {each.name for each in _read_open(path) if isinstance(each, KindCluster | NamedNetwork | Borrowed)}
    except PermissionError:
        return set(living), None
    return set(living), names


def _is_in_use(name: str, living: set[str], borrowed: set[str]) -> bool:
    return name in borrowed or any(trial_id in name for trial_id in living)


def _is_local(host: str) -> bool:
    return host.startswith("unix:")


def _leave_alone(trial_id: str, host: str) -> Leftover:
    how = "refused: its journal is not here, and the engine may serve other machines, where that trial may run"
    return Leftover(trial_id=trial_id, kind="engine", id=host, how=how)


def _reap(path: Path, trial_id: str, entries: Sequence[Entry], *, dry_run: bool) -> list[Leftover]:
    """Let a reaper do it, by the trial's own journal or by one made up of what was seen."""
    if not path.exists():
        Journal.create(path, trial_id=trial_id).close()
    with Journal.attach(path) as journal:
        for entry in entries:
            journal.write({"op": "create", "id": secrets.token_hex(6), "entry": entry.to_json()})
    found = reaper_process.reap_now(path, trial_id, dry_run=dry_run)
    if not dry_run and all(each.is_gone for each in found):
        reaper_process.forget(path)
    return found


def _clear_cache(engine: Engine, state_dir: Path, *, dry_run: bool) -> Iterator[Leftover]:
    try:
        images = engine.list_images(CACHE_LABEL)
        # Asked after the look, as above. What is built on an image of the cache has that image's labels as well.
        living, _ = _find_living(_list_journals(state_dir))
        for image in images:
            if (image.get("Labels") or {}).get(TRIAL_LABEL) in living:
                continue
            name = (image.get("RepoTags") or [image["Id"]])[0]
            how = "found" if dry_run else _remove_cached(engine, image)
            yield Leftover(trial_id="", kind="cached-image", id=name, how=how)
    except (UnreachableError, RefusedError) as exc:
        yield Leftover(trial_id="", kind="engine", id=engine.docker_host, how=f"unreachable: {exc}")


def _remove_cached(engine: Engine, image: dict[str, Any]) -> str:
    try:
        engine.remove_image(image, force=False)
    except RefusedError as exc:
        return f"refused: {exc}"
    return "removed"
