"""Puts our sides into a process of Locust, in its event `init`."""

from __future__ import annotations

import signal
import sys
from typing import Any, Final

import gevent
import msgspec
from locust import stats
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, Runner, WorkerRunner
from locust.web import WebUI

from seatrial.errors import SeatrialError
from seatrial.load.swarm.ending import end_with_input
from seatrial.load.swarm.files import SwarmFiles
from seatrial.load.swarm.master import Master
from seatrial.load.swarm.shape import OneEach, Stages
from seatrial.load.swarm.user import PacerUser
from seatrial.load.swarm.worker import Worker

PAGE: Final = "/seatrial"
"""Of Locust's web server: the result as JSON, while the run goes on the exact quantiles until now."""


def install(environment: Environment, runner: Runner, web_ui: WebUI | None, **_: Any) -> None:
    """Make this process one that runs pacers, leads workers that do, or both."""
    environment.dispatcher_class = OneEach
    # Python would raise KeyboardInterrupt in whichever greenlet runs just then, and one that is a thread swallows it.
    gevent.signal_handler(signal.SIGINT, _interrupt)
    # Locust cuts percentiles to whole milliseconds where it writes them.
    stats.StatsCSV._percentile_fields = _list_percentiles  # type: ignore[method-assign] # noqa: SLF001
    options = environment.parsed_options
    assert options is not None
    if isinstance(runner, WorkerRunner | LocalRunner):
        PacerUser.worker = Worker(environment, runner)
    if isinstance(runner, MasterRunner | LocalRunner):
        Stages.master = master = Master(environment, runner)
        if options.headless:
            _check(master)
        if web_ui is not None:
            _add_page(web_ui, master, options.web_base_path)
    if options.seatrial_directory:
        if isinstance(runner, MasterRunner):
            SwarmFiles(options.seatrial_directory).write_port(runner.server.port)
        gevent.spawn(end_with_input)


def _interrupt() -> None:
    """End as Locust does at Ctrl-C: raised in a greenlet of gevent's own, this comes out of its main one."""
    raise KeyboardInterrupt


def _check(master: Master) -> None:
    """End with a sentence where what is asked for cannot be done: nobody is there to change it."""
    try:
        master.read_order()
    except SeatrialError as error:
        sys.stderr.write(f"seatrial: {error}\n")
        sys.exit(int(error.exit_code))


def _list_percentiles(self: stats.StatsCSV, stats_entry: stats.StatsEntry, use_current: bool = False) -> list[Any]:
    """Return what Locust's own method does, with the digits that there are."""
    if not stats_entry.num_requests:
        return self.percentiles_na
    if use_current and stats_entry.use_response_times_cache:
        return [stats_entry.get_current_response_time_percentile(p) or 0 for p in self.percentiles_to_report]
    return [stats_entry.get_response_time_percentile(p) or 0 for p in self.percentiles_to_report]


def _add_page(web_ui: WebUI, master: Master, base_path: str) -> None:
    def show() -> tuple[bytes, dict[str, str]]:
        return msgspec.json.format(msgspec.json.encode(_describe(master))), {"Content-Type": "application/json"}

    assert web_ui.app is not None
    web_ui.app.add_url_rule(f"{base_path}{PAGE}", "seatrial", web_ui.auth_required_if_enabled(show))


def _describe(master: Master) -> object:
    if master.is_over or master.run is None:
        return master.conclusion or {}
    tally = master.run.tally
    return {
        "progress": master.run.progress,
        "requests": tally.requests,
        "failures": tally.failures,
        "response_time_s": tally.series["response"].summarize(),
        "service_time_s": tally.series["service"].summarize(),
        "failure_time_s": tally.series["failure"].summarize(),
    }
