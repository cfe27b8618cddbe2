"""Counters of a page in Prometheus' text format."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlsplit

from seatrial.endpoint import Endpoint

PATH = "/metrics"
_TIMEOUT_S = 10.0
# prometheus.io/docs/instrumenting/exposition_formats: name, labels, value, and a time that may follow.
_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*(?:\{.*\})?)[ \t]+(\S+)(?:[ \t]+-?\d+)?")


def read_samples(endpoint: Endpoint) -> dict[str, float]:
    """Return the samples of an endpoint's page by name and labels.

    Raises:
        OSError, http.client.HTTPException: it cannot be asked.
        ValueError: the status is not 200, or a line is no sample.
    """
    parts = urlsplit(endpoint.address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
        page = response.read().decode()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise ValueError(f"GET {PATH} has status {response.status}")
    return parse_samples(page)


def parse_samples(page: str) -> dict[str, float]:
    """Return samples by name and labels. Raises ValueError for a line that is none."""
    samples = {}
    for line in page.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line.strip())
        if not found:
            raise ValueError(f"{line!r} is no sample")
        samples[found[1]] = float(found[2])
    return samples
