"""Metrics without code: what `opentelemetry-instrument` loads.

The entry points lead here rather than to the classes. Beside another distro, whose upstream instrumentations record
the same metrics, ours stay out, so that nothing counts twice.
"""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import distro, settings

_logger = logging.getLogger(__name__)


class _Inert:
    """What is loaded when another distro was chosen."""

    def instrument(self, **kwargs: Any) -> None:
        """Do nothing."""


def load_http() -> BaseInstrumentor | _Inert:
    """Instrumentor of Starlette and FastAPI."""
    if not distro.chosen():
        return _Inert()
    from trust_otel.instrumentation.http import HttpInstrumentor

    return HttpInstrumentor()


def load_grpc() -> BaseInstrumentor | _Inert:
    """Instrumentor of gRPC servers and clients."""
    if not distro.chosen():
        return _Inert()
    from trust_otel.instrumentation.grpc import GrpcInstrumentor

    return GrpcInstrumentor()


def load_sqlalchemy() -> BaseInstrumentor | _Inert:
    """Instrumentor of SQLAlchemy engines."""
    if not distro.chosen():
        return _Inert()
    from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor

    return SqlAlchemyInstrumentor()


def load_executors() -> BaseInstrumentor | _Inert:
    """Instrumentor of `concurrent.futures.ThreadPoolExecutor`."""
    if not distro.chosen():
        return _Inert()
    from trust_otel.instrumentation.executors import ExecutorInstrumentor

    return ExecutorInstrumentor()


def load_cryptography() -> BaseInstrumentor | _Inert:
    """Instrumentor of the X.509 operations of `cryptography`."""
    if not distro.chosen():
        return _Inert()
    from trust_otel.instrumentation.cryptography import CryptographyInstrumentor

    return CryptographyInstrumentor()


def load_certificates() -> BaseInstrumentor | _Inert:
    """Watcher of the certificates that TRUST_OTEL_CERTIFICATES names."""
    if not (distro.chosen() and settings.value("TRUST_OTEL_CERTIFICATES")):
        return _Inert()
    from trust_otel.instrumentation.certificates import CertificateInstrumentor

    return CertificateInstrumentor()


def load_dependencies() -> BaseInstrumentor | _Inert:
    """Prober of what TRUST_OTEL_DEPENDENCIES names."""
    if not (distro.chosen() and settings.value("TRUST_OTEL_DEPENDENCIES")):
        return _Inert()
    from trust_otel.instrumentation.dependencies import DependencyInstrumentor

    return DependencyInstrumentor()


def load_security() -> BaseInstrumentor | _Inert:
    """Reader of what TRUST_OTEL_GEOIP_DATABASE and TRUST_OTEL_REPUTATION_FEEDS name."""
    wanted = settings.value("TRUST_OTEL_GEOIP_DATABASE") or settings.value("TRUST_OTEL_REPUTATION_FEEDS")
    if not (distro.chosen() and wanted):
        return _Inert()
    from trust_otel.instrumentation.security import SecurityInstrumentor

    return SecurityInstrumentor()


def load_agreements() -> BaseInstrumentor | _Inert:
    """Reader of the service level agreements that TRUST_OTEL_SLA_FILE names."""
    if not (distro.chosen() and settings.value("TRUST_OTEL_SLA_FILE")):
        return _Inert()
    from trust_otel.instrumentation.agreements import AgreementInstrumentor

    return AgreementInstrumentor()
