"""The script in the checkout's root: makes the environment once, and says in a sentence why it cannot.

Python, uv and apt-get are small shell scripts here, so that nothing is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PYTHON = """#!/bin/sh
printf 'python %s\\n' "$*" >>"$FAKE/log"
version=${FAKE_VERSION:-3.11}
for last in "$@"; do :; done
case "$1 ${2:-}" in
    '--version '*) echo "Python $version" ;;
    '-c '*) exec "$REAL_PYTHON" -c "import sys
sys.version_info = tuple(map(int, '$version'.split('.')))
sys.implementation.cache_tag = 'fake-$version'
$2" ;;
    '-m venv')
        case "$*" in *--clear*) rm -rf "$last" ;; esac
        mkdir -p "$last/bin"
        [ ! -e "$FAKE/no-venv" ] || { echo 'ensurepip is not available'; exit 1; }
        cp "$0" "$last/bin/python"
        cp "$FAKE/uv" "$last/bin/uv"
        ;;
    '-m pip') [ ! -e "$FAKE/offline" ] || { echo 'no route to the index' >&2; exit 1; } ;;
    '-m seatrial') shift 2; echo "seatrial $*" ;;
esac
"""
UV = """#!/bin/sh
printf 'uv %s\\n' "$*" >>"$FAKE/log"
[ ! -e "$FAKE/uv-offline" ] || exit 2
"""
APT = """#!/bin/sh
printf 'apt-get %s\\n' "$*" >>"$FAKE/log"
case "$*" in
    *--simulate*) printf 'Inst python3-pip-whl (23 D)\\nInst python3.11 [3.11.1] (3.11.2 D)\\nInst python3-venv (3.11 D)\\n' ;;
    *' install '*) rm -f "$FAKE/no-venv" ;;
esac
"""
SUDO = """#!/bin/sh
shift
exec "$@"
"""


class Checkout:
    """A copy of the script with its requirements, and the programs that it finds."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "checkout"
        self.fake = directory / "fake"
        self.venv = self.path / ".venv"
        (self.path / "requirements").mkdir(parents=True)
        self.fake.mkdir()
        shutil.copy(ROOT / "seatrial", self.path)
        for name in ("requirements/bootstrap.txt", "requirements/dev.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, self.path / name)
        for name, content in {"python3": PYTHON, "uv": UV, "apt-get": APT, "sudo": SUDO}.items():
            (self.fake / name).write_text(content, encoding="utf-8")
            (self.fake / name).chmod(0o755)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        (self.fake / "log").write_text("", encoding="utf-8")
        path = f"{self.fake}{os.pathsep}/usr/bin{os.pathsep}/bin"
        env = {"PATH": path, "FAKE": str(self.fake), "REAL_PYTHON": sys.executable, **environ}
        argv = [str(self.path / "seatrial"), *arguments]
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30)

    def lack(self, what: str) -> None:
        (self.fake / what).touch()

    @property
    def log(self) -> list[str]:
        return (self.fake / "log").read_text(encoding="utf-8").splitlines()

    def did(self, start: str) -> bool:
        return any(line.startswith(start) for line in self.log)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_environment_is_made_once_and_the_command_handed_over(checkout: Checkout) -> None:
    first = checkout.run("doctor", "--json")
    made = checkout.log
    second = checkout.run("doctor")

    assert (first.returncode, first.stdout) == (0, "seatrial doctor --json\n"), first.stderr
    assert "making the environment" in first.stderr
    assert sum(line.startswith("uv pip install") for line in made) == 2
    assert (second.stdout, second.stderr) == ("seatrial doctor\n", "")
    assert not checkout.did("uv")
    assert not checkout.did("python -m venv")


def test_requirements_that_changed_are_installed_again(checkout: Checkout) -> None:
    checkout.run("doctor")
    (checkout.path / "requirements/dev.txt").write_text("changed\n", encoding="utf-8")

    checkout.run("doctor")

    assert checkout.did("uv pip install")
    assert not any("--clear" in line for line in checkout.log)


def test_another_python_gets_an_environment_of_its_own(checkout: Checkout) -> None:
    checkout.run("doctor")
    (checkout.venv / "stale").touch()

    done = checkout.run("doctor", SEATRIAL_PYTHON="python3", FAKE_VERSION="3.12")

    assert done.stdout == "seatrial doctor\n"
    assert not (checkout.venv / "stale").exists()


