"""Model code can reach neither the Docker socket nor credentials, and nothing outside its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from seatrial.isolation import clean_environ

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")


def run_isolated(code, *, env=None, enter="enter_isolation", before=""):
    """Run `code` in a process that was isolated, after `before` was run in it; its `answer` comes back."""
    program = (
        f"{textwrap.dedent(before)}\nimport json, os, sys\nfrom seatrial.isolation import {enter}\nuncovered = {enter}()\n"
        f"{textwrap.dedent(code)}\nprint(json.dumps(answer))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def home(tmp_path):
    """A home with credentials in it."""
    for name in (
        ".aws/credentials",
        ".kube/config",
        ".docker/config.json",
        ".ssh/id_ed25519",
        ".netrc",
        ".config/gh/hosts.yml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    return tmp_path


CONNECT = """
import socket
def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError as error:
            return type(error).__name__
    return "connected"
"""


@LINUX
@pytest.mark.docker
@pytest.mark.parametrize("enter", ["enter_isolation", "hide_doors"])
def test_the_docker_socket_cannot_be_reached(enter):
    path = "/var/run/docker.sock"
    namespace: dict = {}
    exec(CONNECT, namespace)
    assert namespace["connect"](path) == "connected", "the engine is not up, so this would show nothing"
    answer = run_isolated(
        f"{CONNECT}\nanswer = [uncovered, connect({path!r}), connect('/run/docker.sock')]", enter=enter
    )
    assert answer == [[], "ConnectionRefusedError", "ConnectionRefusedError"]
    assert namespace["connect"](path) == "connected"


@LINUX
def test_a_socket_named_in_the_environment_cannot_be_reached(tmp_path):
    import socket

    path = str(tmp_path / "engine.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        env = clean_environ({**os.environ, "DOCKER_HOST": f"unix://{path}"})
        assert "DOCKER_HOST" not in env
        assert run_isolated(f"{CONNECT}\nanswer = connect({path!r})", env=env) == "ConnectionRefusedError"


@LINUX
def test_credentials_in_the_home_are_not_there(home):
    answer = run_isolated(
        """
        from pathlib import Path
        answer = [uncovered, [p.read_text() for p in Path("~").expanduser().rglob("*") if not p.is_dir()]]
        """,
        env={**os.environ, "HOME": str(home)},
    )
    assert answer == [[], [""]]
    assert (home / ".netrc").read_text() == "secret"


@LINUX
def test_credentials_that_the_environment_points_to_are_not_there(tmp_path):
    file = tmp_path / "elsewhere"
    file.write_text("secret")
    env = clean_environ({**os.environ, "AWS_SHARED_CREDENTIALS_FILE": str(file)})
    assert run_isolated(f"answer = open({str(file)!r}).read()", env=env) == ""


@LINUX
def test_no_other_process_and_so_no_other_environment_is_seen():
    answer = run_isolated(
        """
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        answer = [sorted(pids), os.getppid(), os.getpid()]
        """
    )
    assert answer == [[1, 2], 1, 2]


@LINUX
def test_what_is_covered_cannot_be_uncovered(home):
    answer = run_isolated(
        """
        import ctypes, subprocess
        libc = ctypes.CDLL(None, use_errno=True)
        target = os.path.expanduser("~/.aws").encode()
        answer = [libc.umount2(target, 2), libc.unshare(0x00020000), os.path.exists(os.path.expanduser("~/.aws/credentials"))]
        # Nor by a program started anew, which root would otherwise start with all rights.
        subprocess.run(["umount", "-l", target], stderr=subprocess.DEVNULL)
        answer.append(os.path.exists(os.path.expanduser("~/.aws/credentials")))
        """,
        env={**os.environ, "HOME": str(home)},
    )
    assert answer == [-1, -1, False, False]


@LINUX
@pytest.mark.parametrize("enter", ["enter_isolation", "hide_doors"])
def test_where_the_kernel_refuses_halfway_the_code_runs_and_it_says_what_is_not_hidden(home, enter):
    """Ubuntu since 23.10: unshare(2) of a user namespace succeeds, the write to its uid_map is refused."""
    answer = run_isolated(
        """
        answer = [before == look(), os.spawnlp(os.P_WAIT, "true", "true"), uncovered]
        """,
        env={**os.environ, "HOME": str(home)},
        enter=enter,
        before="""
        import os
        from pathlib import Path

        write_text = Path.write_text

        def refuse(path, text):
            if str(path) == "/proc/self/uid_map":
                raise PermissionError(1, "Operation not permitted", str(path))
            return write_text(path, text)

        def look():
            return [os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "mnt", "pid", "pid_for_children")]

        Path.write_text = refuse
        os.getuid = lambda: 65534
        before = look()
        """,
    )
    assert answer[:2] == [True, 0]
    assert str(home / ".ssh") in answer[2]
    assert ("the environments of other processes" in answer[2]) == (enter == "enter_isolation")


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_it_ends_as_its_code_ends_by_signal(number):
    program = (
        "import os\nfrom seatrial.isolation import enter_isolation\n"
        f"enter_isolation()\nos.kill(os.getpid(), {int(number)})"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == -number


@LINUX
def test_it_ends_as_its_code_ends_by_exit():
    program = "import sys\nfrom seatrial.isolation import enter_isolation\nenter_isolation()\nsys.exit(42)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 42


@LINUX
def test_the_code_ends_with_the_process_that_was_started():
    program = (
        "import time\nfrom seatrial.isolation import enter_isolation\n"
        "enter_isolation()\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.kill()
        # The pipe closes when the last process that holds it has gone.
        assert process.stdout.read() == ""


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "DOCKER_HOST",
        "KUBECONFIG",
        "GITHUB_TOKEN",
        "HF_TOKEN",
        "OPENAI_API_KEY",
        "DB_PASSWORD",
        "PGPASSWORD",
        "MLFLOW_TRACKING_URI",
        "SSH_AUTH_SOCK",
        "NPM_CONFIG__AUTH",
        "Service_Secret",
        "TWINE_PASSWORD",
        "SIGNING_KEY",
    ],
)
def test_a_secret_does_not_go_into_the_environment(name):
    assert name not in clean_environ({name: "x", "PATH": "/bin"})


def test_an_address_with_a_password_does_not_go_into_the_environment():
    given = {"DATABASE": "postgresql://me:secret@host/db", "HOMEPAGE": "https://example.org/a:b@c"}
    kept = clean_environ(given)
    assert "DATABASE" not in kept
    assert kept["HOMEPAGE"] == given["HOMEPAGE"]


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS", "TMPDIR"]
)
def test_what_a_model_needs_stays(name):
    assert clean_environ({name: "/x"})[name] == "/x"


@LINUX
@pytest.mark.docker
def test_a_model_that_asks_for_the_docker_socket_is_refused_it(tmp_path, monkeypatch):
    from seatrial.errors import ModelError
    from seatrial.model_source import build_model, find_model
    from seatrial.owner import Owner

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET_MARK")
    Path("spy.py").write_text(
        "import os, socket\nprint('secret', os.environ.get('AWS_SECRET_ACCESS_KEY'))\n"
        "socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')\n"
    )
    with Owner.start("test-isolation", tmp_path / "state") as owner, pytest.raises(ModelError) as caught:
        build_model(find_model("spy:model"), tmp_path / "out", owner)
    assert "ConnectionRefusedError" in str(caught.value)
    assert "secret None" in str(caught.value)
