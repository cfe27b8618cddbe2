"""The owner and its reaper on a real Docker engine: containers, networks, volumes, images, and what kind leaves."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seatrial.owner import Borrowed, Container, Image, Network, Owner, find_leftovers, sweep
from seatrial.owner.reaping import processes
from seatrial.owner.reaping.engine import Engine, RefusedError
from waiting import eventually

pytestmark = pytest.mark.docker

RUN = """
import json, os, sys, time
from pathlib import Path
from seatrial.owner import Container, KindCluster, NamedNetwork, Network, Owner
owner = Owner.start(sys.argv[1], Path(sys.argv[2]))
for entry in (
    Container(docker_host=sys.argv[3]),
    Network(docker_host=sys.argv[3]),
    KindCluster(name=f"seatrial-{sys.argv[1]}", docker_host=sys.argv[3]),
    NamedNetwork(name=f"seatrial-{sys.argv[1]}", docker_host=sys.argv[3]),
):
    owner.adopt(entry)
print(json.dumps({"reaper": owner.reaper_pid}), flush=True)
time.sleep(1000)
"""


@pytest.fixture(scope="module")
def docker_host() -> str:
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@pytest.fixture(scope="module")
def client(docker_host: str) -> Iterator[Any]:
    import docker

    with contextlib.closing(docker.DockerClient(base_url=docker_host)) as client:
        yield client


@pytest.fixture(scope="module")
def tiny_image(client: Any) -> Iterator[str]:
    """An image that sleeps: this machine's own `sleep` with its libraries, which needs no registry."""
    tag = f"seatrial-test-tiny:{os.getpid()}"
    if sys.platform == "linux":
        client.api.import_image_from_data(_pack_sleep(), repository=tag.partition(":")[0], tag=tag.partition(":")[2])
    else:
        client.images.pull("busybox", tag="stable")
        client.images.get("busybox:stable").tag(tag)
    yield tag
    client.images.remove(tag)


def _pack_sleep() -> bytes:
    program = shutil.which("sleep")
    assert program is not None
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(Path(program).resolve(), arcname="bin/sleep")
        for path in {each for each in libraries if each.startswith("/")}:
            archive.add(Path(path).resolve(), arcname=path.lstrip("/"))
    return packed.getvalue()


@pytest.fixture
def trial_id(request: pytest.FixtureRequest) -> str:
    return f"d{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"


class Things:
    """What a trial has on the engine, made through the SDK as targets do, and counted through it."""

    def __init__(self, client: Any, image: str, trial_id: str) -> None:
        self._client, self._image, self._trial_id = client, image, trial_id
        self.labels = {"seatrial.trial": trial_id}

    def run(self, *, labels: dict[str, str] | None = None, **options: Any) -> Any:
        labels = self.labels if labels is None else labels
        return self._client.containers.run(
            self._image, ["/bin/sleep", "1000"], detach=True, labels=labels, network_mode="none", **options
        )

    def make_all(self) -> None:
        name = f"seatrial-{self._trial_id}"
        network = self._client.networks.create(f"{name}-own", labels=self.labels)
        network.connect(self._client.containers.create(self._image, ["/bin/sleep", "1000"], labels=self.labels))
        self._client.volumes.create(f"{name}-own", labels=self.labels)
        self.run(restart_policy={"Name": "always"})
        self.run(volumes=["/data"]).pause()
        self._client.networks.create(name)
        for _ in range(2):
            self.run(labels={"io.x-k8s.kind.cluster": name}, volumes=["/var"])
        self.build_image()

    def build_image(self) -> None:
        recipe = io.BytesIO(f"FROM {self._image}\nENV ID={self._trial_id}".encode())
        self._client.images.build(fileobj=recipe, tag=f"seatrial-{self._trial_id}:own", labels=self.labels, rm=True)

    def count(self) -> int:
        name = f"seatrial-{self._trial_id}"
        label = {"label": f"seatrial.trial={self._trial_id}"}
        kind = {"label": f"io.x-k8s.kind.cluster={name}"}
        # Sparse: the engine lists a container before and after it can be inspected.
        listings = (
            self._client.containers.list(all=True, filters=label, sparse=True),
            self._client.containers.list(all=True, filters=kind, sparse=True),
            [each for each in self._client.networks.list() if each.name.startswith(name)],
            self._client.volumes.list(filters=label),
            self._client.api.images(filters=label),
        )
        return sum(len(each) for each in listings)


