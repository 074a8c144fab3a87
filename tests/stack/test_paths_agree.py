"""One service seen on three paths: its own endpoint, the Collector's Prometheus exporter, Prometheus' OTLP receiver."""

from collections.abc import Iterator, Mapping
from math import isclose

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from examples.demo.service import TrustService
from tests.stack.services import simulated, telemetry, until_steady
from trust_otel.semconv.metrics import ALL
from trust_otel.stack import Addresses, PrometheusClient
from trust_otel.stack.ports import free_ports

Series = tuple[str, frozenset[tuple[str, str]]]
Values = Mapping[Series, float]

# `job` and `instance` name the target on the way into Prometheus; the pages have no target yet.
_OF_THE_TARGET = {"job", "instance", "__name__"}
# They move without any request.
_RESTLESS = ("process_", "cpython_")


def _names() -> set[str]:
    return {
        name
        for metric in ALL.values()
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
    names = _names()
    return {
        _series(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in names
    }


def _stored(prometheus: PrometheusClient) -> Values:
    selection = "|".join(sorted(_names()))
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
        OTEL_RESOURCE_ATTRIBUTES="service.namespace=trust,service.version=1,deployment.environment.name=test",
    )
    with TrustService(tmp_path_factory.mktemp("service"), both) as service:
        simulated(service, 10)

        def read() -> dict[str, Values]:
            found = {"own": _page(own), "collector": _page(addresses.collector_prometheus_exporter)}
            found["prometheus"] = _stored(prometheus)
            return found

        def resting() -> object:
            return {
                path: {series: value for series, value in values.items() if not series[0].startswith(_RESTLESS)}
                for path, values in read().items()
            }

        until_steady(resting)
        yield read()


@pytest.mark.parametrize("path", ["collector", "prometheus"])
def test_names_and_labels_are_the_same(paths: dict[str, Values], path: str) -> None:
    assert paths["own"].keys() - paths[path].keys() == set()
    assert paths[path].keys() - paths["own"].keys() == set()


@pytest.mark.parametrize("path", ["collector", "prometheus"])
def test_values_are_the_same(paths: dict[str, Values], path: str) -> None:
    different = {
        series: (value, paths[path][series])
        for series, value in paths["own"].items()
        if not series[0].startswith(_RESTLESS) and not isclose(value, paths[path][series], rel_tol=1e-12)
    }
    assert different == {}


def test_every_declared_family_is_among_them(paths: dict[str, Values]) -> None:
    assert _names() - {name for name, _ in paths["own"]} == set()
