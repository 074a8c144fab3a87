"""OpenTelemetry distribution for services that issue, validate and sign certificates and documents."""

from trust_otel.metrics import TrustServiceMetrics, get_metrics
from trust_otel.version import __version__

__all__ = ["TrustServiceMetrics", "__version__", "get_metrics"]
