"""Cost of the monitoring: series, samples, memory, CPU, disk and queries."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, stat_panel, table_panel, time_series_panel
from monitoring.dashboards.queries import rate, series, total, with_label, zero_if_recorded
from monitoring.dashboards.template import MONITORING, panel_url
from monitoring.dashboards.thresholds import NONE_ALLOWED
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

_TOP = 15
_FAILURES = ("wal_corruptions", "wal_writes_failed", "compactions_failed")


def series_by_metric() -> table.Panel:
    """Metrics with the most series."""
    counts = " or ".join(_count(metric) for metric in metrics.ALL.values())
    return table_panel(
        PanelText(
            6,
            "Top metrics by series count",
            f"Number of series of each metric of the selected services; the {_TOP} largest. A histogram has one "
            "series per bucket.",
            "A metric that keeps growing has a label with client-controlled values. The cardinality limits stop the "
            "growth, see Cardinality overflow and drops.",
            "No service reports data.",
            links={"Cardinality overflow and drops": panel_url(MONITORING, 24)},
        ),
        {"metric": "Metric"},
        (Column("Series", f"topk({_TOP}, {counts})", "none"),),
        sort="Series",
        key_widths={"Metric": 340},
        width=12,
        height=11,
    )


def _count(metric: Metric) -> str:
    if metric.instrument == "histogram":
        # The buckets, the +Inf bucket, the count and the sum.
        number = f"count({series(metric, part='_count')}) * {len(metric.buckets) + 3}"
    else:
        number = f"count({series(metric)})"
    return with_label(number, "metric", metric.prometheus_name)


def overflow_and_drops() -> timeseries.Panel:
    """Overflowed and dropped measurements of the services."""
    no_overflow = with_label(zero_if_recorded(metrics.TRUST_OTEL_OVERFLOW), "metric", "other metrics")
    overflow = total(rate(metrics.TRUST_OTEL_OVERFLOW), "metric")
    return time_series_panel(
        PanelText(
            24,
            "Cardinality overflow and drops",
            "Measurements recorded in an overflow series because a cardinality limit was reached, by metric, and "
            "measurements dropped by the services, by reason.",
            "Overflow: find the label with client-controlled values. Dropped: the service logs the reason once.",
            "No service reports data in the selected time range.",
            alerts=("TrustCardinalityOverflow", "TrustMeasurementsDropped"),
        ),
        "cps",
        (
            Query(
                "overflow: {{metric}}",
                f"{overflow} > 0 or {no_overflow}",
            ),
            Query("dropped: {{reason}}", total(rate(metrics.TRUST_OTEL_DROPPED), "reason")),
        ),
        width=6,
        height=11,
    )


def samples_per_scrape() -> timeseries.Panel:
    """Samples per scrape by job."""
    return time_series_panel(
        PanelText(
            25,
            "Samples per scrape",
            "Number of samples in a scrape of each job.",
            "A jump after a deployment: check for a new label or a removed limit.",
            "Prometheus scrapes no target, not even itself.",
        ),
        "short",
        (Query("{{job}}", "sum by (job) (scrape_samples_post_metric_relabeling)"),),
        width=6,
        height=11,
    )


def memory_usage() -> timeseries.Panel:
    """Memory usage of the monitoring stack."""
    return time_series_panel(
        PanelText(
            26,
            "Memory usage of the monitoring stack",
            "Resident memory of Prometheus, Alertmanager and the Collector.",
            "Prometheus: memory grows with the number of series. Collector: it refuses data before it runs out of "
            "memory.",
            "Neither Prometheus nor Alertmanager nor the Collector is scraped.",
        ),
        "bytes",
        (
            Query("{{job}}", 'max by (job) (process_resident_memory_bytes{job=~"prometheus|alertmanager"})'),
            Query("otel-collector", "max(otelcol_process_memory_rss_bytes)"),
        ),
        width=8,
    )


def cpu_usage() -> timeseries.Panel:
    """CPU usage of the monitoring stack."""
    return time_series_panel(
        PanelText(
            27,
            "CPU usage of the monitoring stack",
            "CPU cores used by Prometheus, Alertmanager and the Collector.",
            "Prometheus: check for slow rules and queries. Collector: add gateway replicas.",
            "Neither Prometheus nor Alertmanager nor the Collector is scraped.",
        ),
        "short",
        (
            Query(
                "{{job}}",
                'sum by (job) (rate(process_cpu_seconds_total{job=~"prometheus|alertmanager"}[$__rate_interval]))',
            ),
            Query("otel-collector", "sum(rate(otelcol_process_cpu_seconds_total[$__rate_interval]))"),
        ),
        width=8,
    )


def ingestion() -> timeseries.Panel:
    """Head series and ingestion rate."""
    return time_series_panel(
        PanelText(
            28,
            "Prometheus: head series and ingestion rate",
            "Series in the head block (left axis), and ingested and rejected samples per second (right axis).",
            "Plan 2 to 4 KiB of memory per series. A single Prometheus is not enough for more than a few million "
            "series.",
            "Prometheus is not scraped.",
        ),
        "short",
        (
            Query("head series", "sum(prometheus_tsdb_head_series)"),
            Query(
                "ingested samples", "sum(rate(prometheus_tsdb_head_samples_appended_total[$__rate_interval]))", "cps"
            ),
            Query(
                "rejected samples (too old)",
                "sum(rate(prometheus_tsdb_too_old_samples_total[$__rate_interval]))"
                " + sum(rate(prometheus_tsdb_out_of_bound_samples_total[$__rate_interval]))",
                "cps",
                colour="red",
            ),
        ),
        width=8,
    )


def disk_usage() -> timeseries.Panel:
    """Disk usage of Prometheus."""
    return time_series_panel(
        PanelText(
            29,
            "Prometheus: disk usage",
            "Disk space of blocks, the write-ahead log and head chunks.",
            "Compare with the size of the volume. Blocks older than the retention time are deleted automatically.",
            "Prometheus is not scraped.",
        ),
        "bytes",
        (
            Query("blocks", "sum(prometheus_tsdb_storage_blocks_bytes)"),
            Query("write-ahead log", "sum(prometheus_tsdb_wal_storage_size_bytes)"),
            Query("head chunks", "sum(prometheus_tsdb_head_chunks_storage_size_bytes)"),
        ),
        stacked=True,
        width=8,
    )


def retention() -> stat.Panel:
    """Age of the oldest sample against the retention time."""
    return stat_panel(
        PanelText(
            35,
            "Prometheus: retention",
            "Age of the oldest sample, and the retention time.",
            "The oldest sample stays younger than the retention time: the size limit deletes blocks earlier, or "
            "Prometheus started with an empty volume.",
            "Prometheus is not scraped.",
        ),
        "s",
        (
            Query("oldest sample", "time() - min(prometheus_tsdb_lowest_timestamp_seconds)"),
            Query("retention time", "max(prometheus_tsdb_retention_limit_seconds)"),
        ),
        sparkline=False,
        height=8,
    )


def storage_failures() -> stat.Panel:
    """Failed writes and compactions of Prometheus."""
    return stat_panel(
        PanelText(
            36,
            "Prometheus: storage failures",
            "WAL corruptions, failed WAL writes and failed compactions in the selected time range.",
            "The Prometheus log names the file. Check whether the volume is full or damaged. Samples after the "
            "corrupt WAL record are lost.",
            "Prometheus is not scraped.",
        ),
        "none",
        (
            Query(
                "failures", " + ".join(f"sum(increase(prometheus_tsdb_{name}_total[$__range]))" for name in _FAILURES)
            ),
        ),
        levels=NONE_ALLOWED,
        sparkline=False,
        height=8,
    )


def query_latency() -> timeseries.Panel:
    """Query latency of Prometheus."""
    return time_series_panel(
        PanelText(
            30,
            "Prometheus: query latency (p99)",
            "99th percentile of the query duration by phase.",
            "queue_time high: too many concurrent queries. inner_eval high: expensive queries; use recording rules.",
            "Prometheus is not scraped.",
        ),
        "s",
        (Query("{{slice}}", 'max by (slice) (prometheus_engine_query_duration_seconds{quantile="0.99"})'),),
        width=8,
    )
