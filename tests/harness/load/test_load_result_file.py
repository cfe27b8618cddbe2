"""The file of a result takes the place of a file, and of nothing else: no pipe, no device, no link."""

from __future__ import annotations

import json
import os
import runpy
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from seatrial.cli.json_file import write_json
from seatrial.cli.sagemaker_local import write_private
from seatrial.errors import UsageError
from seatrial.load import limits
from seatrial.load.result import Judgement

Serve = Callable[..., int]
RESULT = Judgement(status="met", message="as it is")
WRITTEN = msgspec.json.format(msgspec.json.encode(RESULT), indent=2) + b"\n"
COMMANDING = runpy.run_path(str(Path(__file__).with_name("commanding.py")))


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("what was there")
    before = file.stat().st_ino
    write_json(RESULT, str(file))

    assert file.read_bytes() == WRITTEN
    assert file.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [file]


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    limits.check_writable(str(pipe))
    write_json(RESULT, str(pipe))
    try:
        assert os.read(reader, 1 << 16) == WRITTEN
        write_private(pipe, "export A=1\n")
        assert os.read(reader, 1 << 16) == b"export A=1\n"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.timeout(20)
def test_whether_a_pipe_may_be_written_to_is_known_before_anybody_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    limits.check_writable(str(pipe))
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != pipe)

    with pytest.raises(UsageError, match="it may not be written to"):
        limits.check_writable(str(pipe))


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    """By a link, so that none of this machine's is at stake."""
    terminal, end = os.openpty()
    device = tmp_path / "device"
    device.symlink_to(os.ttyname(end))
    limits.check_writable(str(device))
    write_json(RESULT, str(device))
    try:
        assert device.is_symlink()
        assert os.read(terminal, 1 << 16).replace(b"\r\n", b"\n") == WRITTEN
    finally:
        os.close(terminal)
        os.close(end)


@pytest.mark.parametrize("is_there", [True, False])
def test_the_file_behind_a_link_is_replaced(tmp_path: Path, is_there: bool) -> None:
    (tmp_path / "results").mkdir()
    file, link = tmp_path / "results" / "monday.json", tmp_path / "latest.json"
    if is_there:
        file.write_text("what was there")
    link.symlink_to("results/monday.json")
    limits.check_writable(str(link))
    write_json(RESULT, str(link))

    assert link.is_symlink()
    assert file.read_bytes() == WRITTEN
    assert list(file.parent.iterdir()) == [file]


def test_a_link_to_where_no_directory_is_is_said_before(tmp_path: Path) -> None:
    (tmp_path / "latest.json").symlink_to("not/there.json")

    with pytest.raises(UsageError, match="there is no directory '.+/not'"):
        limits.check_writable(str(tmp_path / "latest.json"))


def test_a_link_to_itself_is_no_place_but_its_own(tmp_path: Path) -> None:
    link = tmp_path / "latest.json"
    link.symlink_to(link)
    limits.check_writable(str(link))
    write_json(RESULT, str(link))

    assert (link.is_symlink(), link.read_bytes()) == (False, WRITTEN)


@pytest.mark.parametrize("is_file", [False, True], ids=["pipe", "file"])
def test_a_name_of_standard_output_has_the_result_below_the_table(serve: Serve, tmp_path: Path, is_file: bool) -> None:
    """As /dev/stdout is one; of a file that was opened for it nothing is lost."""
    name, file = tmp_path / "stdout", tmp_path / "out"
    name.symlink_to("/proc/self/fd/1")
    url = f"http://127.0.0.1:{serve('echo')}/"
    options = ("--users", "1", "--warm-up", "0", "--duration", "0.5", "-q", "--json", str(name))
    if is_file:
        with file.open("wb") as output:
            argv = [sys.executable, "-m", "seatrial", "load", url, *options]
            subprocess.run(argv, stdout=output, timeout=90, check=False)
        printed = file.read_text()
    else:
        printed = COMMANDING["load"](url, *options).stdout
    table, brace, rest = printed.partition("\n{")

    assert "response time" in table
    assert json.loads(brace + rest)["mode"] == "closed"
    assert name.is_symlink()
