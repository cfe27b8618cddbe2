"""The files between `launch` and the Locust that it starts, and the file of a result."""

from __future__ import annotations

from pathlib import Path

import msgspec

from seatrial.load.live import Snapshot
from seatrial.load.result import LoadResult
from seatrial.load.result_file import write_file
from seatrial.load.swarm.messages import Failure, Order, Renew
from seatrial.load.tally import Tally, TallyData


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """A result, or why there is none."""

    result: LoadResult | None = None
    failure: Failure | None = None


class SwarmFiles:
    """The directory that one run is led by."""

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)

    def write_order(self, order: Order) -> None:
        """Leave what is to be done."""
        _write(self._directory / "order.msgpack", msgspec.msgpack.encode(order))

    def read_order(self) -> Order:
        """Return what is to be done."""
        return msgspec.msgpack.decode((self._directory / "order.msgpack").read_bytes(), type=Order)

    def write_port(self, port: int) -> None:
        """Leave where the master listens for workers."""
        _write(self._directory / "port", str(port).encode())

    def read_port(self) -> int | None:
        """Return where the master listens, None while it does not."""
        path = self._directory / "port"
        return int(path.read_bytes()) if path.exists() else None

    def add_progress(self, snapshot: Snapshot) -> None:
        """Leave how far all are."""
        self._append("progress.jsonl", snapshot)

    def read_progress(self, after: int) -> list[Snapshot]:
        """Return how far all were, from the entry of a number on."""
        return [msgspec.json.decode(line, type=Snapshot) for line in self._read_lines("progress.jsonl")[after:]]

    def add_renewal(self, case: int, request: bytes) -> None:
        """Leave other bytes for a case."""
        self._append("renewals.jsonl", Renew(case=case, request=request))

    def read_renewals(self, after: int) -> list[Renew]:
        """Return what was renewed, from the entry of a number on."""
        return [msgspec.json.decode(line, type=Renew) for line in self._read_lines("renewals.jsonl")[after:]]

    def write_tally(self, tally: Tally) -> None:
        """Leave the exact histograms of all workers, merged from their reports."""
        _write(self._directory / "tally.json", msgspec.json.encode(tally.encode()))

    def read_tally(self) -> Tally:
        """Return what the reports of all workers added up to."""
        return Tally.decode(msgspec.json.decode((self._directory / "tally.json").read_bytes(), type=TallyData))

    def write_conclusion(self, conclusion: LoadResult | Failure) -> None:
        """Leave what it came to."""
        found = Conclusion(result=conclusion) if isinstance(conclusion, LoadResult) else Conclusion(failure=conclusion)
        _write(self._directory / "conclusion.json", msgspec.json.encode(found))

    def read_conclusion(self) -> LoadResult | Failure | None:
        """Return what it came to, None when it came to nothing."""
        path = self._directory / "conclusion.json"
        if not path.exists():
            return None
        found = msgspec.json.decode(path.read_bytes(), type=Conclusion)
        return found.result or found.failure

    def _append(self, name: str, entry: Snapshot | Renew) -> None:
        with (self._directory / name).open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")

    def _read_lines(self, name: str) -> list[bytes]:
        path = self._directory / name
        return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def write_result(result: LoadResult, path: Path | str) -> None:
    """Write a result as `seatrial load --json` does."""
    write_file(Path(path), msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_bytes(data)
    draft.replace(path)
