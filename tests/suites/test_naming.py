"""What control planes say to names that are taken, in use or gone, judged without anything that serves."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seatrial.checks import Findings
from seatrial.endpoint import Credentials, Endpoint
from seatrial.model import ModelDirectory
from seatrial.model_building import build_python_model
from seatrial.naming import Said
from seatrial_fixtures.wrong import names as wrong_names
from seatrial_suites.conformance.naming import OTHERS, RULES, say_of_use, say_refused, say_there
from seatrial_suites.conformance.test_names import try_names


class NoServer:
    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


def find_wrong(shelf: type[wrong_names.Shelf]) -> dict[str, str]:
    """Try the names of a shelf of which nothing can be asked; return what is wrong, by case."""
    findings, facts = Findings(), dict[str, Any]()
    try_names(shelf(None, NoServer()), ModelDirectory.__new__(ModelDirectory), findings, facts)
    return {each.case: each.message for each in findings._found}


def test_what_is_right_is_not_found_wrong_and_its_words_are_no_facts() -> None:
    findings, facts = Findings(), dict[str, Any]()
    try_names(wrong_names.Shelf(None, NoServer()), ModelDirectory.__new__(ModelDirectory), findings, facts)
    findings.conclude(facts)
    assert facts["said"] == {
        "model: made": "done",
        "server: made": "done",
        "model: made under a name that is taken": "409",
        "server: made under a name that is taken": "409",
        "model: deleted in use": "409",
        "server: deleted": "done",
        "model: deleted": "done",
        "server: deleted again": "404",
        "model: deleted again": "404",
        "model: made again": "done",
        "server: made again": "done",
    }


@pytest.mark.parametrize(
    ("shelf", "cases", "words"),
    [
        (wrong_names.GivesTwice, "made under a name that is taken", "it was done"),
        (wrong_names.BlamesItself, "made under a name that is taken", "a reason were asked for: 500 KeyError"),
        (wrong_names.DropsNothing, "deleted again", "it was done"),
        (wrong_names.KeepsNames, "made again", "it was refused: 409 there is one of this name"),
        (wrong_names.DropsRunning, "deleted in use", "it was done"),
        (wrong_names.SpeaksOtherwise, "deleted in use", "it was refused: 409 a server is made from it"),
        (wrong_names.SpeaksOtherwise, "deleted again", "'400 ValidationException Could not find' is documented: 404"),
    ],
)
def test_what_is_said_wrong_is_found(shelf: type[wrong_names.Shelf], cases: str, words: str) -> None:
    found = {case: message for case, message in find_wrong(shelf).items() if case.endswith(f": {cases}")}
    assert found
    assert all(words in message for message in found.values()), found


@pytest.mark.parametrize("api", RULES)
@pytest.mark.parametrize("change", [{"status": 418}, {"code": "Teapot"}, {"message": "I am a teapot"}])
def test_a_refusal_differs_from_the_documented_one_where_that_says_something(api: str, change: dict[str, Any]) -> None:
    documented = RULES[api].taken
    said = {"status": documented.status, "code": documented.code, "message": f"{documented.words} x."}
    assert say_refused(Said(is_done=False, **said), documented) == ""
    is_told = "status" in change or ("code" in change and documented.code) or ("message" in change and documented.words)
    assert bool(say_refused(Said(is_done=False, **{**said, **change}), documented)) == bool(is_told)


def test_what_is_in_use_is_deleted_or_not_as_each_documents() -> None:
    done, refused = Said(is_done=True), Said(is_done=False, status=409, message="in use")
    found = {api: [not say_of_use(each, rules) for each in (done, refused)] for api, rules in RULES.items()}
    assert found["sagemaker"] == [True, False]
    assert found["docker"] == [False, True]
    assert [not say_of_use(each, OTHERS) for each in (done, refused)] == [True, True]


@contextmanager
def serve_runtime(status: int, code: str, message: str) -> Iterator[Endpoint]:
    """Refuse every invocation with one error."""
    body = json.dumps({"Message": message}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("x-amzn-ErrorType", code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        credentials = Credentials(access_key="a", secret_key="b")
        yield Endpoint(address=address, wire="sagemaker", path="emulator", name="gone", credentials=credentials)
        server.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelDirectory:
    paths = build_python_model("seatrial_fixtures.models.nonce:model", tmp_path_factory.mktemp("nonce"))
    return ModelDirectory.open(Path(paths[0]))


GONE = "Endpoint gone of account 123456789012 not found."


@pytest.mark.parametrize(
    ("status", "code", "message", "is_right"),
    [
        (400, "ValidationError", GONE, True),
        (400, "ValidationError:http://internal.amazon.com/coral/x", GONE, True),
        (404, "ValidationError", GONE, False),
        (400, "ValidationException", GONE, False),
        (400, "ValidationError", "Endpoint gone of account 123456789012 is not in service.", False),
        (424, "ModelError", "Received server error (500) from primary", False),
    ],
)
def test_a_runtime_refuses_what_was_deleted_as_documented(
    model: ModelDirectory, status: int, code: str, message: str, is_right: bool
) -> None:
    with serve_runtime(status, code, message) as endpoint:
        told = say_there(endpoint, model)
    assert (told == "") == is_right, told
