"""Runs all checks on all rules, except silenced ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.checks.alerts import ALERT_CHECKS
from tools.checks.promql import PromqlError
from tools.checks.queries import QUERY_CHECKS, Finding, check_query
from tools.checks.recordings import RECORDING_CHECKS, SET_CHECKS
from tools.checks.rules import Rule
from tools.checks.vocabulary import Vocabulary

_VALIDITY_CHECKS = ("syntax", "series")
CHECKS = ("syntax", *QUERY_CHECKS, *ALERT_CHECKS, *RECORDING_CHECKS, *SET_CHECKS)
"""Names of all checks."""


def check_rules(
    rules: Sequence[Rule], vocabulary: Vocabulary, readers: frozenset[str] = frozenset()
) -> dict[Rule, list[Finding]]:
    """Check all rules.

    Args:
        rules: All rules that are loaded together.
        vocabulary: Known series, including recorded ones (`with_rules`).
        readers: Names of recorded series that others read, such as dashboards.

    Returns:
        The findings of each rule, including unused silencing comments.
    """
    found = {rule: _of_one(rule, vocabulary) for rule in rules}
    for name, check in SET_CHECKS.items():
        for rule, message in check(rules, vocabulary, readers):
            found[rule].append(Finding(name, message))
    return {rule: list(_unsilenced(rule, findings)) for rule, findings in found.items()}


def _of_one(rule: Rule, vocabulary: Vocabulary) -> list[Finding]:
    findings = check_query(rule.source, vocabulary)
    try:
        expression = rule.expression()
    except PromqlError:
        return findings
    if any(finding.check in _VALIDITY_CHECKS for finding in findings):
        # The result of the expression is unknown.
        return findings
    for name, check in (ALERT_CHECKS if rule.is_alert else RECORDING_CHECKS).items():
        findings += [Finding(name, message) for message in check(rule, expression, vocabulary)]
    return findings


def _unsilenced(rule: Rule, findings: list[Finding]) -> Iterator[Finding]:
    silenced = {silence.check for silence in rule.silences}
    yield from (finding for finding in findings if finding.check not in silenced)
    for silence in rule.silences:
        if silence.check not in CHECKS:
            yield Finding("silence", f"line {silence.line}: unknown check {silence.check}")
        elif not silence.reason:
            yield Finding("silence", f"line {silence.line}: check:{silence.check} needs a reason")
        elif silence.check not in {finding.check for finding in findings}:
            yield Finding(
                "silence", f"line {silence.line}: check:{silence.check} finds nothing here; remove the comment"
            )
