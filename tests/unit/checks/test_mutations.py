"""Mutations of rules that their unit tests must detect."""

from tools.checks.mutations import mutants
from tools.checks.rules import rules_in


def test_every_kind_of_mutation() -> None:
    (alert,) = rules_in(
        """
        groups:
          - name: a
            rules:
              - alert: A
                expr: 1 - max by (x) (a{y="1", z=~"2|3"}) > 0.5 * b and c == 0 or absent(d)
                for: 1m
                keep_firing_for: 1m
                labels: {severity: critical, escalation_level: manager}
        """,
        "a.yml",
    )
    assert [mutant.change for mutant in mutants(alert)] == [
        '(((1 - max by (x) (a{y="1", z=~"2|3"})) > (0.5 * b)) and (c == 0)) or absent(d)  ->  '
        '((1 - max by (x) (a{y="1", z=~"2|3"})) > (0.5 * b)) and (c == 0)',
        '(((1 - max by (x) (a{y="1", z=~"2|3"})) > (0.5 * b)) and (c == 0)) or absent(d)  ->  absent(d)',
        '((1 - max by (x) (a{y="1", z=~"2|3"})) > (0.5 * b)) and (c == 0)  ->  '
        '(1 - max by (x) (a{y="1", z=~"2|3"})) > (0.5 * b)',
        *(
            f'(1 - max by (x) (a{{y="1", z=~"2|3"}})) > (0.5 * b)  ->  {changed}'
            for changed in (
                '(1 - max by (x) (a{y="1", z=~"2|3"})) < (0.5 * b)',
                '(2 - max by (x) (a{y="1", z=~"2|3"})) > (0.5 * b)',
                '(0.5 - max by (x) (a{y="1", z=~"2|3"})) > (0.5 * b)',
                '(1 - max by (x) (a{y="1", z=~"2|3"})) > (1 * b)',
                '(1 - max by (x) (a{y="1", z=~"2|3"})) > (0.25 * b)',
            )
        ),
        'a{y="1", z=~"2|3"}  ->  a{z=~"2|3"}',
        'a{y="1", z=~"2|3"}  ->  a{y="1"}',
        "c == 0  ->  c != 0",
        "c == 0  ->  c == 1",
        "without for",
        "for doubled",
        "without keep_firing_for",
        "severity: warning",
        "escalation_level: critical",
    ]


def test_ranges_and_offsets_are_mutated() -> None:
    (record,) = rules_in("groups: [{name: a, rules: [{record: a, expr: 'rate(a[2m] offset 1d)'}]}]", "a.yml")
    assert [mutant.change for mutant in mutants(record)] == [
        "a[2m] offset 1d  ->  a[4m] offset 1d",
        "a[2m] offset 1d  ->  a[1m] offset 1d",
        "a offset 1d  ->  a offset 2d",
    ]


def test_mutations_that_no_test_can_detect_are_left_out() -> None:
    (record,) = rules_in(
        """
        groups:
          - {name: a, rules: [{record: a, expr: 'histogram_quantile(0.5, a) / (b > 0) or c * 0'}]}
        """,
        "a.yml",
    )
    assert [mutant.change for mutant in mutants(record)] == [
        "(histogram_quantile(0.5, a) / (b > 0)) or (c * 0)  ->  c * 0",
        "histogram_quantile(0.5, a)  ->  histogram_quantile(1, a)",
        "histogram_quantile(0.5, a)  ->  histogram_quantile(0.25, a)",
        "b > 0  ->  b < 0",
    ]
