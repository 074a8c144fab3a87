"""Checks of alerts: conditions, pending times, labels, annotations and templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from tools.checks.label_inference import RATE_FUNCTIONS, Labels, identity, vector_labels
from tools.checks.promql import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Range,
    Selector,
    Subquery,
    Text,
    constant,
    text,
    walk,
)
from tools.checks.queries import check_query
from tools.checks.rules import Rule, result_labels
from tools.checks.templates import Template
from tools.checks.values import can_be_fraction, is_ratio, values_of
from tools.checks.vocabulary import Vocabulary

AlertCheck = Callable[[Rule, Expression, Vocabulary], Iterator[str]]

ALWAYS_FIRES = "TrustWatchdog"
SEVERITIES = ("critical", "warning", "info")
TEAMS = ("security", "platform", "business", "compliance")
OTHER_SERVICES = ("host", "kubernetes", "postgresql", "monitoring")
ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url")
_OF_SERVICE = "{{ $labels.service_name }}"
_REQUIRED_LABELS: Mapping[str, tuple[str, ...]] = {
    "severity": SEVERITIES,
    "team": TEAMS,
    "service": (*OTHER_SERVICES, _OF_SERVICE),
    "category": (),
}
_IDENTIFYING = frozenset(
    {"severity", "team", "service", "category", "alertname", "escalation_level", "escalated_alertname"}
    | {"service_name", "service_namespace", "service_instance_id", "deployment_environment_name"}
    | {"client_address", "trust_certificate_name", "trust_certificate_type", "trust_certificate_crl_name"}
    | {"trust_certificate_kind", "trust_certificate_ocsp_responder", "trust_clock_server", "trust_timestamp_failure"}
    | {"error_type", "trust_key_name", "trust_key_use", "trust_pkcs11_token_label"}
    | {"trust_certificate_revocation_pending", "trust_certificate_revocation_channel"}
    | {"trust_dependency_name", "trust_dependency_type", "trust_security_incident_type", "trust_rate_limit_name"}
    | {"trust_sla_name", "trust_currency", "trust_compliance_framework", "trust_compliance_control"}
    | {"trust_audit_action", "trust_otel_source_kind", "trust_otel_source_name", "metric", "reason", "slo"}
    | {"rpc_method", "trust_rpc_type", "db_client_connection_pool_name", "db_system_name", "db_namespace"}
    | {"instance", "job", "node", "condition", "namespace", "pod", "container", "mountpoint", "device", "fstype"}
    | {"exporter", "receiver", "integration", "rule_group", "delivery", "trust_trust_list_name"}
)
"""Labels that may distinguish alerts: those of routes, inhibitions and people. None changes with a restart."""


def conditional(rule: Rule, expression: Expression, _: Vocabulary) -> Iterator[str]:
    """An alert needs a condition; otherwise it always fires."""
    if rule.name == ALWAYS_FIRES:
        return
    if not _is_conditional(expression):
        yield "it has no comparison, absent() or unless: it fires whenever there is data"


def _is_conditional(expression: Expression) -> bool:
    match expression:
        case Binary(operator="or"):
            return _is_conditional(expression.left) and _is_conditional(expression.right)
        case Binary(operator="unless"):
            return True
        case Binary(operator=operator) if operator in COMPARISONS:
            return not expression.returns_bool
        case Binary():
            return _is_conditional(expression.left) or _is_conditional(expression.right)
        case Call(function="absent" | "absent_over_time"):
            return True
        case Call():
            return any(_is_conditional(argument) for argument in expression.arguments)
        case Aggregation() | Subquery():
            return _is_conditional(expression.argument)
        case Selector(name="ALERTS"):
            return True
        case _:
            return False


def tolerates_one_sample(rule: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A single bad or missing sample does not fire the alert: it has a range, or `for` covers two samples."""
    if rule.name == ALWAYS_FIRES:
        return
    evaluation = rule.interval or vocabulary.evaluation_interval
    if 0 < rule.wait < evaluation:
        yield f"for: {rule.wait:g}s is shorter than the evaluation interval ({evaluation:g} s) and has no effect"
    slowest = max((vocabulary[name].interval for name in _names(expression)), default=evaluation)
    if not _has_window(expression, vocabulary) and rule.wait < 2 * slowest:
        yield f"one sample fires it: for: {rule.wait:g}s is less than two sample intervals ({slowest:g} s)"


