"""The series of the registry and the exporters, as Prometheus stores them."""

from pathlib import Path

import pytest

from tools.checks.vocabulary import Bounds, Label, UnknownSeriesError, declared, spellings_of


def test_a_histogram_has_three_series() -> None:
    known = declared()
    bucket = known["http_server_request_duration_seconds_bucket"]
    assert bucket.kind == "counter"
    assert 0.5 in bucket.buckets
    assert {"0.5", "2", "2.0", "+Inf"} <= (bucket.labels["le"].values or set())
    assert "le" not in known["http_server_request_duration_seconds_count"].labels
    with pytest.raises(UnknownSeriesError, match="http_server_request_duration_seconds_"):
        known["http_server_request_duration_seconds"]


def test_pushed_series_have_resource_attributes_as_labels() -> None:
    series = declared()["trust_dependency_up"]
    assert series.labels["service_name"] == Label()
    assert series.labels["service_instance_id"] == Label()
    assert series.labels["deployment_environment_name"] == Label(always=False)
    assert series.labels["job"] == series.labels["instance"] == Label()
    assert series.interval == 15
    assert series.bounds == Bounds(0, 1)


def test_labels_have_the_values_of_the_registry() -> None:
    known = declared()
    assert "vault" in (known["trust_dependency_up"].labels["trust_dependency_type"].values or set())
    codes = known["http_server_request_duration_seconds_count"].labels["http_response_status_code"]
    assert not codes.always
    assert {"100", "404", "599"} <= (codes.values or set())
    assert "600" not in (codes.values or set())
    # Too many to list.
    assert known["trust_revenue_amount_total"].labels["trust_currency"].values is None


def test_intervals_come_from_the_scrape_jobs(tmp_path: Path) -> None:
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(
        """
        global: {scrape_interval: 20s, evaluation_interval: 30s}
        scrape_configs:
          - {job_name: node, scrape_interval: 1m}
          - {job_name: redis}
        """
    )
    known = declared(configuration)
    assert known.evaluation_interval == 30
    assert known["node_memory_MemTotal_bytes"].interval == 60
    assert known["redis_up"].interval == 20
    # Every job has it, so the longest interval applies.
    assert known["up"].interval == 60
    assert known["up"].labels["job"].values == frozenset({"node", "redis"})


@pytest.mark.parametrize(("bound", "expected"), [(0.5, ("0.5",)), (2, ("2", "2.0")), (1e8, ("1e+08", "100000000.0"))])
def test_bucket_bounds_have_two_spellings(bound: float, expected: tuple[str, ...]) -> None:
    assert spellings_of(bound) == expected
