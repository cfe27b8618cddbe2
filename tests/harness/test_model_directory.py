"""A model directory is refused unless it is exactly what its manifest says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from seatrial.errors import ExitCode, ModelError
from seatrial.model import ModelDirectory
from seatrial.model_building import build_python_model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A good model directory; tests work on copies."""
    return build_python_model("seatrial_fixtures.models.nonce:model", tmp_path_factory.mktemp("made"))[0]


@pytest.fixture
def directory(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "copy", symlinks=True))


def edit(directory, **fields):
    manifest = json.loads((directory / "model.json").read_text())
    manifest.update(fields)
    (directory / "model.json").write_text(json.dumps(manifest))


def name_file(directory, name):
    files = json.loads((directory / "model.json").read_text())["files"]
    edit(directory, files={**files, name: "0" * 64})


def link_out(directory):
    (directory / "artifact" / "version.txt").unlink()
    (directory / "artifact" / "version.txt").symlink_to("/etc/passwd")


def add_link(directory):
    (directory / "artifact" / "more").symlink_to("/etc")


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda d: (d / "artifact" / "version.txt").unlink(), "lacks 'artifact/version.txt'"),
        (lambda d: (d / "artifact" / "version.txt").write_text("9"), "is not the file its manifest was written for"),
        (lambda d: (d / "artifact" / "extra").write_text("9"), "'artifact/extra', which its manifest does not name"),
        (lambda d: name_file(d, "../out"), "'../out', which lies outside"),
        (lambda d: name_file(d, "/etc/passwd"), "'/etc/passwd', which lies outside"),
        (lambda d: name_file(d, "a\0b"), "which lies outside"),
        (link_out, "'artifact/version.txt', which lies outside"),
        (add_link, "'artifact/more', which its manifest does not name"),
        (lambda d: (d / "model.json").write_text("{"), "is not a model manifest"),
        (lambda d: (d / "model.json").write_text("[]"), "is not a model manifest"),
        (lambda d: (d / "model.json").write_bytes(b"\xff"), "is not a model manifest"),
        (lambda d: edit(d, colour="blue"), "unknown field `colour`"),
        (
            lambda d: edit(d, schema="seatrial.model/9", colour="blue"),
            "has schema 'seatrial.model/9', this version reads",
        ),
        (lambda d: edit(d, name="a b"), "is not a model manifest"),
        (lambda d: edit(d, inputs=[]), "length >= 1 - at `$.inputs`"),
        (lambda d: edit(d, outputs=[]), "length >= 1 - at `$.outputs`"),
        (lambda d: edit(d, files={}), "which its manifest does not name"),
        (lambda d: (d / "model.json").unlink(), "it has no model.json"),
    ],
    ids=[
        "missing",
        "changed",
        "more",
        "dots",
        "absolute",
        "nul",
        "link-out",
        "link",
        "cut",
        "list",
        "not-utf8",
        "field",
        "schema",
        "name",
        "no-inputs",
        "no-outputs",
        "no-files",
        "no-manifest",
    ],
)
def test_a_corrupt_directory_is_refused(directory, break_it, words):
    break_it(directory)
    with pytest.raises(ModelError) as caught:
        ModelDirectory.open(directory)
    assert words in str(caught.value)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "cases",
    ["[]", "{", '[{"name": "a"}]', '[{"name": "a", "inputs": {"x": {"shape": [2], "data": [1]}}, "outputs": {}}]'],
)
def test_cases_that_are_none_are_refused(directory, cases):
    opened = ModelDirectory.open(directory)
    (directory / "cases.json").write_text(cases)
    with pytest.raises(ModelError, match="does not hold golden cases"):
        _ = opened.cases


def test_pycache_written_by_loading_does_not_corrupt(directory):
    (directory / "code" / "__pycache__").mkdir()
    (directory / "code" / "__pycache__" / "nonce.cpython-311.pyc").write_bytes(b"x")
    assert ModelDirectory.open(directory).version == "1"


def test_cases_read_back_as_they_were(made):
    cases = ModelDirectory.open(made).cases
    assert all(case.inputs["number"].dtype == np.int64 for case in cases)
