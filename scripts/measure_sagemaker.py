"""What the SageMaker emulator costs: on an invocation, and in memory with many endpoints.

    python scripts/measure_sagemaker.py              both
    python scripts/measure_sagemaker.py --endpoints 0 --asks 2000

An invocation is asked in turn of the container directly and through the emulator, signed before the clock starts, over one kept
connection each; the overhead is the difference of the medians. Memory is the resident size of the emulator and of moto beside
it, with so many endpoints in service, each with a process as its container.
"""

from __future__ import annotations

import argparse
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config

from seatrial.environ import copy_environ
from seatrial.owner import Owner
from seatrial.wires.sagemaker import sign_request
from seatrial_fixtures.sagemaker.emulator import Emulator
from seatrial_fixtures.sagemaker.settings import EmulatorSettings

IMAGE = "measure/echo:1"
CONTAINER = Path(__file__).parents[1] / "tests" / "fixtures" / "sagemaker" / "quick_container.py"
ROLE = "arn:aws:iam::123456789012:role/measure"
BODY = b'{"inputs": {"x": [[1.0, 2.0, 3.0, 4.0]]}}'
WARM = 200


class Connection:
    """One kept connection that sends requests as they are and reads whole answers."""

    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"{host}:{port}"

    def ask(self, path: str, headers: dict[str, str]) -> float:
        """Return seconds from the send to the whole answer."""
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(BODY)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode() + BODY
        began_s = time.perf_counter()
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, rest = data.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(rest) < length:
            rest += self._receive()
        taken_s = time.perf_counter() - began_s
        if b" 200 " not in head or rest != BODY:
            raise SystemExit(f"not answered: {head.decode()} {rest[:200]!r}")
        return taken_s

    def _receive(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise SystemExit("the connection was closed")
        return chunk


def make_endpoints(emulator: Emulator, count: int) -> list[str]:
    """Create so many endpoints at once and wait until all are in service."""
    keys = emulator.credentials
    client: Any = boto3.client(
        "sagemaker",
        endpoint_url=emulator.address,
        region_name=keys.region,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=Config(proxies={}),
    )
    if count:
        client.create_model(ModelName="m", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
        variant = {"VariantName": "V", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    names = [f"e{number}" for number in range(count)]
    for name in names:
        client.create_endpoint(EndpointName=name, EndpointConfigName="c")
    for name in names:
        client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    return names


def measure_overhead(emulator: Emulator, name: str, asks: int) -> None:
    """Ask in turn, and print the medians."""
    (instance,) = emulator.operate("ListInstances", name)["Instances"]
    direct, through = Connection(instance["Address"]), Connection(emulator.address)
    path = f"/endpoints/{name}/invocations"
    plain = {"Content-Type": "application/json"}

    def ask_direct() -> float:
        return direct.ask("/invocations", plain)

    def ask_through() -> float:
        return through.ask(path, dict(sign_request(emulator.credentials, emulator.address + path, plain, BODY)))

    taken_s: dict[Callable[[], float], list[float]] = {ask_direct: [], ask_through: []}
    for number in range(asks + WARM):
        for ask, times in taken_s.items():
            seconds = ask()
            if number >= WARM:
                times.append(seconds)
    for what, times in zip(("the container directly", "through the emulator"), taken_s.values(), strict=True):
        cuts = statistics.quantiles(times, n=100)
        sys.stdout.write(
            f"{what}: p50 {cuts[49] * 1e3:.3f} ms, p90 {cuts[89] * 1e3:.3f} ms, p99 {cuts[98] * 1e3:.3f} ms\n"
        )
    medians = [statistics.median(times) for times in taken_s.values()]
    sys.stdout.write(
        f"overhead at the p50: {(medians[1] - medians[0]) * 1e3:.3f} ms, {medians[1] / medians[0]:.1f} times\n"
    )


def tell_memory(emulator: Emulator, count: int) -> None:
    """Print what the emulator's process and moto's hold."""
    for what, pid in (("the emulator", emulator.pid), ("moto", emulator.books_pid)):
        size = psutil.Process(pid).memory_info().rss
        sys.stdout.write(f"{what} with {count} endpoints: {size / 1e6:.1f} MB\n")


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asks", type=int, default=3000)
    parser.add_argument("--endpoints", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        for name in ("work", "logs"):
            (directory / name).mkdir()
        with Owner.start(f"measure-{secrets.token_hex(4)}", directory / "state") as owner:
            settings = EmulatorSettings(
                emulator_id=owner.trial_id,
                owner=owner.client_token(),
                state_dir=str(directory / "work"),
                log_dir=str(directory / "logs"),
                host="process",
                images=(IMAGE,),
                programs={IMAGE: (sys.executable, str(CONTAINER), "{port}")},
            )
            with Emulator.start(owner, settings, environment=copy_environ()) as emulator:
                names = make_endpoints(emulator, max(1, options.endpoints))
                tell_memory(emulator, len(names))
                if options.asks:
                    measure_overhead(emulator, names[0], options.asks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
