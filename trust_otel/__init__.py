"""OpenTelemetry distribution for services that issue, validate and sign certificates and documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_otel.version import __version__

if TYPE_CHECKING:
    from trust_otel.metrics import TrustServiceMetrics, get_metrics

__all__ = ["TrustServiceMetrics", "__version__", "get_metrics"]


def __getattr__(name: str) -> Any:
    # Imported on first use: every process under `opentelemetry-instrument` imports this package.
    if name in ("TrustServiceMetrics", "get_metrics"):
        from trust_otel import metrics

        return getattr(metrics, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
