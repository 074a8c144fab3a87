"""`TrustServiceMetrics`: one object, one method per thing that happens in a trust service."""

from __future__ import annotations

import threading

from opentelemetry.metrics import MeterProvider

from trust_otel import settings
from trust_otel.metrics.business import BusinessMetrics
from trust_otel.metrics.certificate import CertificateMetrics
from trust_otel.metrics.database import DatabaseMetrics
from trust_otel.metrics.dependency import DependencyMetrics
from trust_otel.metrics.executor import ExecutorMetrics
from trust_otel.metrics.http import HttpMetrics
from trust_otel.metrics.rpc import RpcMetrics
from trust_otel.metrics.security import SecurityMetrics
from trust_otel.metrics.session import SessionMetrics
from trust_otel.metrics.source import SourceMetrics
from trust_otel.recording.instruments import shared_instruments

__all__ = ["TrustServiceMetrics", "get_metrics"]


class TrustServiceMetrics(
    HttpMetrics,
    CertificateMetrics,
    SecurityMetrics,
    SessionMetrics,
    BusinessMetrics,
    RpcMetrics,
    DatabaseMetrics,
    DependencyMetrics,
    ExecutorMetrics,
    SourceMetrics,
):
    """Records everything that a trust service does. No method raises because of what it is given.

    Args:
        meter_provider: Where the metrics go; OpenTelemetry's global provider by default, also when it is set later.
        limits: Bounds on labels; from the environment by default.
    """

    def __init__(self, meter_provider: MeterProvider | None = None, *, limits: settings.Limits | None = None) -> None:
        super().__init__(shared_instruments(limits or settings.limits(), meter_provider))


_metrics: TrustServiceMetrics | None = None
_lock = threading.Lock()


def get_metrics() -> TrustServiceMetrics:
    """The process's one `TrustServiceMetrics`."""
    global _metrics
    if _metrics is None:
        with _lock:
            if _metrics is None:
                _metrics = TrustServiceMetrics()
    return _metrics
