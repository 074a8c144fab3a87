"""Whether measurements arrive: targets, Collector, freshness, sources."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import bargauge, statetimeline, table, timeseries

from monitoring.dashboards.panels import About, Column, Signal, bars, rows, states, trend
from monitoring.dashboards.queries import file_name, series
from monitoring.dashboards.thresholds import NONE_ALLOWED, UP, limit, rising
from trust_otel.semconv.metrics import TRUST_OTEL_INSTANCE_UP, TRUST_OTEL_SOURCE_LAST_READ, TRUST_OTEL_SOURCE_UP

_SOURCE: Final = ("service_name", "trust_otel_source_kind", "trust_otel_source_name")
_QUEUE_LIMIT = limit("TrustCollectorQueueFilling", "otelcol_exporter_queue_size")
# Four exports, as long as rules wait.
_STALE_SECONDS = 60
_SCRAPE_TIMEOUT = 5
_HEARD = f"timestamp({series(TRUST_OTEL_INSTANCE_UP)})"
# The second half keeps a service in sight that has been silent for more than five minutes.
_NEWEST: Final = f"max by (service_name) ({_HEARD}) or max by (service_name) (max_over_time({_HEARD}[1h:1m]))"


def targets() -> table.Panel:
    """1."""
    return rows(
        About(
            1,
            "Targets",
            "Everything that Prometheus scrapes. Services push to the Collector and are not among them.",
            "Down: does the process run, and does the network let Prometheus through? Near the time-out (5 s): it is "
            "about "
            "to be missed.",
            "Prometheus scrapes nothing, not even itself.",
            alerts=("TrustMonitoringTargetDown",),
        ),
        {"job": "Job", "instance": "Target"},
        (
            # Turned round, so that what is down comes first: a refused scrape takes no time and would come last.
            Column(
                "State",
                "1 - max by (job, instance) (up)",
                "none",
                levels=NONE_ALLOWED,
                words={"0": ("up", "green"), "1": ("down", "red")},
            ),
            Column(
                "Scrape takes",
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


def targets_over_time() -> statetimeline.Panel:
    """Since when one is down."""
    return states(
        About(
            37,
            "Targets over time",
            "Whether all targets of a job could be scraped.",
            "Several at the same time: the network or Prometheus itself. One again and again: its process restarts, or "
            "its scrape comes close to the time-out.",
            "Prometheus scrapes nothing, not even itself.",
            alerts=("TrustMonitoringTargetDown",),
        ),
        (Signal("{{job}}", "min by (job) (up)"),),
        height=9,
    )


def queue() -> timeseries.Panel:
    """2."""
    return trend(
        About(
            2,
            "Collector queue",
            "How full the queue of each exporter is. It is on disk, and empty while Prometheus takes what it is given.",
            "It fills: Prometheus is down, slow, or refuses. At 100 % data is lost; there are hours until then.",
            "No Collector is scraped.",
            alerts=("TrustCollectorQueueFilling", "TrustCollectorCannotDeliver", "TrustCollectorQueueDamaged"),
        ),
        "percentunit",
        (
            Signal(
                "{{instance}} {{exporter}}",
                "max by (instance, exporter) (otelcol_exporter_queue_size)"
                " / max by (instance, exporter) (otelcol_exporter_queue_capacity)",
            ),
        ),
        levels=rising(red=_QUEUE_LIMIT),
        most=1,
        width=8,
    )


def points() -> timeseries.Panel:
    """3."""
    lost = (
        ("refused", "otelcol_receiver_refused_metric_points_total"),
        ("dropped: Prometheus refused", "otelcol_exporter_send_failed_metric_points_total"),
        ("dropped: queue full", "otelcol_exporter_enqueue_failed_metric_points_total"),
    )
    return trend(
        About(
            3,
            "Refused and dropped data",
            "Data points that the Collector accepted and delivered, and those that it refused or dropped, which must "
            "be none.",
            "Refused: the Collector is short of memory; services try again for a while. Dropped: gone for good; its "
            "log says why.",
            "No Collector is scraped.",
            alerts=("TrustCollectorRefusesData", "TrustCollectorDropsData"),
        ),
        "cps",
        (
            Signal("accepted", _rate("otelcol_receiver_accepted_metric_points_total"), colour="green"),
            Signal("delivered", _rate('otelcol_exporter_sent_metric_points_total{exporter=~"otlp.*"}'), colour="blue"),
            *(Signal(name, _rate(metric), colour="red") for name, metric in lost),
        ),
        width=8,
    )


def _rate(metric: str) -> str:
    # Some of them begin with their first event: until then 0 where the Collector is scraped.
    return f'sum(rate({metric}[$__rate_interval])) or sum(up{{job="otel-collector"}} == 1) * 0'


def freshness() -> bargauge.Panel:
    """How old the newest sample of each service is."""
    return bars(
        About(
            20,
            "Age of the newest data",
            "Seconds since each service was last heard of, over all of its instances. Services export every 15 s.",
            "Old for all: the Collector or the way to Prometheus. Old for one: the service, or its way to the "
            "Collector.",
            "No service has been heard of.",
        ),
        "s",
        (Signal("{{service_name}}", f"time() - ({_NEWEST})"),),
        levels=rising(yellow=_STALE_SECONDS / 2, red=_STALE_SECONDS),
        names_above=True,
        width=8,
    )


def sources() -> table.Panel:
    """7."""
    keys = ", ".join(_SOURCE)
    return rows(
        About(
            7,
            "Age of sources",
            "Files and endpoints that services read: certificates, revocation lists, feeds, databases of countries.",
            "Unreadable: `trust-otel doctor` on the service's machine says why. Old: whoever provides it has stopped.",
            "No service reads a file or an endpoint.",
            alerts=("TrustSourceUnreadable", "TrustCertificateInventoryStale"),
        ),
        {
            "service_name": "Service",
            "trust_otel_source_kind": "Kind",
            "trust_otel_source_name": "Source",
        },
        (
            Column(
                "State",
                f"min by ({keys}) ({file_name(series(TRUST_OTEL_SOURCE_UP), _SOURCE[-1])})",
                "none",
                levels=UP,
                words={"1": ("read", "green"), "0": ("unreadable", "red")},
            ),
            Column(
                "Last read",
                f"time() - max by ({keys}) ({file_name(series(TRUST_OTEL_SOURCE_LAST_READ), _SOURCE[-1])})",
                "s",
            ),
        ),
        sort="Last read",
        key_widths={"Service": 160, "Kind": 120, "Source": 640},
    )
