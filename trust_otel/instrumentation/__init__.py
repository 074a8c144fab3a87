"""Metrics without code: what `opentelemetry-instrument` loads.

The entry points lead here rather than to the classes. Beside another distro, whose upstream instrumentations record
the same metrics, ours stay out, so that nothing counts twice.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import distro, settings


class _Inert:
    """What is loaded when another distro was chosen, or no setting wants the instrumentor."""

    def instrument(self, **kwargs: Any) -> None:
        """Do nothing."""


def load_http() -> BaseInstrumentor | _Inert:
    """Instrumentor of Starlette and FastAPI."""
    return _load("http", "HttpInstrumentor")


def load_grpc() -> BaseInstrumentor | _Inert:
    """Instrumentor of gRPC servers and clients."""
    return _load("grpc", "GrpcInstrumentor")


def load_sqlalchemy() -> BaseInstrumentor | _Inert:
    """Instrumentor of SQLAlchemy engines."""
    return _load("sqlalchemy", "SqlAlchemyInstrumentor")


def load_executors() -> BaseInstrumentor | _Inert:
    """Instrumentor of `concurrent.futures.ThreadPoolExecutor`."""
    return _load("executors", "ExecutorInstrumentor")


def load_cryptography() -> BaseInstrumentor | _Inert:
    """Instrumentor of the X.509 operations of `cryptography`."""
    return _load("cryptography", "CryptographyInstrumentor")


def load_certificates() -> BaseInstrumentor | _Inert:
    """Watcher of the certificates that TRUST_OTEL_CERTIFICATES names."""
    return _load("certificates", "CertificateInstrumentor", "TRUST_OTEL_CERTIFICATES")


def load_dependencies() -> BaseInstrumentor | _Inert:
    """Prober of what TRUST_OTEL_DEPENDENCIES names."""
    return _load("dependencies", "DependencyInstrumentor", "TRUST_OTEL_DEPENDENCIES")


def load_security() -> BaseInstrumentor | _Inert:
    """Reader of what TRUST_OTEL_GEOIP_DATABASE and TRUST_OTEL_REPUTATION_FEEDS name."""
    return _load("security", "SecurityInstrumentor", "TRUST_OTEL_GEOIP_DATABASE", "TRUST_OTEL_REPUTATION_FEEDS")


def load_agreements() -> BaseInstrumentor | _Inert:
    """Reader of the service level agreements that TRUST_OTEL_SLA_FILE names."""
    return _load("agreements", "AgreementInstrumentor", "TRUST_OTEL_SLA_FILE")


def _load(module: str, name: str, *wanted_by: str) -> BaseInstrumentor | _Inert:
    """The instrumentor, if this distro was chosen and, where settings want it, one of them is set."""
    if not distro.chosen() or (wanted_by and not any(settings.value(setting) for setting in wanted_by)):
        return _Inert()
    instrumentor: BaseInstrumentor = getattr(import_module(f"{__name__}.{module}"), name)()
    return instrumentor
