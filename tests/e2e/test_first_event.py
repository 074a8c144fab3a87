"""`increase()` includes the first security event of a service."""

import math
import time
from functools import partial

import httpx
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from tests.support.running import eventually
from trust_ops.stack import Addresses, PrometheusClient, Stack
from trust_ops.stack.ports import LOOPBACK
from trust_ops.stack.targets import Target
from trust_otel import TrustServiceMetrics
from trust_otel.export.periodic import PeriodicReader
from trust_otel.export.prometheus.reader import PrometheusReader

_SPAN = SpanContext(trace_id=7, span_id=5, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


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


def test_the_first_incident_of_a_scraped_service_increases(
    stack: Stack, addresses: Addresses, prometheus: PrometheusClient
) -> None:
    reader = PrometheusReader(LOOPBACK, 0)
    provider = MeterProvider(
        [reader], Resource({"service.name": "scraped"}), AlwaysOnExemplarFilter(), shutdown_on_exit=False
    )
    metrics = TrustServiceMetrics(provider)
    try:
        stack.scrape("trust-service-scraped", [Target(f"{LOOPBACK}:{reader.port}")])
        up = 'count_over_time(trust_otel_instance_up{service_name="scraped"}[2m]) >= bool 2'
        eventually(lambda: prometheus.value(up), 1, seconds=60)
        metrics.record_security_incident("forged_certificate", severity="critical")
        with use_span(NonRecordingSpan(_SPAN)), metrics.certificate_operation("signing") as operation:
            operation.fail("hsm_unavailable")
        for series in (
            'trust_security_incidents_total{service_name="scraped"}',
            'trust_certificate_operation_duration_seconds_count{service_name="scraped",error_type="hsm_unavailable"}',
        ):
            # Without the 0 at its start, a series of which every sample is 1 does not increase.
            eventually(partial(prometheus.value, f"sum(increase({series}[2m])) > bool 0"), 1, seconds=60)
        assert prometheus.query('{__name__=~".+_created",service_name="scraped"}') == []
        exemplars = httpx.get(
            f"{addresses.prometheus}/api/v1/query_exemplars",
            params={
                "query": 'trust_certificate_operation_duration_seconds_bucket{service_name="scraped"}',
                "start": "0",
                "end": "9999999999",
            },
            trust_env=False,
        ).json()["data"]
        assert [each["labels"]["trace_id"] for series in exemplars for each in series["exemplars"]] == [f"{7:032x}"]
    finally:
        provider.shutdown()
