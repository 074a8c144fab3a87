"""The same series on three paths: the service's endpoint, the Collector's Prometheus exporter, and OTLP ingestion."""

import time
from collections.abc import Iterable, Iterator, Mapping
from math import isclose

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from examples.demo.service import TrustService
from tests.support.services import run_load, telemetry
from tests.support.unmeasured import NOT_OF_THE_EXAMPLE
from trust_ops.stack import Addresses, PrometheusClient
from trust_ops.stack.ports import free_ports
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import ALL

Series = tuple[str, frozenset[tuple[str, str]]]
Values = Mapping[Series, float]

# Prometheus adds `job` and `instance`; scraped pages do not have them.
_OF_THE_TARGET = {"job", "instance", "__name__"}
# These change without requests.
_CHANGING_PREFIXES = ("process_", "cpython_")
_TIMEOUT_SECONDS = 60


_DECLARED = [metric for metric in ALL.values() if not metric.third_party]


def _names(found: Iterable[Metric]) -> set[str]:
    return {
        name
        for metric in found
        for name in (
            [f"{metric.prometheus_name}_{part}" for part in ("bucket", "sum", "count")]
            if metric.buckets
            else [metric.prometheus_name]
        )
    }


def _series(name: str, labels: Mapping[str, str]) -> Series:
    # `le` is a number written in several ways: 1 and 1.0 are the same bucket.
    kept = {label: text for label, text in labels.items() if label not in _OF_THE_TARGET and text}
    if "le" in kept:
        kept["le"] = str(float(kept["le"]))
    return name, frozenset(kept.items())


def _page(url: str) -> Values:
    text = httpx.get(url, trust_env=False).text
    names = _names(_DECLARED)
    return {
        _series(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in names
    }


def _stored(prometheus: PrometheusClient) -> Values:
    selection = "|".join(sorted(_names(_DECLARED)))
    return {
        _series(sample.labels["__name__"], sample.labels): sample.value
        for sample in prometheus.query(f'{{__name__=~"{selection}"}}')
    }


@pytest.fixture(scope="module")
def paths(
    addresses: Addresses, prometheus: PrometheusClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Values]]:
    (port,) = free_ports(1)
    own = f"http://127.0.0.1:{port}/metrics"
    both = telemetry(
        addresses,
        OTEL_METRICS_EXPORTER="otlp,prometheus",
        OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        TRUST_OTEL_HTTP_BODY_SIZES="true",
        # Monitors record continuously; between two of their intervals there is time to read all three paths.
        TRUST_OTEL_CERTIFICATE_INTERVAL="10",
        TRUST_OTEL_DEPENDENCY_INTERVAL="10",
        OTEL_RESOURCE_ATTRIBUTES="service.namespace=trust,service.version=1,deployment.environment.name=test",
    )
    with TrustService(tmp_path_factory.mktemp("service"), both) as service:
        run_load(service, 10)

        def read() -> dict[str, Values]:
            found = {"own": _page(own), "collector": _page(addresses.collector_prometheus_exporter)}
            found["prometheus"] = _stored(prometheus)
            return found

        deadline = time.monotonic() + _TIMEOUT_SECONDS
        found = read()
        while any(_different(found, path) for path in ("collector", "prometheus")) and time.monotonic() < deadline:
            time.sleep(0.2)
            found = read()
        yield found


def _different(paths: dict[str, Values], path: str) -> dict[Series, tuple[float | None, float | None]]:
    """Series with different values on the service's endpoint and on the other path, with both values."""
    own, other = paths["own"], paths[path]
    return {
        series: (own.get(series), other.get(series))
        for series in own.keys() | other.keys()
        if series not in own
        or series not in other
        or (not series[0].startswith(_CHANGING_PREFIXES) and not isclose(own[series], other[series], rel_tol=1e-12))
    }


@pytest.mark.parametrize("path", ["collector", "prometheus"])
def test_names_labels_and_values_are_the_same(paths: dict[str, Values], path: str) -> None:
    assert _different(paths, path) == {}


def test_every_declared_family_is_among_them(paths: dict[str, Values]) -> None:
    assert _names(_DECLARED) - {name for name, _ in paths["own"]} == _names(NOT_OF_THE_EXAMPLE)
