"""Cleaning up by way of an engine: which one is asked, and which images of the cache are in use."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import typer

from seatrial.cli.clean import clean
from seatrial.owner import Leftover, Owner, find_leftovers

DEAD = "20200101-000000-abcdef"


class _Engine(http.server.ThreadingHTTPServer):
    """Answers what an engine answers to the questions of a sweep: it holds `images` and nothing else."""

    images: Sequence[dict[str, object]] = ()


class _Answers(http.server.BaseHTTPRequestHandler):
    server: _Engine

    def do_GET(self) -> None:
        cached = self.path.startswith("/images") and "seatrial.cache" in self.path
        found: object = {"Volumes": []} if self.path.startswith("/volumes") else self.server.images if cached else []
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine() -> Iterator[_Engine]:
    with _Engine(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_cached_image_that_a_living_trial_built_on_stays(engine: _Engine, tmp_path: Path) -> None:
    living = f"20990101-000000-{secrets.token_hex(3)}"
    engine.images = [
        {"Id": name, "RepoTags": [name], "Labels": {"seatrial.cache": "1", **labels}}
        for name, labels in {
            "base:1": {},
            "model:living": {"seatrial.trial": living},
            "model:dead": {"seatrial.trial": DEAD},
        }.items()
    ]

    def find_cached() -> list[str]:
        found = find_leftovers(
            tmp_path, docker_hosts=[f"tcp://127.0.0.1:{engine.server_port}"], only_trial=living, cache=True
        )
        return sorted(each.id for each in found if each.kind == "cached-image")

    with Owner.start(living, tmp_path):
        assert find_cached() == ["base:1", "model:dead"]
    assert find_cached() == ["base:1", "model:dead", "model:living"]


def sweep_in_vain(state_dir: Path, *, docker_hosts: Sequence[str], cache: bool) -> list[Leftover]:
    return [Leftover(trial_id="", kind="engine", id=host, how="unreachable") for host in docker_hosts]


def test_a_machine_without_an_engine_is_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEATRIAL_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setattr("seatrial.owner.sweep", sweep_in_vain)

    clean()

    told = capsys.readouterr()
    assert told.out == "0 found\n"
    assert "no.sock" in told.err


def test_an_engine_that_answers_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: _Engine) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEATRIAL_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.server_port}")
    monkeypatch.setattr("seatrial.owner.sweep", sweep_in_vain)

    with pytest.raises(typer.Exit) as caught:
        clean()

    assert caught.value.exit_code == 1
