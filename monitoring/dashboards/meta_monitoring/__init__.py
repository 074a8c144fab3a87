"""The meta-monitoring dashboard: whether the monitoring stack itself works."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.meta_monitoring import alerting, grafana_usage, pipeline, storage
from monitoring.dashboards.template import MONITORING, add_rows, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    empty = new_dashboard(
        MONITORING,
        "Trust service: meta-monitoring",
        "Is data arriving, are rules evaluated, are alerts delivered, who uses the dashboards? For platform engineers.",
    )
    collection = (
        # First what a phone shows without scrolling: whether data arrives.
        *(pipeline.freshness(), pipeline.collector_queue(), pipeline.collector_data_points()),
        *(pipeline.scrape_targets(), pipeline.scrape_targets_over_time()),
        pipeline.input_sources(),
    )
    alerts = (
        alerting.watchdog(),
        alerting.rule_evaluation_failures(),
        alerting.slowest_rule_groups(),
        alerting.alert_notifications(),
        alerting.notification_delivery(),
        alerting.alerts_and_silences(),
    )
    resource_usage = (
        *(storage.memory_usage(), storage.cpu_usage(), storage.ingestion()),
        *(storage.disk_usage(), storage.retention(), storage.storage_failures(), storage.query_latency()),
    )
    return add_rows(
        empty,
        {
            "Collection": collection,
            "Alerting": alerts,
            "Cardinality": (storage.series_by_metric(), storage.overflow_and_drops(), storage.samples_per_scrape()),
            "Resource usage": resource_usage,
            "Grafana": (
                grafana_usage.grafana_users(),
                grafana_usage.dashboard_views(),
                grafana_usage.data_source_requests(),
            ),
        },
    )