def test_the_environment_of_another_checkout_is_not_emptied(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("doctor")
    theirs = checkout.venv / "theirs"
    theirs.touch()
    shutil.copytree(checkout.path, tmp_path / "other", ignore=shutil.ignore_patterns(".venv"))
    checkout.path = tmp_path / "other"

    done = checkout.run("doctor", SEATRIAL_VENV=str(theirs.parent))

    assert (done.returncode, done.stdout) == (4, "")
    assert f"belongs to the checkout {tmp_path / 'checkout'}" in done.stderr
    assert "Fix: set SEATRIAL_VENV to another directory" in done.stderr
    assert theirs.exists()


def test_a_checkout_that_was_moved_gets_its_environment_anew(checkout: Checkout) -> None:
    checkout.run("doctor")
    (checkout.venv / ".seatrial-packages").write_text("python3-venv\n", encoding="utf-8")
    checkout.path = checkout.path.rename(checkout.path.with_name("moved"))

    checkout.run("doctor")

    assert any("--clear" in line for line in checkout.log)
    kept = checkout.path / ".venv/.seatrial-packages"
    assert kept.read_text(encoding="utf-8") == "python3-venv\n"


def test_a_python_that_is_too_old_is_said(checkout: Checkout) -> None:
    done = checkout.run("doctor", FAKE_VERSION="3.9")

    assert done.returncode == 4
    assert "Python 3.9, 3.11 or newer was expected" in done.stderr
    assert "Fix: " in done.stderr
    assert not checkout.venv.exists()


def test_no_python_is_said(checkout: Checkout) -> None:
    done = checkout.run("doctor", SEATRIAL_PYTHON="python-that-is-not-there")

    assert (done.returncode, "there is no python-that-is-not-there" in done.stderr) == (4, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["doctor", "provision"],
        ["run", "--model", "test"],
        ["clean", "--provision"],
        ["provision", "--dry-run"],
        ["provision", "--undo"],
        ["run", "--provision", "--help"],
        [],
    ],
)
def test_nothing_is_installed_by_who_did_not_ask_for_it(checkout: Checkout, arguments: list[str]) -> None:
    checkout.lack("no-venv")

    done = checkout.run(*arguments)

    assert done.returncode == 4
    assert "ensurepip is not available" in done.stderr
    assert "python3-venv" in done.stderr
    assert not checkout.did("apt-get")
    assert not checkout.venv.exists()


@pytest.mark.parametrize("arguments", [["provision"], ["test", "-x"], ["run", "--target", "all", "--provision"]])
def test_what_was_installed_to_make_the_environment_is_written_down(checkout: Checkout, arguments: list[str]) -> None:
    checkout.lack("no-venv")

    done = checkout.run(*arguments)

    assert (done.returncode, done.stdout) == (0, f"seatrial {' '.join(arguments)}\n"), done.stderr
    assert checkout.did("apt-get -qq install --no-install-recommends --no-remove -y python3-venv")
    written = (checkout.venv / ".seatrial-packages").read_text(encoding="utf-8")
    assert written.split() == ["python3-pip-whl", "python3-venv"]


def test_a_directory_that_was_there_is_kept(checkout: Checkout) -> None:
    checkout.lack("no-venv")
    theirs = checkout.venv / "theirs"
    theirs.parent.mkdir()
    theirs.write_text("precious", encoding="utf-8")

    done = checkout.run("run")

    assert done.returncode == 4
    assert theirs.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    ("lacking", "said"), [("offline", "pip could not install uv"), ("uv-offline", "uv could not install")]
)
def test_without_an_index_the_failure_is_a_sentence_and_tried_again(
    checkout: Checkout, lacking: str, said: str
) -> None:
    checkout.lack(lacking)

    offline = checkout.run("run")
    (checkout.fake / lacking).unlink()
    online = checkout.run("run")

    assert (offline.returncode, offline.stdout) == (4, "")
    assert said in offline.stderr
    assert "Fix: " in offline.stderr
    assert (online.returncode, online.stdout) == (0, "seatrial run\n")


def test_the_script_is_sound() -> None:
    subprocess.run(["sh", "-n", str(ROOT / "seatrial")], check=True, timeout=30)
    if program := shutil.which("shellcheck"):
        subprocess.run([program, str(ROOT / "seatrial")], check=True, timeout=60)