def _has_window(expression: Expression, vocabulary: Vocabulary) -> bool:
    for part in _with_recordings(expression, vocabulary):
        if isinstance(part, Range | Subquery) or (isinstance(part, Selector) and part.offset):
            return True
    return False


def _with_recordings(expression: Expression, vocabulary: Vocabulary) -> Iterator[Expression]:
    """All parts of the expression and of the recording rules that it reads."""
    for part in walk(expression):
        yield part
        if isinstance(part, Selector):
            for _, recording in vocabulary[part.name].recordings:
                yield from _with_recordings(recording, vocabulary)


def _names(expression: Expression) -> set[str]:
    return {part.name for part in walk(expression) if isinstance(part, Selector)}


def kept_firing(rule: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """An alert over rates has `keep_firing_for`, so that it does not resolve when its data stops."""
    parts = _with_recordings(expression, vocabulary)
    rates = any(isinstance(part, Call) and part.function in RATE_FUNCTIONS for part in parts)
    if rates and not rule.keep_firing:
        yield "it reads rates, which stop when data stops: keep_firing_for is missing"


def detects_first_event(_: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A counter whose series starts with its first event needs an `unless … offset`, because increase() misses it."""
    births = {
        part.left.name
        for part in walk(expression)
        if isinstance(part, Binary) and part.operator == "unless" and isinstance(part.left, Selector)
    }
    for part in walk(expression):
        if isinstance(part, Call) and part.function in RATE_FUNCTIONS and isinstance(part.arguments[0], Range):
            name = part.arguments[0].selector.name
            if not vocabulary[name].from_zero and name not in births:
                yield f"{name} starts with its first event, which {part.function}() misses: add `unless … offset`"


def exact(_: Rule, expression: Expression, __: Vocabulary) -> Iterator[str]:
    """A number of events is compared with >=, because increase() extrapolates: 10 events can be 10.7."""
    for part in walk(expression):
        if isinstance(part, Binary) and part.operator in (">", "<="):
            limit = constant(part.right)
            if limit is not None and limit >= 1 and limit.is_integer() and _counts_events(part.left):
                other = {">": ">=", "<=": "<"}[part.operator]
                yield f"{text(part)}: {limit:g} events can be extrapolated to more; write {other} {limit + 1:g}"


def _counts_events(expression: Expression) -> bool:
    match expression:
        case Call(function="increase"):
            return True
        case Aggregation(operation="sum" | "max"):
            return _counts_events(expression.argument)
        case Binary(operator="+" | "or"):
            return _counts_events(expression.left) or _counts_events(expression.right)
        case _:
            return False


def whole(_: Rule, expression: Expression, __: Vocabulary) -> Iterator[str]:
    """No topk() or similar, whose selection changes between evaluations."""
    for part in walk(expression):
        if isinstance(part, Aggregation) and part.operation in ("topk", "bottomk", "limitk", "limit_ratio"):
            yield f"{part.operation}() selects different series at each evaluation, so `for` restarts"


def labelled(rule: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """severity, team, service and category are set, and no label changes with a restart."""
    result = vector_labels(expression, vocabulary)
    for name, allowed in _REQUIRED_LABELS.items():
        if name in rule.labels:
            yield from _allowed(name, rule.labels[name], allowed)
        elif name not in result or not result[name].always:
            yield f"the label {name} is missing"
    for name in sorted(set(result_labels(rule, result)) - _IDENTIFYING):
        yield f"the label {name} is not allowed on an alert; aggregate it away"
    if rule.labels.get("service") == _OF_SERVICE:
        for name in sorted({"deployment_environment_name", "service_namespace"} - set(result)):
            yield f"the result has no {name}: environments share one alert"


def _allowed(name: str, value: str, allowed: tuple[str, ...]) -> Iterator[str]:
    if allowed and value not in allowed:
        yield f"{name}: {value!r} must be one of {', '.join(allowed)}"
    if not allowed and "{{" in value:
        yield f"{name}: {value!r} must be plain text"


def annotated(rule: Rule, _: Expression, __: Vocabulary) -> Iterator[str]:
    """summary, description, runbook_url and dashboard_url exist; the summary is one sentence without the value."""
    for name in ANNOTATIONS:
        if not rule.annotations.get(name, "").strip():
            yield f"the annotation {name} is missing"
    summary = rule.annotations.get("summary", "")
    if "$value" in summary:
        yield "summary: the value changes with each evaluation; move it to the description"
    for name in ("summary", "description"):
        if name in rule.annotations and not rule.annotations[name].rstrip().endswith(
            (".", ". {{ end }}", ".{{ end }}")
        ):
            yield f"{name}: the last sentence has no full stop"


def templated(rule: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """Templates use labels of the result and valid queries; label templates do not use the value."""
    result = vector_labels(expression, vocabulary)
    for name, content in rule.labels.items():
        template = Template(content)
        if template.reads_value:
            yield f"label {name}: with $value, every evaluation creates a new alert"
        for label in sorted(template.labels):
            if label not in result or not result[label].always:
                yield f"label {name}: {_lacking(label, result)}"
    for name, content in rule.annotations.items():
        template = Template(content)
        for label in sorted(template.labels - set(result)):
            yield f"annotation {name}: {_lacking(label, result)}"
        for unknown in template.unknown:
            yield f"annotation {name}: the checks do not support {unknown} in a template"
        for query in template.queries:
            yield from (f"annotation {name}: {finding}" for finding in check_query(query, vocabulary))


def _lacking(label: str, result: Labels) -> str:
    if label in result:
        return f"some series of the result have no label {label}"
    return f"the result has no label {label}, only {', '.join(sorted(result)) or 'none at all'}"


def readable(rule: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """Values are formatted: ratios (and only these) as percentages, fractions with few digits."""
    ratios = {is_ratio(value, vocabulary) for value in values_of(expression)}
    fractions = any(can_be_fraction(value, vocabulary) for value in values_of(expression))
    for name, content in rule.annotations.items():
        for formats in Template(content).formats_of_value:
            percentage = "humanizePercentage" in formats
            if percentage and ratios == {False}:
                yield f"annotation {name}: humanizePercentage, but the value is not a ratio"
            if not percentage and ratios == {True}:
                yield f"annotation {name}: the value is a ratio; format it with humanizePercentage"
            if not formats and fractions:
                yield f"annotation {name}: $value has up to 17 digits; format it"
    for name, content in rule.annotations.items():
        if re.search(r"\$value[^}]*\}\}\s*%", content) and "humanizePercentage" in content:
            yield f"annotation {name}: humanizePercentage already adds the %"


def distinct(rule: Rule, expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """The alert's labels do not overwrite labels that distinguish series: alerts with equal labels are an error."""
    result = vector_labels(expression, vocabulary)
    copies = _copies(expression)
    for name, value in {**rule.labels, "alertname": rule.name}.items():
        keeps = value == f"{{{{ $labels.{name} }}}}" or (copies.get(name, name) not in (name, *rule.labels))
        if not keeps and name in identity(result, vocabulary):
            yield f"the result's label {name} is overwritten with {value!r}: two series can become one alert"


def _copies(expression: Expression) -> dict[str, str]:
    """Labels that label_replace copies unchanged, each with the name of its copy."""
    found: dict[str, str] = {}
    for part in walk(expression):
        if isinstance(part, Call) and part.function == "label_replace":
            target, replacement, source, pattern = (a.value for a in part.arguments[1:] if isinstance(a, Text))
            if replacement == "$1" and pattern in ("(.*)", "(.+)"):
                found[source] = target
    return found


ALERT_CHECKS: Mapping[str, AlertCheck] = {
    "condition": conditional,
    "for": tolerates_one_sample,
    "keep-firing": kept_firing,
    "birth": detects_first_event,
    "estimate": exact,
    "fragile": whole,
    "alert-labels": labelled,
    "annotations": annotated,
    "template": templated,
    "value": readable,
    "distinct": distinct,
}
"""By the name of the check, as used in findings and silencing comments."""
