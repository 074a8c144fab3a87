"""Checks of recording rules, and of the set of all rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from tools.checks.label_inference import Labels, vector_labels
from tools.checks.promql import Expression, PromqlError, Range, Selector, Subquery, parse, seconds, walk
from tools.checks.rules import Rule, result_labels
from tools.checks.templates import Template
from tools.checks.vocabulary import UnknownSeriesError, Vocabulary

RecordingCheck = Callable[[Rule, Expression, Vocabulary], Iterator[str]]
SetCheck = Callable[[Sequence[Rule], Vocabulary, frozenset[str]], Iterator[tuple[Rule, str]]]

_NAME = re.compile(r"(?P<level>[a-z][a-z0-9_]*):(?P<metric>[a-z][a-z0-9_]*):(?P<operations>[a-z][a-z0-9_]*)")
_WINDOW = re.compile(r"(?:rate|increase|over_time)(?P<window>\d+[smhdw])")
_LEVELS: Mapping[str, frozenset[str]] = {
    "service": frozenset({"deployment_environment_name", "service_namespace", "service_name"}),
    "method": frozenset({"rpc_method"}),
    "instance": frozenset({"service_instance_id"}),
    "namespace": frozenset({"namespace"}),
    "pool": frozenset({"db_client_connection_pool_name"}),
    "document": frozenset({"trust_document_type"}),
    "operation": frozenset({"trust_certificate_operation"}),
    "country": frozenset({"geo_country_iso_code"}),
    "delivery": frozenset({"delivery"}),
    "slo": frozenset({"slo"}),
    "client": frozenset({"trust_client_name"}),
    "control": frozenset({"trust_compliance_framework", "trust_compliance_control"}),
    # A scraped target, whose address survives restarts.
    "host": frozenset({"instance"}),
    # A scraped target, or an instance that pushes.
    "target": frozenset({"job", "instance"}),
}
_OF_INSTANCES = frozenset(
    {"service_instance_id", "service_version", "instance", "job", "host_name", "k8s_pod_name", "k8s_node_name"}
)


def named(rule: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A recorded name is `level:metric:operations`, where the level gives the labels and the operations the range."""
    name = _NAME.fullmatch(rule.name)
    if name is None:
        yield "the name must be level:metric:operations"
        return
    labels = result_labels(rule, vector_labels(expression, vocabulary))
    words = name["level"].split("_")
    for word in words:
        if word not in _LEVELS:
            yield f"level {word}: must consist of {', '.join(_LEVELS)}"
        for label in sorted(_LEVELS.get(word, frozenset()) - set(labels)):
            yield f"level {word}: the result has no label {label}"
    if not {"instance", "host", "target"} & set(words):
        for label in sorted(_OF_INSTANCES & set(labels)):
            yield f"level {name['level']}: the result still has {label}, which changes with every restart"
    for window in _WINDOW.findall(name["operations"]):
        if seconds(window) not in _windows(expression, vocabulary):
            yield f"the name says {window}, but the expression has no range of {window}"


def _windows(expression: Expression, vocabulary: Vocabulary) -> set[float]:
    found: set[float] = set()
    for part in walk(expression):
        if isinstance(part, Range | Subquery):
            found.add(part.seconds)
        if isinstance(part, Selector):
            for _, recording in vocabulary[part.name].recordings:
                found |= _windows(recording, vocabulary)
    return found


def used(rules: Sequence[Rule], _: Vocabulary, readers: frozenset[str]) -> Iterator[tuple[Rule, str]]:
    """Every recorded series is read."""
    read = readers | {name for rule in rules for name in _read_by(rule)}
    for rule in rules:
        if not rule.is_alert and rule.name not in read:
            yield rule, "no alert, recording rule, dashboard or other reader uses it"


def unlike(rules: Sequence[Rule], vocabulary: Vocabulary, _: frozenset[str]) -> Iterator[tuple[Rule, str]]:
    """Rules with the same name never record series with the same labels."""
    for position, rule in enumerate(rules):
        for other in rules[:position]:
            if rule.name == other.name and rule.is_alert == other.is_alert and not _distinct(rule, other, vocabulary):
                yield rule, f"it can have the same labels as the rule in {other.file}:{other.line}"


def _distinct(rule: Rule, other: Rule, vocabulary: Vocabulary) -> bool:
    ours, theirs = _labels(rule, vocabulary), _labels(other, vocabulary)
    if ours is None or theirs is None:
        return True
    for name in set(ours) & set(theirs):
        one, two = ours[name], theirs[name]
        known = one.values is not None and two.values is not None
        if known and one.always and two.always and not (one.values or frozenset()) & (two.values or frozenset()):
            return True
    return any(label.always for name, label in ours.items() if name not in theirs) or any(
        label.always for name, label in theirs.items() if name not in ours
    )


def _labels(rule: Rule, vocabulary: Vocabulary) -> Labels | None:
    try:
        return result_labels(rule, vector_labels(rule.expression(), vocabulary))
    except (PromqlError, UnknownSeriesError):
        return None


def fresh(rules: Sequence[Rule], vocabulary: Vocabulary, _: frozenset[str]) -> Iterator[tuple[Rule, str]]:
    """A group is evaluated at least twice within the lookback delta."""
    for rule in rules:
        interval = rule.interval or vocabulary.evaluation_interval
        if interval > vocabulary.lookback / 2:
            yield (
                rule,
                f"its group is evaluated every {interval:g} s, less than twice in {vocabulary.lookback:g} s",
            )


def grouped(rules: Sequence[Rule], _: Vocabulary, __: frozenset[str]) -> Iterator[tuple[Rule, str]]:
    """Group names are unique, because promtool orders the groups of all files by name."""
    first = {(rule.file, rule.group): rule for rule in reversed(rules)}
    names = Counter(rule.group for rule in first.values())
    for rule in first.values():
        if names[rule.group] > 1:
            yield rule, f"the group {rule.group} is in {names[rule.group]} files"


def _read_by(rule: Rule) -> set[str]:
    found = set()
    for query in (rule.source, *(query for text in rule.annotations.values() for query in Template(text).queries)):
        with suppress(PromqlError):
            found |= {part.name for part in walk(parse(query)) if isinstance(part, Selector)}
    return found


RECORDING_CHECKS: Mapping[str, RecordingCheck] = {"name": named}
SET_CHECKS: Mapping[str, SetCheck] = {"unused": used, "duplicate": unlike, "interval": fresh, "group": grouped}
"""By the name of the check, as used in findings and silencing comments."""
