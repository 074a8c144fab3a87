"""Requests with arbitrary content create no new series."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from examples.demo.service import TrustService
from testbed.load_generator import send_fuzzed_requests
from trust_ops.stack.ports import free_ports


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[TrustService, str]]:
    (port,) = free_ports(1)
    telemetry = {
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
    }
    with TrustService(tmp_path, telemetry) as service:
        yield service, f"http://127.0.0.1:{port}/metrics"


def _series(url: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(httpx.get(url, trust_env=False).text)
        for sample in family.samples
    }


def test_ten_thousand_hostile_requests_add_no_series(endpoint: tuple[TrustService, str]) -> None:
    service, url = endpoint
    # These requests create all combinations of the service's routes, known methods and statuses.
    asyncio.run(send_fuzzed_requests(service.url, 5_000, seed=1))
    # The first scrape creates the series of what is observed, such as pools; the overflow of those follows.
    _series(url)
    before = _series(url)
    answers = asyncio.run(send_fuzzed_requests(service.url, 10_000, seed=2))
    assert sum(answers.values()) == 10_000
    assert _series(url) - before == set()
