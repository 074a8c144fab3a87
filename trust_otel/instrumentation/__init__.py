"""Metrics without code: what `opentelemetry-instrument` loads.

The entry points lead here rather than to the classes. Beside another distro, whose upstream instrumentations record
the same metrics, ours stay out, so that nothing counts twice.
"""

from __future__ import annotations

import logging
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import distro

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
