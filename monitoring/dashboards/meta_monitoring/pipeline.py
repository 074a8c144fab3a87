"""Data collection: scrape targets, Collector, data freshness and input sources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from grafana_foundation_sdk.builders import bargauge, statetimeline, table, timeseries

from monitoring.alerts import threshold
from monitoring.dashboards.panels import (
    Column,
    PanelText,
    Query,
    bar_gauge_panel,
    state_timeline_panel,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import highest, increase, recorded, series, total, with_base_name, with_label
from monitoring.dashboards.thresholds import NONE_ALLOWED, UP, falling, rising
from trust_otel.semconv.metrics import (
    TRUST_DEPENDENCY_CHECK_DURATION,
    TRUST_OTEL_INSTANCE_UP,
    TRUST_OTEL_SOURCE_LAST_READ,
    TRUST_OTEL_SOURCE_UP,
)

_SOURCE: Final = ("service_name", "trust_otel_source_kind", "trust_otel_source_name")
_DEPENDENCY: Final = {"trust_dependency_type": "Type", "trust_dependency_name": "Dependency"}
_QUEUE_LIMIT = threshold("TrustCollectorQueueFilling")
_CLOCK_LIMIT = threshold("TrustInstanceClockOff")
# Two export intervals.
_LATE_SECONDS = 30
_SCRAPE_TIMEOUT = 5
_SAMPLE_TIME = f"timestamp({series(TRUST_OTEL_INSTANCE_UP)})"
_RECORDED_TIME = recorded("service_instance:trust_otel_instance_up:timestamp", 'service_instance_id=~"$instance"')
# The second half keeps a service that has not reported for more than five minutes.
_NEWEST: Final = (
    f"max by (service_name) ({_SAMPLE_TIME}) or max by (service_name) (max_over_time({_SAMPLE_TIME}[1h:1m]))"
)


def scrape_targets() -> table.Panel:
    """Scrape targets and their state."""
    return table_panel(
        PanelText(
            1,
            "Scrape targets",
            "All targets that Prometheus scrapes. Services are not among them: they push to the Collector.",
            "Down: check the process, and the network between Prometheus and the target. Scrape duration near the "
            "timeout of 5 s: the target is about to go down.",
            "Prometheus scrapes no target, not even itself.",
            alerts=("TrustMonitoringTargetDown",),
        ),
        {"job": "Job", "instance": "Target"},
        (
            # Inverted, so that sorting puts the targets that are down first.
            Column(
                "State",
                # A Collector that service discovery dropped, as long as none is up.
                "1 - max by (job, instance) (up) or "
                'group by (job, instance) (last_over_time(up{job="otel-collector"}[1d])) unless on (job) up == 1',
                "none",
                levels=NONE_ALLOWED,
                texts={"0": ("up", "green"), "1": ("down", "red")},
            ),
            Column(
                "Scrape duration",
                "max by (job, instance) (scrape_duration_seconds)",
                "s",
                levels=rising(yellow=_SCRAPE_TIMEOUT / 5, red=_SCRAPE_TIMEOUT),
            ),
            Column("Samples", "max by (job, instance) (scrape_samples_scraped)", "short"),
        ),
        sort="State",
        width=12,
        height=9,
    )


def scrape_targets_over_time() -> statetimeline.Panel:
    """State of the scrape targets by job."""
    return state_timeline_panel(
        PanelText(
            37,
            "Scrape targets over time",
            "Whether all targets of a job are up.",
            "Several jobs down at the same time: check the network and Prometheus. One job flapping: its process "
            "restarts, or its scrapes take close to the timeout.",
            "Prometheus scrapes no target, not even itself.",
            alerts=("TrustMonitoringTargetDown",),
        ),
        (Query("{{job}}", "min by (job) (up)"),),
        height=9,
    )


def collector_queue() -> timeseries.Panel:
    """Utilisation of the Collector queues."""
    return time_series_panel(
        PanelText(
            2,
            "Collector queue utilisation",
            "Size of an exporter's persistent queue as a share of its capacity; the five fullest queues. They are "
            "empty while Prometheus accepts the data. Damaged queue files (right axis) hold undelivered data.",
            "Rising: Prometheus is down, slow or refuses the data. At 100 % data is dropped; filling up takes hours.",
            "No Collector is scraped.",
            alerts=("TrustCollectorQueueFilling", "TrustCollectorQueueDamaged"),
        ),
        "percentunit",
        (
            Query(
                "{{instance}} {{exporter}}",
                highest(
                    "max by (instance, exporter) (otelcol_exporter_queue_size)"
                    " / (max by (instance, exporter) (otelcol_exporter_queue_capacity) > 0)",
                ),
            ),
            Query("{{instance}} damaged files", "max by (instance) (otelcol_queue_damaged_files)", "none"),
        ),
        levels=rising(red=_QUEUE_LIMIT),
        width=8,
    )


# As in TrustCollectorCannotDeliver: `otlp/self` receives what a Collector measures of itself, and what an agent passes
# to a gateway has not arrived yet.
_OF_OTHERS = 'receiver!="otlp/self"'
_TO_A_STORE = 'exporter=~"otlp.*|prometheus_remote_write.*", exporter!="otlp_grpc/gateway"'


def collector_data_points() -> timeseries.Panel:
    """Data points that pass through the Collector."""
    lost = (
        ("refused at {{receiver}}", "receiver", "otelcol_receiver_refused_metric_points_total"),
        ("dropped, rejected by {{exporter}}", "exporter", "otelcol_exporter_send_failed_metric_points_total"),
        ("dropped, queue full of {{exporter}}", "exporter", "otelcol_exporter_enqueue_failed_metric_points_total"),
    )
    return time_series_panel(
        PanelText(
            3,
            "Collector data points",
            "Data points accepted, delivered, refused and dropped by the Collector. Refused and dropped must be 0.",
            "Refused: the Collector is short of memory; services retry for a while. Dropped: the data is lost; the "
            "Collector log has the reason.",
            "No Collector is scraped.",
            alerts=("TrustCollectorCannotDeliver", "TrustCollectorRefusesData", "TrustCollectorDropsData"),
        ),
        "cps",
        (
            Query("accepted", _rate(f"otelcol_receiver_accepted_metric_points_total{{{_OF_OTHERS}}}"), colour="green"),
            Query("delivered", _rate(f"otelcol_exporter_sent_metric_points_total{{{_TO_A_STORE}}}"), colour="blue"),
            *(Query(f"{{{{instance}}}} {name}", _loss(metric, by), colour="red") for name, by, metric in lost),
        ),
        width=8,
    )


def _rate(metric: str) -> str:
    # Some counters exist only after their first event: until then 0, if the Collector is scraped.
    return f'sum(rate({metric}[$__rate_interval])) or sum(up{{job="otel-collector"}} == 1) * 0'


def _loss(metric: str, by: str) -> str:
    # As in `_rate`, by Collector. A rate misses what a new counter has counted before its first sample: for 5 minutes,
    # it is shown as a mean.
    return (
        f"sum by (instance, {by}) (rate({metric}[$__rate_interval]) > 0 or ({metric} unless {metric} offset 5m) / 300)"
        ' or on (instance) sum by (instance) (up{job="otel-collector"} == 1) * 0'
    )


def freshness() -> bargauge.Panel:
    """Age of the newest sample of each service."""
    return bar_gauge_panel(
        PanelText(
            20,
            "Age of newest sample",
            "Time since the last sample of each service, over all instances, and the largest difference between the "
            "time of an instance's samples and Prometheus' clock. Services export every 15 s.",
            "Old for all services: check the Collector and its connection to Prometheus. Old for one service: check "
            "the service and its connection to the Collector.",
            "No service reports data.",
            alerts=("TrustInstanceClockOff",),
        ),
        "s",
        (
            Query("{{service_name}}", f"time() - ({_NEWEST})"),
            Query("{{service_name}}: most in one instance", f"max by (service_name) (abs({_RECORDED_TIME} - time()))"),
        ),
        levels=rising(yellow=_LATE_SECONDS, red=_CLOCK_LIMIT),
        names_above=True,
        width=8,
    )


def _with_none(query: str, labels: Iterable[str]) -> str:
    """The query with these labels, which its series do not have: the rows of a table have all keys."""
    for label in labels:
        query = with_label(query, label, "-")
    return query


def input_sources() -> table.Panel:
    """State and age of the input sources."""
    keys = ", ".join(_SOURCE)
    return table_panel(
        PanelText(
            7,
            "Input sources of services",
            "Files and endpoints that services read: certificates, revocation lists, reputation feeds, GeoIP "
            "databases, SLA files. Below, the dependencies that they check every 15 s, with the checks of 15 minutes.",
            "Unreadable: run `trust-otel doctor` on the host of the service. Old: the provider of the source no "
            "longer updates it.",
            "No service reads a file or an endpoint.",
            alerts=("TrustSourceUnreadable", "TrustCertificateInventoryStale", "TrustSourceNotChecked"),
        ),
        {
            "service_name": "Service",
            "trust_otel_source_kind": "Kind",
            "trust_otel_source_name": "Source",
            **_DEPENDENCY,
        },
        (
            Column(
                "State",
                _with_none(
                    f"min by ({keys}) ({with_base_name(series(TRUST_OTEL_SOURCE_UP), _SOURCE[-1])})", _DEPENDENCY
                ),
                "none",
                levels=UP,
                texts={"1": ("read", "green"), "0": ("unreadable", "red")},
            ),
            Column(
                "Last read",
                _with_none(
                    f"time() - max by ({keys}) ({with_base_name(series(TRUST_OTEL_SOURCE_LAST_READ), _SOURCE[-1])})",
                    _DEPENDENCY,
                ),
                "s",
            ),
            Column(
                "Checks",
                _with_none(
                    total(
                        increase(TRUST_DEPENDENCY_CHECK_DURATION, part="_count", over="15m"),
                        *("service_name", *_DEPENDENCY),
                    ),
                    _SOURCE[1:],
                ),
                "none",
                levels=falling(red=1),
                width=70,
            ),
        ),
        sort="Last read",
        key_widths={"Service": 150, "Kind": 100},
    )
