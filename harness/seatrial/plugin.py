"""The pytest plug-in. Thin: it imports nothing but pytest until one of its options or fixtures is used.

Every option is `--seatrial-...`; `--target` is short for `--seatrial-target`, unless another plug-in has that name already.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seatrial.client import Client
    from seatrial.endpoint import Endpoint
    from seatrial.history import History
    from seatrial.model import ModelDirectory
    from seatrial.pytest_session import TrialSession
    from seatrial.records import CapacityRecord, FloorRecord, LoadRecord
    from seatrial.target import Deployment
    from seatrial.trial.answers import AnswerBook
    from seatrial.trial.measuring import LoadOrder
    from seatrial.trial.searching import CapacityOrder

_SESSION_NAME = "seatrial-session"
# (option, the setting it is, arguments of add_option): one line an option, so that no list of options stands elsewhere.
OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("target", "target", {"action": "append", "metavar": "NAMES", "help": "targets: docker,mlflow, all, !gradio"}),
    ("model", "model", {"help": "a bundled name, package.module:attribute, a model directory, an ONNX file"}),
    ("profile", "profile", {"choices": ["smoke", "standard", "nightly"], "help": "how much is asked"}),
    ("suite", "suite", {"choices": ["all", "conformance", "benchmark"], "help": "which suites are asked"}),
    (
        "allow-remote",
        "allow_remote",
        {
            "action": "append",
            "metavar": "HOST",
            "help": "a host besides this machine that load and attacks may go to; repeats",
        },
    ),
    ("out", "out", {"metavar": "DIR", "help": "where the trial's directory goes (default: seatrial-results)"}),
    (
        "require",
        "require",
        {"action": "store_const", "const": True, "help": "a target that lacks something is a failure"},
    ),
    ("keep", "keep", {"action": "store_const", "const": True, "help": "keep the kind cluster for the next trial"}),
    ("kube-context", "kube_context", {"metavar": "C", "help": "use this cluster instead of a kind cluster"}),
    (
        "sagemaker-live",
        "targets.sagemaker.live",
        {"action": "store_const", "const": True, "help": "SageMaker in your own account, which costs"},
    ),
    ("seed", "seed", {"type": int, "help": "of everything random"}),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("seatrial", "seatrial: one model, every serving technology")
    for name, setting, keywords in OPTIONS:
        group.addoption(f"--seatrial-{name}", dest=f"seatrial_{setting}", default=None, **keywords)
    group.addoption(
        "--seatrial-set",
        dest="seatrial_set",
        action="append",
        default=None,
        metavar="NAME=VALUE",
        help="any setting, e.g. targets.kubernetes.node_image=kindest/node:v1.34.0",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, Any, Any]:
    """Add the short name after conftest files and other plug-ins had their say: one of them may have it already."""
    result = yield
    group = parser.getgroup("seatrial")
    with contextlib.suppress(ValueError, argparse.ArgumentError):
        group.addoption("--target", dest="seatrial_target", action="append", metavar="NAMES", help="--seatrial-target")
    return result


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "seatrial_check(check): a check of seatrial, recorded for the target it ran on")
    config.addinivalue_line("markers", "conformance: whether a deployment does what it must")
    config.addinivalue_line("markers", "benchmark: how fast a deployment is; needs the machine to itself")
    config.addinivalue_line("markers", "seatrial_objectives: asked where the settings have objectives")
    config.addinivalue_line("markers", "xdist_group(name): tests that belong on one worker")
    if any(
        getattr(config.option, f"seatrial_{setting}", None) is not None for _, setting, _ in (*OPTIONS, ("", "set", {}))
    ):
        find_session(config).check_choice()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seatrial_target" in metafunc.fixturenames:
        find_session(metafunc.config).parametrize(metafunc)


def find_session(config: pytest.Config) -> TrialSession:
    """Return the heavy half of the plug-in, loading it at the first use."""
    session = config.pluginmanager.get_plugin(_SESSION_NAME)
    if session is None:
        from seatrial.pytest_session import register_session

        session = register_session(config, _SESSION_NAME)
    return session


@pytest.fixture(scope="session")
def seatrial_target(request: pytest.FixtureRequest) -> str:
    """The name of the target under test; parametrised by `--target`."""
    return str(request.param)


@pytest.fixture(scope="session")
def seatrial_models(request: pytest.FixtureRequest, seatrial_target: str) -> tuple[ModelDirectory, ...]:  # noqa: ARG001
    """The versions of the model on trial, the deployed one first."""
    return find_session(request.config).trial.models


@pytest.fixture(scope="session")
def seatrial_model(seatrial_models: tuple[ModelDirectory, ...]) -> ModelDirectory:
    """The model on trial: signature and golden cases."""
    return seatrial_models[0]


@pytest.fixture(scope="session")
def seatrial_deployment(request: pytest.FixtureRequest, seatrial_target: str) -> Iterator[Deployment]:
    """The model, deployed to the target and ready. One for each target and session."""
    session = find_session(request.config)
    yield session.obtain(seatrial_target)
    session.trial.fleet.release(seatrial_target)


@pytest.fixture
def seatrial_deploy(
    request: pytest.FixtureRequest,
    seatrial_target: str,
    seatrial_deployment: Deployment,  # noqa: ARG001 - what is deployed beside it shares what it has built
) -> Callable[[ModelDirectory], contextlib.AbstractContextManager[Deployment]]:
    """Deploy another model to the same target: `with seatrial_deploy(model) as deployment:`; it is taken down after the block.

    Entering raises DeploymentError when it does not get ready.
    """
    return functools.partial(find_session(request.config).deploy_beside, seatrial_target)


@pytest.fixture
def seatrial_turn(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_facts: dict[str, Any]
) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Ask the deployment that other checks ask as well: `with seatrial_turn():`.

    A check that is not `apart` has its turn already. How long one waited is in its facts, for its duration has that too.
    """
    return functools.partial(find_session(request.config).trial.turns.take, seatrial_target, seatrial_facts)


