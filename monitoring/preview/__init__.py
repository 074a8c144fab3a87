"""Look at the dashboards in monitoring/grafana without a Grafana server."""

from monitoring.preview.building import BuildFailed
from monitoring.preview.server import Preview

__all__ = ["BuildFailed", "Preview"]
