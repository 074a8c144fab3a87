"""The configurator: creates the SDK's objects (resource, views, readers, exporters)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from inspect import signature
from os import environ
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from trust_otel import settings
from trust_otel.background import signals_blocked
from trust_otel.export.otlp import SIGNALS, exporter_class, with_checked_responses
from trust_otel.export.periodic import HEARTBEAT_SECONDS, PeriodicReader
from trust_otel.export.shutdown import shut_down_at_exit
from trust_otel.instrumentation.native_servers import NativeServers
from trust_otel.instrumentation.unmeasured import UnmeasuredFrameworks
from trust_otel.interrupts import interrupt_terminates
from trust_otel.log_safe import error_location
from trust_otel.metrics import is_serving, recorder_of
from trust_otel.metrics.third_party import bound_other_meters
from trust_otel.resource import unique_in_process
from trust_otel.sdk_private import (
    ExactView,
    check_at_collections,
    configure_from_file,
    configure_spans_and_logs,
    make_meter_provider,
    periodic_exports,
    prepare_for_forks,
)
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import ALL as ALL_METRICS
from trust_otel.settings import Limits, Settings
from trust_otel.text import valid_text
from trust_otel.version import __version__

if TYPE_CHECKING:
    from trust_otel.export.processes import ProcessGroup
    from trust_otel.export.prometheus.web_config import WebConfig

_logger = logging.getLogger(__name__)

_UNNAMED_SERVICE = "unknown_service"
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"


class TrustConfigurator:
    """Sets up the SDK from the environment.

    Not a subclass of the SDK's configurator, whose module imports the whole SDK, including spans and logs.
    """

    @interrupt_terminates()
    def configure(self, **kwargs: Any) -> None:
        """Set up the SDK; called by `opentelemetry-instrument`."""
        wanted = settings.current()
        if wanted.sdk_disabled:
            return
        prepare_for_forks()
        if any(_uses_grpc(wanted, signal) for signal in SIGNALS):
            # Unset, some versions log each failed handshake, although its default is ERROR.
            environ.setdefault("GRPC_VERBOSITY", "ERROR")
        with signals_blocked():
            if environ.get("OTEL_CONFIG_FILE"):
                configure_from_file()
            else:
                configure_from_environment(wanted, kwargs.get("auto_instrumentation_version"))
            warn_about_rare_exports()
            connect_other_instrumentations()
            report_what_is_not_measured()
            shut_down_at_exit(wanted.shutdown_timeout)


def _uses_grpc(wanted: Settings, signal: str) -> bool:
    exporters = wanted.exporters_of(signal)
    return "otlp_proto_grpc" in exporters or ("otlp" in exporters and wanted.otlp_protocol_of(signal) == "grpc")


def configure_from_environment(wanted: Settings, auto_instrumentation_version: str | None) -> None:
    """Set up metrics, spans and log records from environment variables."""
    resource = make_resource(auto_instrumentation_version)
    readers = make_readers(wanted)
    if readers:
        fixed_buckets = wanted.histogram_aggregation == settings.EXPLICIT_BUCKETS
        views = make_views(ALL_METRICS.values(), wanted.limits, fixed_buckets=fixed_buckets)
        metrics.set_meter_provider(make_meter_provider(readers, resource, views))
    configure_spans_and_logs(resource)


def warn_about_rare_exports() -> None:
    """Log a warning if metrics are exported so rarely that the alert rules count a healthy service as down."""
    longest = max(periodic_exports(), default=0)
    # With fewer than two exports in the time that the rules look back, one that is late is enough.
    if 2 * longest > HEARTBEAT_SECONDS * 1000:
        where = "the `interval` of the reader in OTEL_CONFIG_FILE" if environ.get("OTEL_CONFIG_FILE") else _INTERVAL
        _logger.warning(
            "trust-otel: metrics are exported every %g s (%s=%.0f), but the alert rules count a service as down after "
            "%d s without an export; set it to %d or less",
            longest / 1000,
            where,
            longest,
            HEARTBEAT_SECONDS,
            HEARTBEAT_SECONDS * 1000 // 3,
        )


def connect_other_instrumentations() -> None:
    """Bound what other instrumentations record."""
    provider = metrics.get_meter_provider()
    if isinstance(provider, MeterProvider):
        bound_other_meters(provider, lambda: recorder_of(None).instruments)


def report_what_is_not_measured() -> None:
    """Look for frameworks and servers that nothing measures whenever a reader collects: programs import some late."""
    provider = metrics.get_meter_provider()
    if isinstance(provider, MeterProvider):
        check_at_collections(provider, UnmeasuredFrameworks().report)
        check_at_collections(provider, NativeServers(is_serving, environ).check)


def make_resource(auto_instrumentation_version: str | None = None) -> Resource:
    """The resource from OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME and the detectors, with `telemetry.distro.*`."""
    attributes = {"telemetry.distro.name": "trust-otel", "telemetry.distro.version": __version__}
    if auto_instrumentation_version:
        attributes["telemetry.auto.version"] = auto_instrumentation_version
    found = Resource.create(attributes)
    valid = {name: valid_text(value) if isinstance(value, str) else value for name, value in found.attributes.items()}
    resource = unique_in_process(Resource(valid, found.schema_url))
    if str(resource.attributes.get("service.name", "")).startswith(_UNNAMED_SERVICE):
        _logger.warning("trust-otel: the service has no name; set OTEL_SERVICE_NAME to distinguish it from others")
    return resource


def make_views(vocabulary: Iterable[Metric], limits: Limits, *, fixed_buckets: bool = True) -> list[View]:
    """A view per metric, with its buckets and attributes, also for instruments of other libraries.

    Args:
        vocabulary: The metrics.
        limits: The limits on labels.
        fixed_buckets: Whether the buckets of a histogram are those of its metric, not those that a reader prefers.
    """
    # The limit of the SDK (from 1.45.2) must be above ours.
    limit = {"aggregation_cardinality_limit": 2 * limits.label_sets + 100}
    accepted: dict[str, Any] = limit if "aggregation_cardinality_limit" in signature(View).parameters else {}
    return [
        ExactView(
            metric.name,
            attribute_keys={attribute.name for attribute in metric.attributes},
            aggregation=_buckets(metric) if fixed_buckets else None,
            **accepted,
        )
        for metric in vocabulary
    ]


def _buckets(metric: Metric) -> ExplicitBucketHistogramAggregation | None:
    return ExplicitBucketHistogramAggregation(metric.buckets) if metric.buckets else None


def make_readers(wanted: Settings) -> list[MetricReader]:
    """A reader per exporter, without those that fail to start, which are logged."""
    return [reader for name in wanted.metrics_exporters if (reader := _reader(name, wanted)) is not None]


def _reader(exporter: str, wanted: Settings) -> MetricReader | None:
    try:
        if exporter == "prometheus":
            return _prometheus_reader(wanted)
        made = with_checked_responses(exporter_class("metrics", exporter)())
        return made if isinstance(made, MetricReader) else PeriodicReader(made)
    except Exception as error:
        _logger.error(
            "trust-otel: metrics are not exported to %r, which failed to start: %s", exporter, error_location(error)
        )
        return None


def _prometheus_reader(wanted: Settings) -> MetricReader | None:
    # Imported here: only this exporter needs an HTTP server.
    from trust_otel.export.prometheus.reader import PrometheusReader

    host, port = wanted.prometheus_host, wanted.prometheus_port
    try:
        web_config = _web_config(wanted.prometheus_web_config)
    except ValueError as error:
        _logger.error(
            "trust-otel: the metrics endpoint does not start: TRUST_OTEL_PROMETHEUS_WEB_CONFIG is invalid: %s", error
        )
        return None
    try:
        return PrometheusReader(
            host,
            port,
            scope_labels=wanted.prometheus_scope_labels,
            web_config=web_config,
            group=_process_group(host, port),
        )
    except OSError as error:
        _logger.error(
            "trust-otel: the metrics endpoint cannot listen on %s:%s (%s); set OTEL_EXPORTER_PROMETHEUS_HOST and "
            "OTEL_EXPORTER_PROMETHEUS_PORT",
            host,
            port,
            error,
        )
        return None


def _web_config(path: str | None) -> WebConfig | None:
    if path is None:
        return None
    # Imported here: only needed where it is set.
    from trust_otel.export.prometheus.web_config import WebConfig

    return WebConfig(path)


def _process_group(host: str, port: int) -> ProcessGroup | None:
    """The processes that share the endpoint: those of the same service with the same address."""
    try:
        from trust_otel.export.processes import join
    except ImportError:  # Windows has no `fcntl`
        return None
    return join(repr((environ.get("OTEL_SERVICE_NAME", ""), host, port)))
