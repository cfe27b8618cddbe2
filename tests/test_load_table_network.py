"""The network in which the load table compares clients: its own where one can be made, else the host's, which is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def read_within(within: tuple[str, ...], *argv: str) -> str:
    done = subprocess.run([*within, *argv], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_a_network_of_its_own_has_a_loopback_and_nothing_else() -> None:
    from load_table.network import CONGESTION_CONTROL, make_network

    with make_network() as network:
        if not network.within:
            pytest.fail(network.told)
        namespace = read_within(network.within, "readlink", "/proc/self/ns/net")
        links = read_within(network.within, "ip", "-o", "link").splitlines()
        control = read_within(network.within, "cat", str(CONGESTION_CONTROL))
        holder = Path("/proc") / network.within[2]
        assert holder.exists()

    assert namespace != read_within((), "readlink", "/proc/self/ns/net")
    assert ["LOOPBACK,UP" in link for link in links] == [True]
    assert control in {"cubic\n", "reno\n"}
    assert network.told == f"a network namespace of its own, without packet filters, with {control.strip()}"
    assert not holder.exists()


def test_where_none_can_be_made_it_is_the_hosts_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from load_table.network import make_network

    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare: not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    for path, why in ((tmp_path / "nowhere", "No such file or directory"), (tmp_path, "unshare: not permitted")):
        monkeypatch.setenv("PATH", f"{path}:/bin" if path == tmp_path else str(path))
        with make_network() as network:
            assert network.within == ()
            assert network.told.startswith("the host's network, with ")
            assert why in network.told
