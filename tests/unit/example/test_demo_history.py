"""The history with which the demo opens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from examples.demo.history import HISTORY_SECONDS, rule_levels, service_history
from examples.demo.profile import RATE, SECONDS, Recorded, recorded
from trust_otel.semconv import metrics

_END = 1_800_000_000
_RECORDING = Path(__file__).parents[3] / "monitoring" / "prometheus" / "trust-service-recording.yml"

Key = tuple[str, tuple[tuple[str, str], ...]]


def _written(rate: float = RATE) -> dict[Key, dict[int, float]]:
    return {
        (name, tuple(sorted(labels.items()))): dict(points)
        for name, (labels, points) in service_history(_recorded(), _END, rate)
    }


def _recorded() -> list[Recorded]:
    return list(recorded(Path("/certificates"), {"service_name": "trust-service"}))


def _sum(written: Mapping[Key, Mapping[int, float]], name: str, label: str) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = defaultdict(float)
    for (each, labels), points in written.items():
        if each == name:
            for at, value in points.items():
                found[dict(labels)[label], at] += value
    return found


def test_every_operation_has_its_audit_record_at_every_moment() -> None:
    written = _written()
    operations = _sum(written, metrics.TRUST_AUDIT_OPERATIONS.prometheus_name, "trust_audit_action")
    assert operations
    assert operations == _sum(written, metrics.TRUST_AUDIT_EVENTS.prometheus_name, "trust_audit_action")


def test_counters_increase_with_the_rate_of_the_traffic() -> None:
    for rate in (1, RATE, 100):
        written = _written(rate)
        for each in _recorded():
            if each.name == "http_server_request_duration_seconds_count":
                (points,) = [
                    points
                    for (name, labels), points in written.items()
                    if name == each.name and each.labels.items() <= dict(labels).items()
                ]
                values = list(points.values())
                assert values == sorted(values)
                expected = each.value / SECONDS * HISTORY_SECONDS * rate / RATE
                assert abs(values[-1] - values[0] - expected) <= 0.2 * expected


def test_gauges_end_so_early_that_they_are_not_added_to_those_of_the_new_instance() -> None:
    for (name, _), points in _written().items():
        if name == metrics.DB_CLIENT_CONNECTION_COUNT.prometheus_name:
            assert max(points) + 300 <= _END + 30


def test_the_earlier_instance_shut_down() -> None:
    ((_, points),) = [each for each in _written().items() if each[0][0] == "trust_otel_instance_up"]
    assert [value for at, value in sorted(points.items()) if at > _END - 45] == [0, 0]
    assert points[_END - HISTORY_SECONDS] == 1


def test_the_recorded_traffic_has_no_incident() -> None:
    incidents = [each for each in _recorded() if each.name == metrics.TRUST_SECURITY_INCIDENTS.prometheus_name]
    assert all(each.value == 0 for each in incidents)


def test_every_recorded_series_is_declared() -> None:
    declared = {metric.prometheus_name for metric in metrics.ALL.values()}
    suffixes = ("_bucket", "_count", "_sum")
    unknown = {
        each.name
        for each in _recorded()
        if not {each.name, *(each.name.removesuffix(suffix) for suffix in suffixes)} & declared
    }
    assert unknown == set()


def test_a_rule_reads_only_results_of_lower_levels() -> None:
    known: set[str] = set()
    every = {rule["record"] for level in rule_levels([_RECORDING]) for group in level for rule in group["rules"]}
    for level in rule_levels([_RECORDING]):
        rules = [rule for group in level for rule in group["rules"]]
        for rule in rules:
            read = {name for name in every if name in rule["expr"] and f"{name}_" not in rule["expr"]}
            assert read <= known, rule["record"]
        known |= {rule["record"] for rule in rules}
