"""Parsing of rule files, and the series that they add to the vocabulary."""

import pytest

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.label_inference import vector_labels
from tools.checks.promql import parse
from tools.checks.rules import RuleFileError, Silence, rules_in, with_rules
from tools.checks.vocabulary import Bounds, Label

_FILE = """
groups:
  # check:interval a comment above a group does not apply to its first rule
  - name: first
    interval: 30s
    rules:
      # Why.
      # check:name historical
      - record: service:errors:rate5m
        expr: |
          sum by (service_name) (rate(requests_total{code=~"5.."}[5m]))  # check:unused read by a person
        labels: {kind: server}

      - alert: TooMany
        expr: service:errors:rate5m > 1
        for: 5m
        keep_firing_for: 1m
        labels: {severity: critical}
        annotations: {summary: Too many.}
  - name: second
    rules:
      # check:for
      - alert: TooMany
        expr: service:errors:rate5m > 2
"""


def test_all_fields_of_a_rule_are_parsed() -> None:
    record, alert, _ = rules_in(_FILE, "a.yml")
    assert (record.name, record.is_alert, record.line, record.group) == ("service:errors:rate5m", False, 9, "first")
    assert (record.interval, record.wait, record.keep_firing) == (30, 0, 0)
    assert (alert.name, alert.is_alert, alert.wait, alert.keep_firing) == ("TooMany", True, 300, 60)
    assert (alert.labels, alert.annotations) == ({"severity": "critical"}, {"summary": "Too many."})
    assert str(alert) == "TooMany (critical), a.yml:14"


def test_a_comment_silences_the_rule_that_contains_or_follows_it() -> None:
    record, alert, last = rules_in(_FILE, "a.yml")
    assert record.silences == (Silence("name", "historical", 8), Silence("unused", "read by a person", 11))
    assert alert.silences == ()
    assert last.silences == (Silence("for", "", 22),)


@pytest.mark.parametrize(
    "content",
    [
        "groups: [{name: a, rules: [{expr: a}]}]",
        "groups: 5",
        "a: 1",
        "[]",
        "a: [",
        "groups: [{name: a, rules: [{alert: a, expr: b, for: 5 apples}]}]",
    ],
)
def test_invalid_rule_file_error_names_the_file(content: str) -> None:
    with pytest.raises(RuleFileError, match=r"a\.yml"):
        rules_in(content, "a.yml")


def test_a_recorded_series_has_the_labels_of_its_expression_and_rule() -> None:
    known = with_rules(VOCABULARY, rules_in(_FILE, "a.yml"))
    assert known["service:errors:rate5m"].labels == {
        "service_name": Label(),
        "kind": Label(values=frozenset({"server"})),
    }
    assert known["service:errors:rate5m"].interval == 30
    assert known["service:errors:rate5m"].bounds == Bounds(low=0)


def test_a_rule_can_read_series_that_later_rules_record() -> None:
    rules = rules_in(
        """
        groups:
          - name: a
            rules:
              - {record: b:b:b, expr: a:a:a * 2}
              - {record: a:a:a, expr: sum by (method) (requests_total), labels: {part: one}}
              - {record: a:a:a, expr: sum(requests_total), labels: {part: two}}
        """,
        "a.yml",
    )
    labels = with_rules(VOCABULARY, rules)["b:b:b"].labels
    assert labels["part"] == Label(values=frozenset({"one", "two"}))
    assert labels["method"] == Label(always=False, values=frozenset({"GET", "POST"}))


def test_circular_unknown_and_invalid_rules_record_nothing() -> None:
    rules = rules_in(
        """
        groups:
          - name: a
            rules:
              - {record: a:a:a, expr: b:b:b}
              - {record: b:b:b, expr: a:a:a}
              - {record: c:c:c, expr: nothing}
              - {record: d:d:d, expr: sum(}
              - {record: e:e:e, expr: sum(sessions)}
        """,
        "a.yml",
    )
    known = with_rules(VOCABULARY, rules)
    assert set(known.series) - set(VOCABULARY.series) == {"e:e:e"}


def test_the_alerts_series_has_the_labels_of_all_alerts() -> None:
    rules = rules_in(
        _FILE
        + """
      - alert: Escalated
        expr: label_replace(ALERTS{severity="critical"}, "source", "$1", "alertname", "(.+)")
        labels: {level: manager}
        """,
        "a.yml",
    )
    known = with_rules(VOCABULARY, rules)
    labels = vector_labels(parse('ALERTS{alertstate="firing"}'), known)
    assert set(labels) == {"alertname", "alertstate", "severity", "service_name", "kind", "source", "level"}
    assert labels["alertname"].values == frozenset({"TooMany", "Escalated"})
    assert not labels["level"].always
    assert known["ALERTS"].bounds == Bounds(1, 1, zero=False)


def test_a_ratio_of_recordings_is_bounded_if_each_pair_of_rules_is() -> None:
    content = """
    groups:
      - name: a
        rules:
          - {record: events:a:rate5m, expr: 'sum(rate(requests_total[5m]))', labels: {slo: availability}}
          - {record: errors:a:rate5m, expr: 'sum(rate(requests_total{code="500"}[5m]))', labels: {slo: availability}}
          - {record: events:a:rate5m, expr: 'sum(rate(duration_seconds_count[5m]))', labels: {slo: latency}}
          - record: errors:a:rate5m
            expr: sum(rate(duration_seconds_count[5m])) - sum(rate(duration_seconds_bucket{le="0.5"}[5m]))
            labels: {slo: SLO}
          - record: ratio:a:ratio
            expr: sum_over_time(errors:a:rate5m[1h]) / (sum_over_time(events:a:rate5m[1h]) > 0)
    """
    unrelated = with_rules(VOCABULARY, rules_in(content, "a.yml"))
    assert unrelated["ratio:a:ratio"].bounds == Bounds(low=0)
    related = with_rules(VOCABULARY, rules_in(content.replace("SLO", "latency"), "a.yml"))
    assert related["ratio:a:ratio"].bounds == Bounds(0, 1)
