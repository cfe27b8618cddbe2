"""The OCI runtime in front of runc takes away what the machine cannot give, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.provision import runc_wrapper
from seatrial.provision.runc_wrapper import CAPABILITIES, find_description, rewrite

ALL = (1 << len(CAPABILITIES)) - 1
WITHOUT_RESOURCE = ALL & ~(1 << 24)
WITHOUT_BPF = ALL & ~(1 << 39)


def _process() -> dict:
    names = ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_BPF"]
    return {
        "args": ["/sbin/init"],
        "oomScoreAdj": -500,
        "capabilities": {
            "bounding": list(names),
            "effective": list(names),
            "inheritable": None,
            "permitted": list(names),
        },
    }


def _write(path: Path, content: dict) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_container_loses_only_what_the_machine_lacks(tmp_path: Path) -> None:
    config = _write(
        tmp_path / "config.json", {"ociVersion": "1.0.2", "process": _process(), "root": {"path": "rootfs"}}
    )

    rewrite(str(config), nested=True, bounding_set=WITHOUT_RESOURCE)

    seen = json.loads(config.read_bytes())
    kept = ["CAP_CHOWN", "CAP_BPF"]
    assert {"bounding": kept, "effective": kept, "inheritable": [], "permitted": kept} == seen["process"][
        "capabilities"
    ]
    assert "oomScoreAdj" not in seen["process"]
    assert (seen["ociVersion"], seen["root"], seen["process"]["args"]) == ("1.0.2", {"path": "rootfs"}, ["/sbin/init"])


def test_the_oom_score_stays_where_it_can_be_set(tmp_path: Path) -> None:
    process = _write(tmp_path / "process.json", _process())

    rewrite(str(process), nested=False, bounding_set=WITHOUT_BPF)

    seen = json.loads(process.read_bytes())
    assert seen["oomScoreAdj"] == -500
    assert seen["capabilities"]["bounding"] == ["CAP_CHOWN", "CAP_SYS_RESOURCE"]


@pytest.mark.parametrize(
    "content", [{}, {"process": None}, {"process": {"args": ["sh"]}}, {"process": {"capabilities": None}}]
)
def test_a_description_without_capabilities_stays_as_it_is(tmp_path: Path, content: dict) -> None:
    config = _write(tmp_path / "config.json", content)

    rewrite(str(config), nested=True, bounding_set=WITHOUT_RESOURCE)

    assert json.loads(config.read_bytes()) == content


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "--root /run --log /l/log.json --log-format json create --bundle /b --pid-file p ID",
            ("/b/config.json", True),
        ),
        ("--systemd-cgroup create -b /b ID", ("/b/config.json", True)),
        ("create --bundle=/b ID", ("/b/config.json", True)),
        ("create ID", ("./config.json", True)),
        ("run -b /b ID", ("/b/config.json", True)),
        ("--root=/run exec --process /p.json --detach ID", ("/p.json", False)),
        ("exec -p /p.json ID", ("/p.json", False)),
        ("exec ID sh", None),
        ("--root create state ID", None),
        ("features", None),
        ("--version", None),
        ("", None),
    ],
)
def test_the_file_runc_will_read_is_found(line: str, expected: tuple[str, bool] | None) -> None:
    assert find_description(line.split()) == expected


def test_the_installed_program_needs_no_packages_and_becomes_runc(tmp_path: Path) -> None:
    runc = tmp_path / "runc"
    runc.write_text('#!/bin/sh\nprintf "%s|" "$@"\n', encoding="utf-8")
    runc.chmod(0o755)
    source = Path(runc_wrapper.__file__).read_text(encoding="utf-8")
    program = tmp_path / "wrapper.py"
    program.write_text(source.replace(runc_wrapper.SEARCH_PATH, str(tmp_path)), encoding="utf-8")
    config = _write(tmp_path / "config.json", {"process": _process()})
    before = json.loads(config.read_bytes())

    done = subprocess.run(
        [sys.executable, "-IS", str(program), "create", "--bundle", str(tmp_path), "two words"],
        capture_output=True, text=True, timeout=20, env={"PATH": os.defpath},
    )  # fmt: skip

    assert done.stdout == f"create|--bundle|{tmp_path}|two words|", done.stderr
    after = json.loads(config.read_bytes())
    bounding_set = runc_wrapper.read_bounding_set()
    kept = [
        name for name in before["process"]["capabilities"]["bounding"] if bounding_set >> CAPABILITIES.index(name) & 1
    ]
    assert after["process"]["capabilities"]["bounding"] == kept
