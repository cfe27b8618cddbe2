"""Samples and answers that are read while they are written: each once, in order, none by half."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import msgspec
import numpy as np

from seatrial.load import tailing
from seatrial.load.checking import AnswerCheck
from seatrial.load.pacer.recorder import Recorder
from seatrial.load.plan import DistinctAnswer
from seatrial.load.questions import Judgement
from seatrial.load.samples import NO_ANSWER, SAMPLE, Outcome, Samples
from seatrial.load.tailing import AnswersTail, SamplesTail


def make_samples(count: int) -> Samples:
    samples = np.zeros(count, SAMPLE)
    samples["intended_ns"] = np.arange(count)
    return samples


def look(tail: SamplesTail) -> list[int]:
    return [int(each) for block in tail.read() for each in block["intended_ns"]]


def test_a_file_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    tail = SamplesTail(tmp_path / "samples.bin")

    assert look(tail) == []
    make_samples(3).tofile(tmp_path / "samples.bin")
    assert look(tail) == [0, 1, 2]
    assert look(tail) == []


def test_each_record_is_read_once_and_none_by_half(tmp_path: Path) -> None:
    data = make_samples(50).tobytes()
    tail = SamplesTail(tmp_path / "samples.bin")
    seen: list[int] = []
    cuts = [0, 7, 60, 61, 119, 120, 600, 1000, 2999, 3000]
    with (tmp_path / "samples.bin").open("wb", buffering=0) as file:
        for begin, end in pairwise(cuts):
            file.write(data[begin:end])
            seen += look(tail)
            assert len(seen) == end // SAMPLE.itemsize

    assert seen == list(range(50))


def test_many_come_in_blocks(tmp_path: Path) -> None:
    make_samples(2 * tailing.BLOCK + 5).tofile(tmp_path / "samples.bin")
    lengths = [len(block) for block in SamplesTail(tmp_path / "samples.bin").read()]

    assert lengths == [tailing.BLOCK, tailing.BLOCK, 5]


def make_answer(index: int) -> DistinctAnswer:
    return DistinctAnswer(index=index, case=0, status=200, sha256="", size_bytes=1, body=b"%d" % index)


def test_answers_are_read_once_and_none_by_half(tmp_path: Path) -> None:
    data = b"".join(msgspec.json.encode(make_answer(index)) + b"\n" for index in range(5))
    path, seen = tmp_path / "answers.jsonl", []
    tail = AnswersTail(path)
    assert list(tail.read()) == []
    with path.open("wb", buffering=0) as file:
        for begin, end in pairwise([0, 10, len(data) // 2, len(data) - 1, len(data)]):
            file.write(data[begin:end])
            seen += [answer.index for answer in tail.read()]
            assert len(seen) == data[:end].count(b"\n")

    assert seen == list(range(5))


def test_who_takes_some_answers_is_given_the_others_later(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(make_answer(index)) + b"\n" for index in range(5)))
    tail = AnswersTail(path)

    assert [answer.index for answer in islice(tail.read(), 2)] == [0, 1]
    assert [answer.index for answer in tail.read()] == [2, 3, 4]


def test_answers_are_there_before_the_samples_that_name_them(tmp_path: Path) -> None:
    """Who reads both while a pacer writes them would else have to wait for its end."""
    recorder = Recorder(tmp_path, keep_bodies_bytes=1000)
    recorder.identify(0, 200, b"fine", "text/plain")
    recorder.flush()
    read = [answer.body for answer in AnswersTail(tmp_path / "answers.jsonl").read()]
    recorder.close()

    assert read == [b"fine"]


def test_samples_wait_for_the_judgement_of_their_answers() -> None:
    """Some are judged at a time, and none twice."""
    judged: list[int] = []

    def judge(answer: DistinctAnswer) -> Judgement:
        judged.append(answer.index)
        return Judgement(outcome=Outcome.WRONG if answer.index == 2 else Outcome.ANSWERED)

    check = AnswerCheck(judge)
    answers = iter([make_answer(index) for index in range(4)])
    samples = make_samples(4)
    samples["answer"] = [0, 1, 2, NO_ANSWER]
    samples["outcome"][3] = Outcome.TIMED_OUT
    known = []
    for _ in range(3):
        known.append(check.knows(samples))
        check.learn(answers, most_s=0.0)

    assert known == [False, False, False]
    assert check.knows(samples)
    assert judged == [0, 1, 2]
    assert check.mark(samples)["outcome"].tolist() == [0, 0, Outcome.WRONG, Outcome.TIMED_OUT]
    assert samples["outcome"].tolist() == [0, 0, 0, Outcome.TIMED_OUT], "what was given is as it was"
