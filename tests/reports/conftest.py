"""Makes the trials that the reports are tested on."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from calibrations import make_calibration
from seatrial.history import History, HistoryHead, HistoryMark, HistoryRequest
from seatrial.records import (
    CheckRecord,
    DeploymentRecord,
    EnvironmentRecord,
    ErrorRecord,
    FidelityRecord,
    LeftoverRecord,
    ModelRecord,
    NotRunRecord,
    PhaseRecord,
    RunResult,
    TargetResult,
)

STATUSES = ("pass", "fail", "error", "unsupported", "expected-failure", "not-run", "invalid")
TARGETS = ("inprocess", "local", "docker", "kubernetes", "sagemaker", "mlflow", "gradio")
PHASES_S = {"build": 5.4, "publish": 0.75, "start": 1.2, "ready": 2.25, "first-answer": 0.042}


class Trials:
    """Builds trials out of parts with plausible defaults; every part can be replaced."""

    def make_check(self, **changes):
        facts = {
            "target": "docker",
            "id": "G01",
            "title": "golden answers",
            "level": "MUST",
            "status": "pass",
            "message": "100 of 100 cases right",
            "source": "The same inputs give the same outputs. https://example.org/spec#4",
            "reproduce": "seatrial run --target docker --check G01",
            "duration_s": 1.5,
            "facts": {"cases": 100, "right": 100, "worst_error": 2e-15},
        }
        return CheckRecord(**{**facts, **changes})

    def make_timeline(self, target, start_s=0.0, phases_s=PHASES_S):
        phases = []
        for name, length_s in phases_s.items():
            phases.append(PhaseRecord(target=target, name=name, start_s=start_s, end_s=start_s + length_s))
            start_s += length_s
        return tuple(phases)

    def make_target(self, name="docker", **changes):
        fidelity = FidelityRecord(real=("engine", "image", "published port"), emulated=("registry",))
        deployment = DeploymentRecord(
            target=name,
            address="http://127.0.0.1:32768",
            wire="v2",
            network_path="published port",
            fidelity=fidelity,
            phases_s=PHASES_S,
            versions={"engine": "20.10.24"},
            limits={"cpus": 1.0, "memory_bytes": None},
            usage={"cpu_s": 3.21, "memory_bytes": 2**27, "memory_peak_bytes": 3 * 2**26, "throttled_periods": None},
        )
        facts = {
            "status": "pass",
            "fidelity": fidelity,
            "phases_s": PHASES_S,
            "timeline": self.make_timeline(name),
            "checks": (self.make_check(target=name),),
            "metrics": {"golden_cases": 100, "golden_right": 100, "response_p50_ms": 4.2, "cold_start_s": None},
            "deployments": (deployment,),
        }
        return TargetResult(**{**facts, **changes})

    def make_run(self, targets=None, **changes):
        facts = {
            "run_id": "20261122-101500-ab12",
            "started_at": "2026-11-22T10:15:00Z",
            "duration_s": 93.5,
            "verdict": "pass",
            "exit_code": 0,
            "command": ("seatrial", "run", "--target", "docker"),
            "model": ModelRecord(
                name="digits", version="1", digest="sha256:" + "ab" * 32, origin="digits", cases=100, python="3.11"
            ),
            "environment": EnvironmentRecord(
                seatrial="0.1.0", python="3.11.7", platform="Linux-6.18-x86_64", cpus=2, memory_bytes=8 * 2**30
            ),
            "targets": {"docker": self.make_target()} if targets is None else targets,
        }
        return RunResult(**{**facts, **changes})

    def make_calibration(self, floor_s):
        return make_calibration(floor_s)

    def make_not_run(self, name="kubernetes"):
        missing = NotRunRecord(
            target=name, name="kind", detail="no kind on the PATH", fix="seatrial provision --target kubernetes"
        )
        return TargetResult(status="not-run", not_run=(missing,))

    def make_failed_deployment(self, name="mlflow", logs="Traceback …\nOSError: address already in use\n"):
        error = ErrorRecord(target=name, message="the server did not become ready within 30 s", exit_code=6, logs=logs)
        return TargetResult(status="error", errors=(error,), timeline=self.make_timeline(name, 2.0, {"build": 1.0}))

    def make_every_status(self):
        checks = tuple(
            self.make_check(
                id=f"S{number:02}", status=status, title=f"ends as {status}", message=f"because of {status}"
            )
            for number, status in enumerate(STATUSES)
        )
        return self.make_run({"docker": self.make_target(checks=checks, status="fail")}, verdict="fail", exit_code=1)

    def make_wide(self):
        """Sixty checks on eight targets, of every status, with messages that are long."""
        ids = [f"{letter}{number:02}" for letter in "PRBNLFXOC" for number in range(1, 8)][:60]
        targets = {}
        for place, name in enumerate((*TARGETS, "url")):
            checks = []
            for number, check_id in enumerate(ids):
                status = "pass" if (number * 5 + place * 3) % 11 else STATUSES[(number + place) % len(STATUSES)]
                message = "" if status == "pass" else f"{check_id} on {name} is {status}. " + "What came back. " * 40
                level = ("MUST", "SHOULD", "MAY")[number % 3]
                title = "what is asked of it, in as many words as a title has" if number % 4 else "golden answers"
                changes = {"status": status, "message": message, "level": level, "title": title}
                checks.append(self.make_check(target=name, id=check_id, **changes))
            targets[name] = self.make_target(name, checks=tuple(checks), status="fail")
        return self.make_run(targets, verdict="fail", exit_code=1)

    def make_seven(self):
        """Seven targets as in a real trial: most are right, one fails, one did not deploy, one was not run."""
        targets = {}
        for number, name in enumerate(TARGETS):
            scale = 1 + number * 0.8
            phases_s = {phase: length_s * scale for phase, length_s in PHASES_S.items()}
            if name in {"inprocess", "local"}:
                phases_s = {phase: phases_s[phase] for phase in ("start", "ready", "first-answer")}
            timeline = self.make_timeline(
                name, number * 3.0, {**phases_s, "update": 2.0, "restart": 3.5, "undeploy": 1.5}
            )
            checks = tuple(
                self.make_check(
                    target=name,
                    id=f"R{index:02}",
                    title=title,
                    reproduce=f"seatrial run --target {name} --check R{index:02}",
                )
                for index, title in enumerate(
                    ("golden answers", "batches", "comes back after a kill", "updates at the same address")
                )
            )
            targets[name] = self.make_target(name, phases_s=phases_s, timeline=timeline, checks=checks)
        wrong = self.make_check(
            target="gradio",
            id="R01",
            title="batches",
            status="fail",
            reproduce="seatrial run --target gradio --check R01",
            message="97 of 100 cases right; first wrong: case 12, probabilities[0, 3] is 0.25, expected 0.75",
            facts={"cases": 100, "right": 97},
        )
        gradio = targets["gradio"]
        targets["gradio"] = self.make_target(
            "gradio",
            status="fail",
            checks=(
                gradio.checks[0],
                wrong,
                self.make_check(
                    target="gradio",
                    id="R02",
                    status="unsupported",
                    title="comes back after a kill",
                    message="not claimed",
                    facts={},
                ),
            ),
            timeline=gradio.timeline,
            metrics={"golden_cases": 100, "golden_right": 97},
            notes=("not comparable: no CPU limit here",),
            fidelity=FidelityRecord(real=("Blocks app", "queue"), absent=("share link",)),
        )
        targets["kubernetes"] = self.make_not_run()
        targets["mlflow"] = self.make_failed_deployment()
        return self.make_run(
            targets,
            verdict="error",
            exit_code=6,
            causes=(
                "mlflow: the deployment failed",
                "gradio: R01 batches failed",
                "kubernetes was not run: kind is missing",
            ),
            settings={"targets": {"docker": {"image": "mine:1"}}, "seed": 7},
            leftovers=(LeftoverRecord(kind="container", id="4f1c2d"),),
        )


@pytest.fixture
def trials():
    return Trials()


class Histories:
    """Builds histories out of requests with plausible defaults."""

    def ask(self, invoke_s, end_s, **changes):
        facts = {
            "client": 0,
            "case": "case-1",
            "connection": "kept",
            "sent_s": invoke_s,
            "outcome": "ok",
            "ending": "answered",
        }
        facts["judgement"] = "right" if changes.get("outcome", "ok") == "ok" else None
        return HistoryRequest(**{**facts, **changes}, invoke_s=invoke_s, end_s=end_s)

    def make(self, *requests, clients=1, **marks):
        return History(
            head=HistoryHead(endpoint="http://127.0.0.1:1", clients=clients),
            marks=[HistoryMark(name=name, at_s=at_s) for name, at_s in marks.items()],
            requests=requests,
        )

    def make_fault(self):
        """Two clients around a kill: right, refused, cut off and wrong answers, and right ones again."""
        requests = [self.ask(number * 0.5, number * 0.5 + 0.1) for number in range(4)]
        requests += [
            self.ask(2.1, 2.3, outcome="unknown", ending="closed", said="ConnectionResetError: <peer> & all"),
            self.ask(2.4, 2.45, sent_s=None, outcome="fail", ending="unreachable", said="ConnectionRefusedError"),
            self.ask(4.0, 4.2, judgement="wrong", said="probabilities[0] is 0.5, expected 0.1"),
            self.ask(5.0, 5.2),
            self.ask(0.2, 0.4, client=1, connection="new"),
            self.ask(2.2, 2.6, client=1, connection="new", outcome="fail", ending="refused", said="status 503"),
            self.ask(4.5, 5.0, client=1, connection="new"),
        ]
        return self.make(*requests, clients=2, kill=2.0, ready=3.5)


@pytest.fixture
def histories():
    return Histories()


VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})


class PageParser(HTMLParser):
    """Builds an element tree of a page and insists on what browsers forgive: every tag is closed, in order."""

    def __init__(self):
        super().__init__()
        self.root = ET.Element("document")
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        element = ET.SubElement(self.open[-1], tag, {name: value or "" for name, value in attrs})
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        ET.SubElement(self.open[-1], tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        parent = self.open[-1]
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + data
        else:
            parent.text = (parent.text or "") + data


@pytest.fixture
def read_page():
    def read(path):
        parser = PageParser()
        parser.feed(path.read_text(encoding="utf-8"))
        parser.close()
        assert parser.open == [parser.root]
        return parser.root

    return read
