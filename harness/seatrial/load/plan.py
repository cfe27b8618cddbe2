"""What a pacer is told, and what it tells: JSON lines over its pipes, and files in a directory that both can reach."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from seatrial.wire import Framing

SCHEDULE_FILE: Final = "schedule.npy"
"""Open loop: int64 nanoseconds after the beginning of the timed window, ascending, shape (requests,)."""
WARM_UP_FILE: Final = "warm-up.npy"
"""Open loop with a warm-up: int64 nanoseconds after the start, ascending, shape (requests,)."""
SAMPLES_FILE: Final = "samples.bin"
"""Records of `samples.SAMPLE`, appended as requests end."""
ANSWERS_FILE: Final = "answers.jsonl"
"""Lines of `DistinctAnswer`, in the order of their index."""
TOLD: Final = "told to stop"
"""`Done.stopped` of one that was told to."""
OPENING_S: Final = 50.0
"""That the first connections may take, however few they are."""
OPENING_EACH_S: Final = 0.02
"""Besides, for each: more than a TLS handshake takes of one server's CPU."""


class Destination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where requests go."""

    host: Annotated[str, Meta(description="IP address; names are resolved before")] = ""
    port: int = 0
    unix_path: Annotated[str, Meta(description="of a Unix socket, instead of host and port")] = ""
    tls: bool = False
    server_name: Annotated[str, Meta(description="name that the certificate must have, and SNI")] = ""
    ca_file: Annotated[str, Meta(description="certificates to trust besides the system's")] = ""


class FollowUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second request of a call in two steps."""

    request: Annotated[bytes, Meta(description="whole, with a placeholder in it")]
    placeholder: Annotated[bytes, Meta(description="what the first answer's event_id is put in place of")]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of one pacer."""

    destination: Destination
    requests: Annotated[tuple[bytes, ...], Meta(description="whole requests, head and body; the index is the case")]
    mode: Literal["open", "closed"]
    framing: Framing = "http"
    follow_up: Annotated[FollowUp | None, Meta(description="of the framing http-events")] = None
    cases: Annotated[tuple[int, ...], Meta(description="asked in turn, none twice at a time while another is free")]
    users: Annotated[int, Meta(description="closed loop: users at a time")] = 0
    think_s: Annotated[float, Meta(description="closed loop: pause between an answer and the next question")] = 0.0
    duration_s: Annotated[float, Meta(description="length of the timed window")]
    warm_up_s: Annotated[
        float, Meta(description="until the window begins, unless an order says earlier; what is sent before is warm-up")
    ] = 0.0
    timeout_s: Annotated[float, Meta(description="a request that is not answered by then has failed")] = 30.0
    drain_s: Annotated[float, Meta(description="how long pending requests are waited for after the window")] = 10.0
    connections: Annotated[int, Meta(description="opened before the first send")] = 1
    max_connections: Annotated[int, Meta(description="beyond it a due request waits for a free one, which is late")] = (
        4096
    )
    sharers: Annotated[int, Meta(description="pacers that open connections to the same server at a time")] = 1
    reconnect: Annotated[bool, Meta(description="a connection carries one request only")] = False
    max_body_bytes: Annotated[int, Meta(description="a larger response is malformed")] = 64 << 20
    keeps_answers: Annotated[bool, Meta(description="answers are told apart, and those that differ kept")] = True
    keep_bodies_bytes: Annotated[int, Meta(description="of the file of answers that differ")] = 1 << 30
    max_failures: Annotated[int, Meta(description="stop early after so many failures in a row; 0 never")] = 0

    @property
    def first_connections(self) -> int:
        """How many are opened before the first send."""
        return self.users if self.mode == "closed" else self.connections

    @property
    def opening_timeout_s(self) -> float:
        """For how long they may be opened, those of all pacers together."""
        return OPENING_S + OPENING_EACH_S * self.first_connections * self.sharers


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The plan is read, connections are open; the pacer waits for the order to go."""

    pid: int
    connections: int
    uvloop: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """About once a second, and last of all at the end of the drain; the samples up to it are in their file."""

    elapsed_s: float
    sent: int
    ended: int
    failed: int
    in_flight: int
    window_begin_ns: Annotated[
        int, Meta(description="when the timed window begins or began, as far as is known; 0 where nobody can tell")
    ] = 0


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The run ended; all files are written. What only the pacer can know stands here."""

    start_ns: Annotated[int, Meta(description="CLOCK_MONOTONIC at the beginning of the warm-up")]
    window_begin_ns: Annotated[int, Meta(description="of the timed window, offset 0 of its schedule")]
    window_end_ns: Annotated[int, Meta(description="of the timed window, also when the run was stopped before")]
    end_ns: Annotated[int, Meta(description="when the drain was over")]
    scheduled: Annotated[
        int, Meta(description="requests that were to be sent by the end of the window, warm-up included")
    ]
    sent: int
    connections_opened: int
    in_flight_area_ns: Annotated[
        int, Meta(description="sum of requests in flight times nanoseconds, kept apart from the samples, window only")
    ]
    loop_lag_ns: Annotated[
        tuple[int, ...], Meta(description="how late a 100 ms timer of the loop was, one a tick, window only")
    ]
    cpu_s: Annotated[float, Meta(description="of this process over the run, spinning included")]
    spun_s: Annotated[float, Meta(description="of that, spent waiting for the next due time")]
    rss_bytes: Annotated[int, Meta(description="peak resident memory of this process")]
    measured_from_ns: Annotated[
        int, Meta(description="up to when the two that follow were counted, soon after the window began; 0: never")
    ] = 0
    warm_up_cpu_s: Annotated[float, Meta(description="of cpu_s, what the warm-up took")] = 0.0
    warm_up_spun_s: Annotated[float, Meta(description="of spun_s, what the warm-up took")] = 0.0
    measured_until_ns: Annotated[
        int, Meta(description="from when the two that follow were counted, soon after the window ended; 0: its end")
    ] = 0
    drain_cpu_s: Annotated[float, Meta(description="of cpu_s, what the drain took")] = 0.0
    drain_spun_s: Annotated[float, Meta(description="of spun_s, what the drain took")] = 0.0
    window_waited_s: Annotated[
        float | None,
        Meta(
            description="that this process was ready to run between those two times and no CPU was free (schedstat); null where "
            "the kernel does not tell"
        ),
    ] = None
    clock_step_ns: Annotated[int, Meta(description="how far CLOCK_REALTIME moved against CLOCK_MONOTONIC")]
    reasked: Annotated[
        int, Meta(description="requests that a kept connection lost without a byte, and a new one carried")
    ] = 0
    doubled: Annotated[
        int, Meta(description="requests that were sent while another one of their case was in flight")
    ] = 0
    exhausted: Annotated[str, Meta(description="what ran out: connections, descriptors, ports; empty when nothing")] = (
        ""
    )
    stopped: Annotated[str, Meta(description="why it ended before its time; empty when it did not")] = ""

    @property
    def window_s(self) -> float:
        """Seconds that `window_cpu_s`, `window_spun_s` and `window_waited_s` are of."""
        until_ns = self.measured_until_ns or self.window_end_ns
        return max(until_ns - (self.measured_from_ns or self.start_ns), 1) / 1e9

    @property
    def window_cpu_s(self) -> float:
        """Of this process in the window."""
        return self.cpu_s - self.warm_up_cpu_s - self.drain_cpu_s

    @property
    def window_spun_s(self) -> float:
        """Of that, spent waiting for the next due time."""
        return self.spun_s - self.warm_up_spun_s - self.drain_spun_s


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The run could not begin: no connection, a plan that cannot be read."""

    message: str
    fix: str = ""
    exhausted: Annotated[
        str, Meta(description="what the client ran out of: descriptors, ports; empty when nothing")
    ] = ""


Event = Ready | Progress | Done | Failed
"""What a pacer writes to its standard output, a JSON line each."""


class DistinctAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A response that differs in case, status or body from all before, or from as many as are known again."""

    index: int
    case: int
    status: int
    sha256: str
    size_bytes: int
    body: Annotated[
        bytes | None, Meta(description="None when keep_bodies_bytes was used up: it stands for all such of its kind")
    ]
    content_type: str = ""
