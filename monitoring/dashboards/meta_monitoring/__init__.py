"""The monitoring dashboard: whether what watches the services works itself."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.meta_monitoring import alerting, grafana_usage, pipeline, storage
from monitoring.dashboards.template import MONITORING, fill, new_dashboard


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
        alerting.watchdog(),
        alerting.rules(),
        alerting.groups(),
        alerting.notifications(),
        alerting.delivery(),
        alerting.alerts(),
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
            "Grafana": (grafana_usage.users(), grafana_usage.views(), grafana_usage.data_source()),
        },
    )
