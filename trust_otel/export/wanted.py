"""Which signals are exported."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry._logs import get_logger_provider
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

from trust_otel.settings import Settings


def spans_wanted(environment: Mapping[str, str]) -> bool:
    """Whether spans are exported: an exporter is configured, or the configuration file has set up a provider."""
    if environment.get("OTEL_CONFIG_FILE"):
        return not isinstance(get_tracer_provider(), ProxyTracerProvider)
    return bool(Settings.from_environment(environment).traces_exporters)


def logs_wanted(environment: Mapping[str, str]) -> bool:
    """Whether log records are exported: an exporter is configured, or the configuration file has set up a provider."""
    if environment.get("OTEL_CONFIG_FILE"):
        return hasattr(get_logger_provider(), "force_flush")  # only the SDK's provider has it
    return bool(Settings.from_environment(environment).logs_exporters)
