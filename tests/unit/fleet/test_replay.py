"""The replay of a week: when alerts fire, in which order rules are evaluated, what explains an alert."""

from __future__ import annotations

from random import Random

import pytest

from testbed.fleet.replay.evaluation import as_stored, firing, levels
from testbed.fleet.replay.replicas import processes
from testbed.fleet.replay.signals import Recorder, part, poisson
from testbed.fleet.replay.timeline import ALL_SERVICES, DAY, DOCUMENTS, MONDAY, Event, Fault, Scale, week
from tests.contract.rule_files import ALERTS, FILES
from tools.checks.promql import Selector, walk
from tools.checks.rules import read_rules


def test_an_alert_fires_from_the_end_of_its_wait_until_the_result_ends() -> None:
    assert list(firing(range(0, 301, 30), 120, 0)) == [(120, 300)]


def test_a_result_that_is_shorter_than_the_wait_fires_nothing() -> None:
    assert list(firing(range(0, 91, 30), 120, 0)) == []


def test_a_pending_alert_starts_anew_after_an_evaluation_without_a_result() -> None:
    assert list(firing([*range(0, 91, 30), *range(150, 211, 30)], 120, 0)) == []


def test_an_alert_that_keeps_firing_spans_a_gap() -> None:
    assert list(firing([0, 30, 90, 120], 0, 60)) == [(0, 180)]


def test_a_gap_that_is_longer_ends_the_alert() -> None:
    assert list(firing([0, 30, 300, 330], 0, 60)) == [(0, 90), (300, 390)]


def test_the_wait_counts_again_after_an_alert_ended() -> None:
    assert list(firing([0, 30, 60, 300, 330], 60, 0)) == [(60, 60)]


def test_a_rule_is_evaluated_after_those_that_it_reads() -> None:
    seen: set[str] = set()
    rules = read_rules(FILES)
    recorded = {rule.name for rule in rules if not rule.is_alert}
    for level in levels(rules):
        for rule in level:
            read = {each.name for each in walk(rule.expression()) if isinstance(each, Selector)} & recorded
            assert read <= seen
        seen |= {rule.name for rule in level}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("service:a:rate > 1", "last_over_time(service:a:rate[30s]) > 1"),
        ("service:a:rate or b", "last_over_time(service:a:rate[30s]) or b"),
        ('service:a:rate{x="1"}', 'last_over_time(service:a:rate{x="1"}[30s])'),
        ("service:a:rate offset 1d or b", "last_over_time(service:a:rate[30s] offset 1d) or b"),
        ("sum_over_time(service:a:rate[1h])", "sum_over_time(service:a:rate[1h])"),
        ('last_over_time(service:a:rate{x="1"}[1h])', 'last_over_time(service:a:rate{x="1"}[1h])'),
        ("service:other:rate + a_total", "service:other:rate + a_total"),
    ],
)
def test_recorded_series_end_with_their_last_evaluation(source: str, expected: str) -> None:
    assert as_stored(source, {"service:a:rate": 30}) == expected


def test_the_events_name_alerts_that_exist() -> None:
    names = {rule.name for rule in ALERTS}
    assert {alert for event in week() for alert in (*event.fires, *event.may_fire)} - names == set()


def test_the_week_is_always_the_same() -> None:
    assert week() == week()


def _event() -> Event:
    return Event("outage", MONDAY, MONDAY + 600, "production", (DOCUMENTS,), fires=("TrustServiceDown",))


@pytest.mark.parametrize(
    ("alert", "environment", "service", "begin", "explained"),
    [
        ("TrustServiceDown", "production", DOCUMENTS, MONDAY, True),
        ("TrustServiceDown", "production", DOCUMENTS, MONDAY + 700, True),
        ("TrustServiceDown", "production", "host", MONDAY, True),
        ("TrustServiceHighLatency", "production", DOCUMENTS, MONDAY, False),
        ("TrustServiceDown", "staging", DOCUMENTS, MONDAY, False),
        ("TrustServiceDown", "production", ALL_SERVICES[1], MONDAY, False),
        ("TrustServiceDown", "production", DOCUMENTS, MONDAY + 2 * 3600, False),
        ("TrustServiceDown", "production", DOCUMENTS, MONDAY - 700, False),
    ],
)
def test_an_event_explains_its_alerts_at_its_place_and_time(
    alert: str, environment: str, service: str, begin: int, explained: bool
) -> None:
    assert _event().explains(alert, environment, service, begin, begin + 60) is explained


def test_a_replica_has_one_process_except_while_a_deployment_replaces_it() -> None:
    running = processes(MONDAY, MONDAY + DAY, Scale(1, 0, 1), ())
    for at in range(MONDAY, MONDAY + DAY, 600):
        now = [each for each in running if each.begin <= at <= each.end]
        assert len(now) in (6, 7)
        assert len({each.id for each in now}) == len(now)


def test_a_killed_process_ends_at_the_event_and_another_starts() -> None:
    killed = Event("killed", MONDAY + 3600, MONDAY + 3660, "production", (DOCUMENTS,), Fault(down=True))
    found = [
        each
        for each in processes(MONDAY, MONDAY + DAY, Scale(1, 0, 1), [killed])
        if (each.environment, each.service) == ("production", DOCUMENTS)
    ]
    first, second = found[:2]
    assert (first.end, first.clean, second.begin) == (MONDAY + 3600, False, MONDAY + 3660)


def test_a_counter_begins_with_its_first_event() -> None:
    recorder = Recorder({})
    recorder.add("events", 0)
    recorder.export(0, fast=False)
    recorder.add("events", 2)
    recorder.export(30, fast=False)
    ((name, (_, samples)),) = recorder.taken()
    assert (name, list(samples)) == ("events", [(30, 2.0)])


@pytest.mark.parametrize("mean", [0.0, 0.5, 8.0, 100.0])
def test_random_numbers_have_their_mean(mean: float) -> None:
    rng = Random(1)
    assert sum(poisson(rng, mean) for _ in range(4000)) / 4000 == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize(("number", "share"), [(10, 0.3), (1000, 0.01), (1000, 0.9), (0, 0.5), (5, 1.0)])
def test_random_parts_have_their_share(number: int, share: float) -> None:
    rng = Random(1)
    found = [part(rng, number, share) for _ in range(2000)]
    assert all(0 <= each <= number for each in found)
    assert sum(found) / 2000 == pytest.approx(number * share, rel=0.05)
