"""Metrics without code: the instrumentors that `opentelemetry-instrument` loads.

The entry points lead to functions rather than to classes, for two reasons. When another distro was chosen, its upstream
instrumentations record the same metrics, so ours stay out and nothing counts twice. And a library is instrumented once
the program imports it: a program that does not use a library does not pay for its import.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from wrapt import register_post_import_hook

from trust_otel import distro, settings
from trust_otel.settings import Settings

_logger = logging.getLogger(__name__)


class _Inert:
    """What is loaded when another distro was chosen, or no setting wants the instrumentor."""

    def instrument(self, **kwargs: Any) -> None:
        """Do nothing."""


class _OnImport:
    """Instruments a library when the program imports it, or at once if it is imported already.

    Args:
        library: The module whose import is awaited.
        module: Module of the instrumentor, in `trust_otel`.
        name: Its class.
        more: Methods of the instrumentor to call with other modules, once these are imported.
    """

    def __init__(self, library: str, module: str, name: str, more: Mapping[str, str]) -> None:
        self._library = library
        self._module = module
        self._name = name
        self._more = more

    def instrument(self, **kwargs: Any) -> None:
        """Wait for the imports."""
        register_post_import_hook(lambda _: self._call("instrument", **kwargs), self._library)
        for library, method in self._more.items():
            register_post_import_hook(partial(self._call, method), library)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> None:
        # An exception here would fail the program's import.
        try:
            getattr(_instrumentor(self._module, self._name), method)(*args, **kwargs)
        except Exception:
            _logger.exception("trust-otel: %s is not measured", self._library)


_Loaded: TypeAlias = "BaseInstrumentor | _OnImport | _Inert"


def load_http() -> _Loaded:
    """Instrumentor of Starlette and FastAPI."""
    # FastAPI imports Starlette before it is complete itself.
    return _on_import(
        "starlette.applications", "instrumentation.http", "HttpInstrumentor", fastapi="instrument_fastapi"
    )


def load_grpc() -> _Loaded:
    """Instrumentor of gRPC servers and clients."""
    return _on_import("grpc", "instrumentation.grpc", "GrpcInstrumentor")


def load_sqlalchemy() -> _Loaded:
    """Instrumentor of SQLAlchemy engines."""
    return _on_import("sqlalchemy", "instrumentation.sqlalchemy", "SqlAlchemyInstrumentor")


def load_executors() -> _Loaded:
    """Instrumentor of `concurrent.futures.ThreadPoolExecutor`."""
    return _load("instrumentation.executors", "ExecutorInstrumentor")


def load_cryptography() -> _Loaded:
    """Instrumentor of the X.509 operations of `cryptography`."""
    return _load("instrumentation.cryptography", "CryptographyInstrumentor")


def load_certificates() -> _Loaded:
    """Watcher of the certificates that TRUST_OTEL_CERTIFICATES names."""
    return _load("monitors.certificates", "CertificateInstrumentor", lambda wanted: wanted.certificates)


def load_dependencies() -> _Loaded:
    """Prober of what TRUST_OTEL_DEPENDENCIES names."""
    return _load("monitors.dependencies", "DependencyInstrumentor", lambda wanted: wanted.dependencies)


def load_security() -> _Loaded:
    """Reader of what TRUST_OTEL_GEOIP_DATABASE and TRUST_OTEL_REPUTATION_FEEDS name."""
    return _load(
        "monitors.sources", "SecurityInstrumentor", lambda wanted: wanted.geoip_database or wanted.reputation_feeds
    )


def load_sla_file() -> _Loaded:
    """Reader of the service level agreements that TRUST_OTEL_SLA_FILE names."""
    return _load("monitors.sla_file", "SlaInstrumentor", lambda wanted: wanted.sla_file)


def _load(module: str, name: str, needs: Callable[[Settings], object] = lambda _: True) -> _Loaded:
    """The instrumentor, if this distro was chosen and the settings that it needs are set."""
    if not distro.chosen() or not needs(settings.current()):
        return _Inert()
    return _instrumentor(module, name)


def _on_import(library: str, module: str, name: str, **more: str) -> _Loaded:
    """The instrumentor of a library, if this distro was chosen."""
    return _OnImport(library, module, name, more) if distro.chosen() else _Inert()


def _instrumentor(module: str, name: str) -> BaseInstrumentor:
    instrumentor: BaseInstrumentor = getattr(import_module(f"trust_otel.{module}"), name)()
    return instrumentor
