"""What a pacer keeps of answers: nothing where they are compared with nothing, and within bounds where all of them differ."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seatrial.load.driver import read_answers
from seatrial.load.measuring import measure_load
from seatrial.load.pacer import recorder as recording
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import ANSWERS_FILE, SAMPLES_FILE, Destination, Plan
from seatrial.load.samples import NO_ANSWER, Outcome, read_samples

Serve = Callable[..., int]
MANY = 100_000
RECORD_BYTES = 64
MEMORY_BYTES = 60_000_000


def draw_bodies(count: int) -> Iterator[bytes]:
    return (b'{"id": "%032d", "outputs": [1.0, 2.0]}' % number for number in range(count))


def identify_all(directory: Path, bodies: Iterator[bytes], bytes_kept: int = 1 << 20) -> list[int]:
    recorder = Recorder(directory, keep_bodies_bytes=bytes_kept)
    indices = [recorder.identify(0, 200, body, "application/json") for body in bodies]
    recorder.close()
    return indices


def measure_growth(work: Callable[[], object]) -> int:
    """Return the most memory that was in use at a time meanwhile, bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_server_whose_every_answer_differs_leaves_records_and_nothing_else(serve: Serve, tmp_path: Path) -> None:
    plan = Plan(
        destination=Destination(host="127.0.0.1", port=serve("numbered")),
        requests=(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",),
        cases=(0,),
        mode="closed",
        users=8,
        duration_s=1.0,
    )
    result = measure_load(plan, None, directory=tmp_path)
    samples = read_samples(tmp_path / "samples.bin")
    written_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())

    assert result.outcomes["answered"] > 100
    assert written_bytes <= RECORD_BYTES * len(samples)
    assert result.client["rss_bytes"] <= MEMORY_BYTES


@pytest.mark.parametrize(
    ("keeps", "memory_bytes", "file_bytes"), [(False, 500_000, 0), (True, 9_000_000, (16 << 20) + 1000)]
)
def test_answers_that_all_differ_take_a_bounded_memory_and_file(
    tmp_path: Path, keeps: bool, memory_bytes: int, file_bytes: int
) -> None:
    """However many there are: to know each of 100,000 again would take over 20 MB."""
    indices: set[int] = set()

    def identify_many() -> None:
        recorder = Recorder(tmp_path, keep_bodies_bytes=16 << 20, keeps_answers=keeps)
        for body in draw_bodies(MANY):
            index = recorder.identify(0, 200, body, "application/json")
            if not keeps:
                indices.add(index)
        recorder.close()

    assert measure_growth(identify_many) < memory_bytes
    assert (tmp_path / ANSWERS_FILE).stat().st_size <= file_bytes
    assert indices == (set() if keeps else {NO_ANSWER})


def test_every_answer_is_held_against_its_own_body_however_many_came_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_INDEXED", 8)
    bodies = [*draw_bodies(100), *draw_bodies(100), *list(draw_bodies(3)) * 10]
    indices = identify_all(tmp_path, iter(bodies))
    answers = list(read_answers(tmp_path))

    assert [answers[index].body for index in indices] == bodies
    assert [answer.index for answer in answers] == list(range(len(answers)))
    assert len(set(indices[-27:])) == 3, "what keeps coming is known again"


def test_what_has_no_room_is_one_answer_of_its_case_and_status_without_a_body(tmp_path: Path) -> None:
    first, *others = identify_all(tmp_path, draw_bodies(1000), bytes_kept=300)
    answers = list(read_answers(tmp_path))

    assert answers[first].body is not None
    assert set(others) == {1}
    assert [answer.body is None for answer in answers] == [False, True]


def test_records_that_come_in_bundles_of_any_size_are_all_written_in_order(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, keep_bodies_bytes=0)
    number = 0
    # Bundles that end within the buffer, at its end and past it, and a single record after each.
    for size in (0, 64, 1982, 1, 2048, 2047, 2, 37):
        rows = range(number, number + size)
        recorder.append([pack(row) for row in rows])
        recorder.record_unsent(0, number + size, 0, Outcome.UNCONNECTED, warm_up=False)
        number += size + 1
    recorder.close()

    assert read_samples(tmp_path / SAMPLES_FILE)["intended_ns"].tolist() == list(range(number))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("file", [SAMPLES_FILE, ANSWERS_FILE])
def test_a_disk_that_is_full_is_said_and_not_written_past(tmp_path: Path, file: str) -> None:
    (tmp_path / file).symlink_to("/dev/full")
    recorder = Recorder(tmp_path, keep_bodies_bytes=1 << 20)
    rows = [pack(0)] * 2048
    recorder.identify(0, 200, b"fine", "text/plain")
    with pytest.raises(OSError, match="No space left"):
        recorder.append(rows)

    # What ends later has nowhere to go, and the run must not end as if it had.
    recorder.append(rows)
    with pytest.raises(OSError, match="No space left"):
        recorder.close()


def pack(intended_ns: int) -> bytes:
    endings = recording.pack_answer(0, 0, 0, NO_ANSWER), 0, recording.pack_ending(200, 0, 0)
    return recording.pack_record_again(intended_ns, 0, 0, 0, *endings)
