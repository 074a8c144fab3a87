"""`increase()` includes the first security event of a service."""

import math
import time

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from tests.support.running import eventually
from trust_ops.stack import Addresses, PrometheusClient
from trust_otel import TrustServiceMetrics
from trust_otel.export.periodic import PeriodicReader


def test_the_first_incident_of_a_service_that_has_run_for_a_while_increases(
    addresses: Addresses, prometheus: PrometheusClient
) -> None:
    exporter = OTLPMetricExporter(endpoint=f"{addresses.otlp_http}/v1/metrics")
    reader = PeriodicReader(exporter, export_interval_millis=math.inf)
    provider = MeterProvider([reader], Resource({"service.name": "quiet"}), shutdown_on_exit=False)
    metrics = TrustServiceMetrics(provider)
    try:
        for _ in range(3):
            assert provider.force_flush()
            time.sleep(2)
        metrics.record_security_incident("forged_certificate", severity="critical")
        with metrics.certificate_operation("signing") as operation:
            operation.fail("hsm_unavailable")
        assert provider.force_flush()
        # Much shorter than the service's age: the 0 is right before the event, not at the start of the process.
        first = 'increase(trust_security_incidents_total{service_name="quiet"}[4s]) > bool 0'
        eventually(lambda: prometheus.value(first), 1, seconds=3)
        failed = '{service_name="quiet",error_type="hsm_unavailable"}'
        first = f"increase(trust_certificate_operation_duration_seconds_count{failed}[10s]) > bool 0"
        assert prometheus.value(first) == 1
    finally:
        provider.shutdown()