@pytest.fixture
def things(client: Any, tiny_image: str, trial_id: str, docker_host: str, tmp_path: Path) -> Iterator[Things]:
    yield Things(client, tiny_image, trial_id)
    sweep(tmp_path / "emptied", docker_hosts=[docker_host], only_trial=trial_id)


@pytest.fixture
def run(trial_id: str, tmp_path: Path, docker_host: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", RUN, trial_id, str(tmp_path / "state"), docker_host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as popen:
        assert popen.stdout is not None
        reaper = json.loads(popen.stdout.readline())["reaper"]
        yield popen
        popen.kill()
    assert eventually(lambda: processes.start_time(reaper) is None, within_s=35)


@pytest.fixture
def bystander(things: Things) -> Iterator[Any]:
    """A container with none of our labels."""
    container = things.run(labels={"somebody": "else"})
    yield container
    container.remove(force=True)


def test_all_is_gone_from_the_engine_after_kill_9(
    run: subprocess.Popen[bytes], things: Things, bystander: Any, client: Any
) -> None:
    volumes = {each.name for each in client.volumes.list()}
    things.make_all()
    assert things.count() == 9
    run.kill()
    assert eventually(lambda: things.count() == 0, within_s=15)
    assert {each.name for each in client.volumes.list()} <= volumes
    bystander.reload()
    assert bystander.status == "running"


def test_a_container_that_the_engine_was_still_making_goes_too(
    run: subprocess.Popen[bytes], things: Things, client: Any, tiny_image: str, trial_id: str
) -> None:
    run.kill()
    run.wait()
    for labels in (things.labels, {"io.x-k8s.kind.cluster": f"seatrial-{trial_id}"}):
        made = client.api.create_container(tiny_image, ["/bin/sleep", "1000"], labels=labels)
        assert made["Id"]
    assert eventually(lambda: things.count() == 0, within_s=15)


def test_close_lists_what_was_left_on_the_engine(
    things: Things, trial_id: str, tmp_path: Path, docker_host: str
) -> None:
    owner = Owner.start(trial_id, tmp_path)
    entry = owner.adopt(Container(docker_host=docker_host))
    owner.adopt(Image(docker_host=docker_host))
    container = things.run()
    owner.release(entry)
    assert [(each.kind, each.id, each.how) for each in owner.close()] == [("container", container.name, "removed")]
    assert things.count() == 0


def test_the_engine_of_a_clean_trial_is_looked_at_quickly(trial_id: str, tmp_path: Path, docker_host: str) -> None:
    owner = Owner.start(trial_id, tmp_path)
    for entry in (Container(docker_host=docker_host), Network(docker_host=docker_host)):
        owner.release(owner.adopt(entry))
    started = time.monotonic()
    assert owner.close() == []
    # Where something was open, what the engine may still be making is waited for: up to 25 s.
    assert time.monotonic() - started < 20


def test_sweep_takes_what_a_dead_trial_without_a_journal_left(
    things: Things, bystander: Any, trial_id: str, tmp_path: Path, docker_host: str
) -> None:
    things.make_all()
    found = find_leftovers(tmp_path, docker_hosts=[docker_host], only_trial=trial_id)
    assert len(found) == things.count() == 9
    swept = sweep(tmp_path, docker_hosts=[docker_host], only_trial=trial_id)
    assert {(each.kind, each.id) for each in swept} == {(each.kind, each.id) for each in found}
    assert {each.how for each in swept} == {"removed"}
    assert things.count() == 0
    bystander.reload()
    assert bystander.status == "running"


def test_sweep_leaves_a_living_trial_and_what_it_borrowed(
    things: Things, client: Any, trial_id: str, tmp_path: Path, docker_host: str
) -> None:
    kept = f"seatrial-kept-{os.getpid()}"
    network = client.networks.create(kept)
    node = things.run(labels={"io.x-k8s.kind.cluster": kept})
    try:
        with Owner.start(trial_id, tmp_path / "state") as owner:
            owner.adopt(Borrowed(name=kept))
            things.make_all()
            for state_dir in (tmp_path / "state", tmp_path / "of another user"):
                assert sweep(state_dir, docker_hosts=[docker_host], only_trial=trial_id) == []
                assert sweep(state_dir, docker_hosts=[docker_host], only_trial=kept) == []
            assert things.count() == 9
        swept = sweep(tmp_path / "state", docker_hosts=[docker_host], only_trial=kept)
        assert sorted((each.kind, each.id) for each in swept) == [("kind-cluster", node.name), ("network", kept)]
    finally:
        for each in client.containers.list(all=True, filters={"label": f"io.x-k8s.kind.cluster={kept}"}):
            each.remove(force=True)
        if client.networks.list(names=[kept]):
            network.remove()


def test_a_network_that_others_use_is_not_forced(
    things: Things, bystander: Any, client: Any, trial_id: str, tmp_path: Path, docker_host: str
) -> None:
    owner = Owner.start(trial_id, tmp_path)
    owner.adopt(Network(docker_host=docker_host))
    network = client.networks.create(f"seatrial-{trial_id}", labels=things.labels)
    user = client.containers.create(bystander.image, ["/bin/sleep", "1000"], network=network.name)
    try:
        user.start()
        [left] = owner.close()
        assert (left.kind, left.how.partition(":")[0]) == ("network", "failed")
        assert "active endpoints" in left.how
        user.reload()
        assert user.status == "running"
    finally:
        user.remove(force=True)
    assert [each.how for each in sweep(tmp_path, only_trial=trial_id)] == ["removed"]


def test_images_of_the_cache_go_only_when_asked_and_unused(
    client: Any, tiny_image: str, trial_id: str, tmp_path: Path, docker_host: str
) -> None:
    tag = f"seatrial-test-cache:{trial_id}"
    recipe = io.BytesIO(f"FROM {tiny_image}\nENV ID={trial_id}".encode())
    client.images.build(fileobj=recipe, tag=tag, labels={"seatrial.cache": trial_id}, rm=True)
    engine = Engine(docker_host)
    [image] = engine.list_images(f"seatrial.cache={trial_id}")
    user = client.containers.create(tag, ["/bin/sleep", "1"])
    try:
        assert not any(each.id == tag for each in find_leftovers(tmp_path, docker_hosts=[docker_host]))
        with_cache = find_leftovers(tmp_path, docker_hosts=[docker_host], cache=True)
        assert [(each.kind, each.how) for each in with_cache if each.id == tag] == [("cached-image", "found")]
        with pytest.raises(RefusedError, match="container"):
            engine.remove_image(image, force=False)
    finally:
        user.remove()
        engine.remove_image(image, force=False)
    assert engine.list_images(f"seatrial.cache={trial_id}") == []


KIND_RUN = """
import json, os, sys, time
from pathlib import Path
from seatrial.owner import KindCluster, NamedNetwork, Owner
trial_id, state_dir, docker_host, image = sys.argv[1:]
name = f"seatrial-{trial_id}"
owner = Owner.start(trial_id, Path(state_dir))
owner.adopt(NamedNetwork(name=name, docker_host=docker_host))
owner.adopt(KindCluster(name=name, docker_host=docker_host))
config = owner.directory("seatrial-kind-") / "config"
env = {**os.environ, "KIND_EXPERIMENTAL_DOCKER_NETWORK": name, "KUBECONFIG": str(config), "DOCKER_HOST": docker_host}
owner.spawn(["kind", "create", "cluster", "--name", name, *(["--image", image] if image else [])], env=env)
print(json.dumps({"reaper": owner.reaper_pid}), flush=True)
time.sleep(1000)
"""


@pytest.mark.kubernetes
@pytest.mark.parametrize("stage", ["network", "node", "booting"])
def test_kill_9_in_the_middle_of_kind_create_leaves_nothing(
    stage: str, things: Things, client: Any, trial_id: str, tmp_path: Path, docker_host: str
) -> None:
    name = f"seatrial-{trial_id}"
    local = [tag for image in client.images.list("kindest/node") for tag in image.tags]
    command = [sys.executable, "-c", KIND_RUN, trial_id, str(tmp_path), docker_host, local[0] if local else ""]
    nodes = {"all": True, "sparse": True, "filters": {"label": f"io.x-k8s.kind.cluster={name}"}}
    reached = {
        "network": lambda: bool(client.networks.list(names=[name])),
        "node": lambda: bool(client.containers.list(**nodes)),
        "booting": lambda: any(each.attrs["State"] == "running" for each in client.containers.list(**nodes)),
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as popen:
        assert popen.stdout is not None
        reaper = json.loads(popen.stdout.readline())["reaper"]
        try:
            assert eventually(reached[stage], within_s=120)
        finally:
            popen.kill()
    assert eventually(lambda: processes.start_time(reaper) is None, within_s=30)
    assert things.count() == 0
