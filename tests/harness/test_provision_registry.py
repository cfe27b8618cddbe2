"""Whether images can be pulled is asked of the engine, quickly, and remembered for an hour."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import docker.errors
import pytest

from seatrial.errors import ExitCode
from seatrial.provision import KubernetesSettings, ProvisionError, Record, node_image, registry, requirements
from seatrial.provision.context import Context
from seatrial.provision.registry import can_pull, probe_registry, recall_failure
from seatrial.provision.requirements import probe_base_image, probe_node_image

OFFLINE = (500, {"message": "dial tcp: lookup registry.invalid: no such host"})
FORBIDDEN = (403, {"message": "authentication required"})
ONLINE: tuple[int, object] = (200, {"Descriptor": {}})


class _Engine(http.server.ThreadingHTTPServer):
    """Answers as an engine without images, whose registry answers `registry`; None hangs until the test has ended."""

    registry: tuple[int, object] | None = OFFLINE
    ended: threading.Event

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []
        self.ended = threading.Event()


class _Answers(http.server.BaseHTTPRequestHandler):
    server: _Engine

    def do_GET(self) -> None:
        answer: tuple[int, object] | None = (200, {"Version": "1"} if self.path == "/version" else [])
        if self.path.startswith("/distribution/"):
            self.server.asked.append(self.path)
            answer = self.server.registry
        if answer is None:
            self.server.ended.wait(20)
            return
        body = json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Engine]:
    monkeypatch.setattr(requirements, "can_build", lambda: False)
    with _Engine() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


class Api:
    """The part of the SDK's client that asks registries: `broken` ones do not answer."""

    def __init__(self, *broken: str) -> None:
        self.timeout = 60
        self.broken = set(broken)
        self.asked: list[tuple[str, int]] = []

    def inspect_distribution(self, reference: str) -> None:
        self.asked.append((reference, self.timeout))
        if reference in self.broken:
            raise docker.errors.APIError("no such host")


class Client:
    def __init__(self, *broken: str) -> None:
        self.api = Api(*broken)


def test_a_registry_out_of_reach_is_asked_once_an_hour(tmp_path: Path) -> None:
    client = Client("python:3.11")

    assert [can_pull(client, "python:3.11", tmp_path) for _ in range(2)] == [False, False]

    assert client.api.asked == [("python:3.11", 10)]
    assert client.api.timeout == 60
    assert "no such host" in (recall_failure(tmp_path, "python:3.11") or "")


def test_one_image_that_cannot_be_pulled_says_nothing_of_another(tmp_path: Path) -> None:
    client = Client("private/image")

    assert not can_pull(client, "private/image", tmp_path)
    assert can_pull(client, "python:3.11", tmp_path)
    assert recall_failure(tmp_path, "private/image")
    assert recall_failure(tmp_path, "python:3.11") is None


def test_asked_afresh_a_registry_that_is_back_is_believed(tmp_path: Path) -> None:
    assert not can_pull(Client("python:3.11"), "python:3.11", tmp_path)

    assert can_pull(Client(), "python:3.11", tmp_path, afresh=True)

    assert recall_failure(tmp_path, "python:3.11") is None


@pytest.mark.parametrize(
    "content", ['{"x": {"at": 0.0, "reason": "y"}}', '{"reference": "x", "at": 0.0, "reason": "y"}', "[1", "[]"]
)
def test_what_is_old_or_was_written_otherwise_is_forgotten(tmp_path: Path, content: str) -> None:
    (tmp_path / "registry.json").write_text(content, encoding="utf-8")

    assert recall_failure(tmp_path, "x") is None
    assert not can_pull(Client("x"), "x", tmp_path)
    assert recall_failure(tmp_path, "x")


@pytest.mark.parametrize("settings", [KubernetesSettings(), KubernetesSettings(node_image="node:absent")])
def test_no_registry_and_no_archive_is_an_unmet_requirement(
    engine: _Engine, tmp_path: Path, settings: KubernetesSettings
) -> None:
    unmet = [probe_node_image(settings, tmp_path) for _ in range(2)]

    assert [each.found for each in unmet] == [False, False]
    assert "no such host" in unmet[0].detail
    assert "targets.kubernetes.node_archive" in unmet[0].fix
    assert len(engine.asked) == 1


@pytest.mark.parametrize("answer", [ONLINE, FORBIDDEN])
def test_a_registry_that_answers_will_be_pulled_from(
    engine: _Engine, tmp_path: Path, answer: tuple[int, object]
) -> None:
    engine.registry = answer

    node, base = probe_node_image(KubernetesSettings(), tmp_path), probe_base_image(tmp_path)

    assert (node.found, base.found) == (True, True)
    assert base.detail.endswith("will be pulled")


def test_without_a_registry_a_base_image_is_lacking_unless_it_can_be_built(
    engine: _Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = probe_base_image(tmp_path)
    monkeypatch.setattr(requirements, "can_build", lambda: True)

    assert (lacking.found, "no such host" in lacking.detail) == (False, True)
    assert "seatrial provision" in lacking.fix
    assert probe_base_image(tmp_path).found


def test_a_registry_that_swallows_questions_is_not_waited_for(
    engine: _Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.registry = None
    monkeypatch.setattr(registry, "PROBE_TIMEOUT_S", 0.1)

    assert "did not answer" in (probe_registry("python:3.11", tmp_path) or "")


def test_provisioning_does_not_believe_the_memory(engine: _Engine, tmp_path: Path) -> None:
    settings = KubernetesSettings()
    context = Context(record=Record(tmp_path), progress=lambda _: None)
    assert not probe_node_image(settings, tmp_path).found

    with pytest.raises(ProvisionError, match="no such host") as caught:
        node_image.ensure_node_image(context, settings)
    engine.registry = ONLINE
    node_image.ensure_node_image(context, settings)

    assert caught.value.exit_code is ExitCode.REQUIREMENT_UNMET
    assert probe_node_image(settings, tmp_path).found


def test_who_names_no_directory_is_remembered_in_the_usual_one(
    engine: _Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert not probe_node_image(KubernetesSettings()).found

    assert (tmp_path / ".local/state/seatrial/registry.json").is_file()


def test_without_an_engine_nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")

    probes = (probe_node_image(KubernetesSettings(), tmp_path), probe_base_image(tmp_path))

    assert [(each.found, "no Docker engine answers" in each.detail) for each in probes] == [(False, True)] * 2
    assert list(tmp_path.iterdir()) == []
