"""The example service under `opentelemetry-instrument`, with load."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from examples.demo.report import Report, settle
from examples.demo.service import TrustService
from examples.demo.sources import PrometheusSource
from testbed.load_generator import LoadConfig, LoadReport, generate_load
from trust_ops.stack import Addresses

SETTLE_SECONDS = 60.0


def telemetry(addresses: Addresses, **more: str) -> dict[str, str]:
    """Variables for a service that exports its metrics to the stack every second."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": addresses.otlp_http,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        **more,
    }


def run_load(service: TrustService, seconds: float, *, rate: float = 30, seed: int = 1) -> LoadReport:
    """Generate load; all responses must be as expected."""
    report = asyncio.run(start_load(service, seconds, rate=rate, seed=seed))
    assert (report.unanswered, report.unexpected) == (0, {})
    return report


def start_load(
    service: TrustService, seconds: float, *, rate: float = 30, seed: int = 1, scenario: str | None = None
) -> Coroutine[Any, Any, LoadReport]:
    """The same as a coroutine."""
    config = LoadConfig(
        url=service.url,
        admin_token=service.admin_token,
        grpc_target=service.grpc_target,
        rate=rate,
        duration_seconds=seconds,
        seed=seed,
        scenario=scenario,
        vault_url=service.vault_url,
        vault_token=service.vault_token,
    )
    return generate_load(config)


def arrived(addresses: Addresses, expected_totals: Mapping[str, float]) -> Report:
    """Wait until Prometheus has the expected totals, at most until the timeout; returns the comparison."""
    return settle(PrometheusSource(addresses.prometheus), {}, expected_totals, SETTLE_SECONDS, lambda: None)