@pytest.fixture
def seatrial_endpoint(seatrial_deployment: Deployment) -> Endpoint:
    """Where and how the deployment is asked."""
    return seatrial_deployment.endpoint


@pytest.fixture
def seatrial_client(seatrial_deployment: Deployment) -> Iterator[Client]:
    """A client of the deployment: `seatrial_client.ask(case.inputs)`."""
    from seatrial.client import Client

    with Client(seatrial_deployment.endpoint, seatrial_deployment.model.manifest) as client:
        yield client


@pytest.fixture
def seatrial_load(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_deployment: Deployment
) -> Callable[[LoadOrder], LoadRecord]:
    """Put load on the deployment: `seatrial_load(LoadOrder(name="mine", rate=50))`, every answer compared with its golden one.

    Nothing else of any trial uses the machine meanwhile, so it does not run under pytest-xdist.
    """

    def put_on(order: LoadOrder) -> LoadRecord:
        return find_session(request.config).measure(seatrial_target, seatrial_deployment, order)

    return put_on


@pytest.fixture
def seatrial_capacity(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_deployment: Deployment
) -> Callable[[CapacityOrder], CapacityRecord]:
    """Search the highest rate that keeps objectives: `seatrial_capacity(CapacityOrder(name="mine", longest_s=30))`.

    Nothing else of any trial uses the machine meanwhile, so it does not run under pytest-xdist.
    """

    def search(order: CapacityOrder) -> CapacityRecord:
        return find_session(request.config).search(seatrial_target, seatrial_deployment, order)

    return search


@pytest.fixture
def seatrial_floor(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_deployment: Deployment
) -> Callable[[float], FloorRecord]:
    """Measure, at a rate, what the network path of a deployment costs: `seatrial_floor(20.0).cost_p50_s`.

    Nothing else of any trial uses the machine meanwhile, so it does not run under pytest-xdist.
    """

    def compare(rate: float) -> FloorRecord:
        return find_session(request.config).compare_paths(seatrial_target, seatrial_deployment, rate)

    return compare


@pytest.fixture
def seatrial_answers(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_model: ModelDirectory
) -> AnswerBook:
    """Where the check of golden cases keeps the target's answers, for the comparison with other targets' (R02)."""
    from seatrial.trial.answers import AnswerBook

    directory = find_session(request.config).trial.directory.path
    return AnswerBook(directory, seatrial_target, seatrial_model.manifest)


@pytest.fixture
def seatrial_facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Figures that a check found, for its record: assign to keys."""
    return find_session(request.config).facts_of(request.node)


@pytest.fixture
def seatrial_history(
    request: pytest.FixtureRequest, seatrial_target: str, seatrial_facts: dict[str, Any]
) -> Callable[[str, History], None]:
    """Leave a history in the trial's directory, under the id of a check: `seatrial_history("F01", history)`.

    Where it is, and how many of its requests had which outcome, goes into the facts of the check.
    """

    def leave(check_id: str, history: History) -> None:
        path = find_session(request.config).trial.directory.keep_history(seatrial_target, check_id, history)
        seatrial_facts.update(history=path, **history.count())

    return leave
