"""Exemplars link latency buckets to traces."""

from __future__ import annotations

from pathlib import Path

import httpx

from examples.demo.service import TrustService
from tests.support.running import eventually
from tests.support.services import telemetry
from trust_ops.stack import Addresses

LATENCY = "http_server_request_duration_seconds_bucket"


def test_latency_carries_the_traces_of_requests(tmp_path: Path, addresses: Addresses) -> None:
    settings = {**telemetry(addresses), "OTEL_SERVICE_NAME": "traced", "OTEL_TRACES_EXPORTER": "console"}

    def traces() -> list[str]:
        answer = httpx.get(
            f"{addresses.prometheus}/api/v1/query_exemplars",
            params={"query": f'{LATENCY}{{service_name="traced"}}', "start": "0", "end": "9999999999"},
            trust_env=False,
        ).json()
        return [exemplar["labels"]["trace_id"] for series in answer["data"] for exemplar in series["exemplars"]]

    with TrustService(tmp_path, settings) as service:
        httpx.get(f"{service.url}/healthz", trust_env=False)
        eventually(lambda: len(traces()) > 0, True)
        assert {len(trace) for trace in traces()} == {32}
