"""Metrics without code: the instrumentors that `opentelemetry-instrument` loads.

The entry points are functions instead of classes, for two reasons. If another distro was chosen, its instrumentations
record the same metrics, so these must not load, or every request counts twice. And a library is instrumented when the
program imports it, so that a library that is not used costs no import.
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


class _Disabled:
    """Loaded instead of an instrumentor if another distro was chosen or the setting that it needs is unset."""

    def instrument(self, **kwargs: Any) -> None:
        """Do nothing."""


class _OnImport:
    """Instruments a library when the program imports it, or at once if it is imported already.

    Args:
        library: The module to wait for.
        module: Module of the instrumentor, in `trust_otel`.
        name: Class of the instrumentor.
        more: Methods of the instrumentor by module; each is called when the program imports that module.
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
        # An exception here would break the import in the program.
        try:
            getattr(_instrumentor(self._module, self._name), method)(*args, **kwargs)
        except Exception:
            _logger.exception("trust-otel: %s is not measured", self._library)


_Loaded: TypeAlias = "BaseInstrumentor | _OnImport | _Disabled"


def load_http() -> _Loaded:
    """Instrumentor of Starlette and FastAPI."""
    # FastAPI imports Starlette before its own import is complete.
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


def load_pkcs11() -> _Loaded:
    """Instrumentor of HSMs that are used with python-pkcs11."""
    return _on_import("pkcs11", "instrumentation.pkcs11", "Pkcs11Instrumentor")


def load_certificates() -> _Loaded:
    """Monitor of the certificates in TRUST_OTEL_CERTIFICATES."""
    return _load("monitors.certificates", "CertificateInstrumentor", lambda wanted: wanted.certificates)


def load_dependencies() -> _Loaded:
    """Monitor of the dependencies in TRUST_OTEL_DEPENDENCIES."""
    return _load("monitors.dependencies", "DependencyInstrumentor", lambda wanted: wanted.dependencies)


def load_clock() -> _Loaded:
    """Comparison of the clock with TRUST_OTEL_TIME_SERVERS."""
    return _load("monitors.clock", "ClockInstrumentor", lambda wanted: wanted.time_servers)


def load_ct_feed() -> _Loaded:
    """Reader of the certificates that a monitor of certificate transparency found, in TRUST_OTEL_CT_FEED."""
    return _load("monitors.ct_feed", "CtFeedInstrumentor", lambda wanted: wanted.ct_feed)


def load_trust_lists() -> _Loaded:
    """Monitor of the lists of trust anchors in TRUST_OTEL_TRUST_LISTS."""
    return _load("monitors.trust_lists", "TrustListInstrumentor", lambda wanted: wanted.trust_lists)


def load_security() -> _Loaded:
    """Loader of TRUST_OTEL_GEOIP_DATABASE and TRUST_OTEL_REPUTATION_FEEDS."""
    return _load(
        "monitors.sources", "SecurityInstrumentor", lambda wanted: wanted.geoip_database or wanted.reputation_feeds
    )


def load_sla_file() -> _Loaded:
    """Evaluation of the SLAs in TRUST_OTEL_SLA_FILE."""
    return _load("monitors.sla_file", "SlaInstrumentor", lambda wanted: wanted.sla_file)


def load_business_metrics_file() -> _Loaded:
    """The KPIs in TRUST_OTEL_BUSINESS_METRICS_FILE."""
    return _load(
        "monitors.business_metrics_file", "BusinessMetricsInstrumentor", lambda wanted: wanted.business_metrics_file
    )


def load_key_policy_file() -> _Loaded:
    """The policies of keys in TRUST_OTEL_KEY_POLICY_FILE."""
    return _load("monitors.key_policy_file", "KeyPolicyInstrumentor", lambda wanted: wanted.key_policy_file)


def _load(module: str, name: str, needs: Callable[[Settings], object] = lambda _: True) -> _Loaded:
    """The instrumentor, if this distro was chosen and the settings that it needs are set."""
    if not distro.chosen() or not needs(settings.current()):
        return _Disabled()
    return _instrumentor(module, name)


def _on_import(library: str, module: str, name: str, **more: str) -> _Loaded:
    """The instrumentor of a library, if this distro was chosen."""
    return _OnImport(library, module, name, more) if distro.chosen() else _Disabled()


def _instrumentor(module: str, name: str) -> BaseInstrumentor:
    instrumentor: BaseInstrumentor = getattr(import_module(f"trust_otel.{module}"), name)()
    return instrumentor
