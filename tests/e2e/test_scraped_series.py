"""The exporters have the series of `trust_otel/semconv/scraped.yaml`, which rules may read."""

from collections import defaultdict

import httpx

from tests.integration.test_monitoring_components import machines, stack  # noqa: F401 - fixtures
from tests.support.postgresql import needs_postgresql
from tests.support.running import eventually
from trust_ops.stack import Addresses, PrometheusClient
from trust_otel.semconv.scraped import missing, read_scraped

pytestmark = needs_postgresql

# There is no Grafana here: its metrics are declared from its source, and faked for the screenshots.
_METRICS = {name: metric for name, metric in read_scraped().items() if metric.job != "grafana"}
_JOBS = {metric.job for metric in _METRICS.values() if metric.job is not None}


def test_every_scraped_metric_has_the_declared_labels(prometheus: PrometheusClient) -> None:
    eventually(lambda: missing(prometheus, _JOBS), [])


def test_every_scraped_metric_is_of_the_declared_type(prometheus: PrometheusClient, addresses: Addresses) -> None:
    eventually(lambda: missing(prometheus, _JOBS), [])
    answer = httpx.get(f"{addresses.prometheus}/api/v1/metadata", trust_env=False).json()["data"]
    shown: dict[str, set[str]] = defaultdict(set)
    for name, entries in answer.items():
        for entry in entries:
            for series, kind in _series(name, entry["type"]).items():
                if series in _METRICS:
                    shown[series].add(kind)
    # Prometheus has no metadata of its own series, nor of series that do not exist yet.
    assert {name for name, metric in _METRICS.items() if metric.job and not metric.after} <= shown.keys()
    assert {name: kinds for name, kinds in shown.items() if kinds != {_METRICS[name].kind}} == {}


def _series(metric: str, kind: str) -> dict[str, str]:
    """The series of a metric, and their types."""
    if kind in ("histogram", "summary"):
        # The quantiles of a summary have the name of the metric.
        return {metric: "gauge", f"{metric}_sum": "counter", f"{metric}_count": "counter"}
    return {metric: kind}
