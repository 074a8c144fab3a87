"""Prometheus stores the samples of an instance whose clock is off, and the recorded time shows by how much."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.integration.test_first_event_alerts import prometheus_without_start_times, quick_configuration
from trust_ops.stack import PrometheusClient

_DIFFERENCE = 'service_instance:trust_otel_instance_up:timestamp{service_name="signer"} - time()'


def _heartbeat(at: float) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for name in ("service.name", "service.instance.id"):
        resource.resource.attributes.add(key=name).value.string_value = "signer"
    metric = resource.scope_metrics.add().metrics.add(name="trust.otel.instance.up", unit="{instance}")
    metric.gauge.data_points.add(as_double=1, time_unix_nano=int(at * 1e9))
    return request.SerializeToString()


@pytest.mark.parametrize("off", [-120, 0, 120])
def test_the_recorded_time_is_that_of_the_instances_clock(off: float, tmp_path: Path) -> None:
    configuration = quick_configuration(tmp_path / "configuration")
    with prometheus_without_start_times(configuration) as url, PrometheusClient(url) as prometheus:
        for _ in range(4):
            httpx.post(
                f"{url}/api/v1/otlp/v1/metrics",
                content=_heartbeat(time.time() + off),
                headers={"content-type": "application/x-protobuf"},
                trust_env=False,
            ).raise_for_status()
            time.sleep(1)
        assert prometheus.value(_DIFFERENCE) == pytest.approx(off, abs=5)
        assert (
            prometheus.value(
                'delta(service_instance:trust_otel_instance_up:timestamp{service_name="signer"}[2m]) > bool 0'
            )
            == 1
        )
