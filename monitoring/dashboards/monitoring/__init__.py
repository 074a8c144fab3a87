"""The monitoring dashboard: whether what watches the services works itself."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.frame import MONITORING, fill, new_dashboard
from monitoring.dashboards.monitoring import deciding, pipeline, readers, storage


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    frame = new_dashboard(
        MONITORING,
        "Trust service: monitoring",
        "Does everything arrive, is it judged, is somebody told, and who looks? For platform engineers.",
    )
    collection = (
        *(pipeline.targets(), pipeline.targets_over_time()),
        *(pipeline.queue(), pipeline.points(), pipeline.freshness()),
        pipeline.sources(),
    )
    alerts = (
        deciding.watchdog(),
        deciding.rules(),
        deciding.groups(),
        deciding.notifications(),
        deciding.delivery(),
        deciding.alerts(),
    )
    cost = (
        *(storage.memory(), storage.cpu(), storage.ingestion()),
        *(storage.disk(), storage.retention(), storage.storage_failures(), storage.queries()),
    )
    return fill(
        frame,
        {
            "Collection": collection,
            "Alerts": alerts,
            "Cardinality": (storage.cardinality(), storage.lost(), storage.samples()),
            "Cost": cost,
            "Grafana": (readers.users(), readers.views(), readers.data_source()),
        },
    )
