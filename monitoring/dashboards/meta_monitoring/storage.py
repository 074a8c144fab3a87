"""How much there is of everything: series, samples, memory, disk, queries."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from monitoring.dashboards.panels import About, Signal, bars, number, trend
from monitoring.dashboards.queries import measured, named, rate, series, total
from monitoring.dashboards.template import MONITORING, panel_url
from monitoring.dashboards.thresholds import NONE_ALLOWED, PLAIN
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

_GREATEST = 15
_FAILURES = ("wal_corruptions", "wal_writes_failed", "compactions_failed")


def cardinality() -> bargauge.Panel:
    """6."""
    counts = " or ".join(_count(metric) for metric in metrics.ALL.values())
    return bars(
        About(
            6,
            "Series by metric",
            f"How many series each metric of the chosen services has; the {_GREATEST} greatest. A histogram has one "
            f"for each bucket.",
            "A metric that grows without end: its labels are driven by clients. The limits stop it (see what was "
            "folded, beside).",
            "No service has been heard of.",
            links={"What was folded": panel_url(MONITORING, 24)},
        ),
        "short",
        (Signal("{{metric}}", f"topk({_GREATEST}, {counts})"),),
        levels=PLAIN,
        width=12,
        height=11,
    )


def _count(metric: Metric) -> str:
    if metric.instrument == "histogram":
        # Each has its count, its sum, its buckets, and the infinite one.
        number = f"count({series(metric, part='_count')}) * {len(metric.buckets) + 3}"
    else:
        number = f"count({series(metric)})"
    return named(number, "metric", metric.prometheus_name)


def lost() -> timeseries.Panel:
    """What the services themselves did not keep."""
    nothing = named(measured(metrics.TRUST_OTEL_OVERFLOW), "metric", "none")
    folded = total(rate(metrics.TRUST_OTEL_OVERFLOW), "metric")
    return trend(
        About(
            24,
            "Folded and dropped by services",
            "Measurements whose labels were folded together because a limit was reached, and those that were not "
            "kept, by reason.",
            "Folded: look for a label of the metric that a client can fill. Dropped: the service's log says why, once.",
            "No service has been heard of in this time.",
            alerts=("TrustCardinalityOverflow",),
        ),
        "cps",
        (
            Signal(
                "folded: {{metric}}",
                f"{folded} > 0 or {nothing}",
            ),
            Signal("dropped: {{reason}}", total(rate(metrics.TRUST_OTEL_DROPPED), "reason")),
        ),
        width=6,
        height=11,
    )


def samples() -> timeseries.Panel:
    """Which job brings how much."""
    return trend(
        About(
            25,
            "Samples of each scrape",
            "How many samples a scrape of each job brings.",
            "A jump after a deployment: a new label, or a limit that was taken away.",
            "Prometheus scrapes nothing, not even itself.",
        ),
        "short",
        (Signal("{{job}}", "sum by (job) (scrape_samples_post_metric_relabeling)"),),
        width=6,
        height=11,
    )


def memory() -> timeseries.Panel:
    """What the monitoring itself needs."""
    return trend(
        About(
            26,
            "Memory of the monitoring",
            "Physical memory of Prometheus, Alertmanager and Collector.",
            "Prometheus grows with the number of series. The Collector refuses data before it runs out.",
            "None of them is scraped.",
        ),
        "bytes",
        (
            Signal("{{job}}", 'max by (job) (process_resident_memory_bytes{job=~"prometheus|alertmanager"})'),
            Signal("otel-collector", "max(otelcol_process_memory_rss_bytes)"),
        ),
        width=8,
    )


def cpu() -> timeseries.Panel:
    """What the monitoring itself needs."""
    return trend(
        About(
            27,
            "CPU of the monitoring",
            "Processors that Prometheus, Alertmanager and Collector keep busy; 1 is a whole one.",
            "Prometheus: slow rules or queries, see beside. Collector: more gateways share the work.",
            "None of them is scraped.",
        ),
        "short",
        (
            Signal(
                "{{job}}",
                'sum by (job) (rate(process_cpu_seconds_total{job=~"prometheus|alertmanager"}[$__rate_interval]))',
            ),
            Signal("otel-collector", "sum(rate(otelcol_process_cpu_seconds_total[$__rate_interval]))"),
        ),
        width=8,
    )


def ingestion() -> timeseries.Panel:
    """What Prometheus takes in."""
    return trend(
        About(
            28,
            "Prometheus: series and samples",
            "Series of the last hours (left) and samples stored a second (right axis).",
            "Plan about 2 to 4 KiB of memory for each series. Beyond some millions, one Prometheus is not enough.",
            "Prometheus is not scraped.",
        ),
        "short",
        (
            Signal("series", "sum(prometheus_tsdb_head_series)"),
            Signal("samples", "sum(rate(prometheus_tsdb_head_samples_appended_total[$__rate_interval]))", "cps"),
            Signal(
                "too late",
                "sum(rate(prometheus_tsdb_too_old_samples_total[$__rate_interval]))"
                " + sum(rate(prometheus_tsdb_out_of_bound_samples_total[$__rate_interval]))",
                "cps",
                colour="red",
            ),
        ),
        width=8,
    )


def disk() -> timeseries.Panel:
    """What Prometheus keeps."""
    return trend(
        About(
            29,
            "Prometheus: disk",
            "Blocks, the write-ahead log and recent chunks.",
            "Compare with the volume; what is older than the retention is deleted by itself.",
            "Prometheus is not scraped.",
        ),
        "bytes",
        (
            Signal("blocks", "sum(prometheus_tsdb_storage_blocks_bytes)"),
            Signal("write-ahead log", "sum(prometheus_tsdb_wal_storage_size_bytes)"),
            Signal("recent chunks", "sum(prometheus_tsdb_head_chunks_storage_size_bytes)"),
        ),
        stacked=True,
        width=8,
    )


def retention() -> stat.Panel:
    """How far one can look back."""
    return number(
        About(
            35,
            "Retention",
            "Age of the oldest sample, and the age at which samples are deleted.",
            "The oldest stays younger than the limit: the volume's limit deletes sooner, or Prometheus began again.",
            "Prometheus is not scraped.",
        ),
        "s",
        (
            Signal("oldest", "time() - min(prometheus_tsdb_lowest_timestamp_seconds)"),
            Signal("limit", "max(prometheus_tsdb_retention_limit_seconds)"),
        ),
        sparkline=False,
        height=8,
    )


def storage_failures() -> stat.Panel:
    """What may have been lost after it arrived."""
    return number(
        About(
            36,
            "Storage failures",
            "Times that Prometheus, in the time shown, found its write-ahead log corrupt, could not write it, or could "
            "not compact blocks.",
            "Its log names the file. Is the volume full, or broken? What follows a corruption in the log is lost.",
            "Prometheus is not scraped.",
        ),
        "none",
        (
            Signal(
                "failures", " + ".join(f"sum(increase(prometheus_tsdb_{name}_total[$__range]))" for name in _FAILURES)
            ),
        ),
        levels=NONE_ALLOWED,
        sparkline=False,
        height=8,
    )


def queries() -> timeseries.Panel:
    """How fast Prometheus answers."""
    return trend(
        About(
            30,
            "Prometheus: time of queries",
            "Time of 99 % of the queries, by what takes it.",
            "Waiting (queue_time): too many at once. Evaluation (inner_eval): heavy queries; let them read recorded "
            "series.",
            "Prometheus is not scraped.",
        ),
        "s",
        (Signal("{{slice}}", 'max by (slice) (prometheus_engine_query_duration_seconds{quantile="0.99"})'),),
        width=8,
    )
