"""Preview of the dashboards in monitoring/grafana without a Grafana server."""

from tools.preview.building import BuildFailed
from tools.preview.server import Preview

__all__ = ["BuildFailed", "Preview"]
