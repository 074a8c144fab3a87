"""Ranks what explains the difference between before and during.

The share of the change that a value of a label explains, beside the share that is expected of it, follows Adtributor
(Bhagwan et al., "Adtributor: Revenue Debugging in Advertising Systems", NSDI 2014): explanatory power and surprise.
docs/explain.md describes the score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from trust_ops.explain.alert import Alert, quoted
from trust_ops.explain.events import FAILED, INSTANCE, VERSION, Compared, Counts, Measure, Rates, Window
from trust_ops.explain.history import History, QueryRefusedError
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import ALL

_HEARTBEAT: Final = "trust_otel_instance_up"
_DEPENDENCY: Final = "trust_dependency_name"
# What failed, or how it was sent: a description of the change, not its cause.
DESCRIPTION: Final = frozenset(
    {*FAILED, "url_scheme", "network_protocol_version", "rpc_system_name", "trust_rpc_type", "db_system_name", "type"}
)
_SIZES: Final = ("_body_size_bytes",)
# What trust-otel counts about itself says nothing about the service.
_OF_TRUST_OTEL: Final = (_HEARTBEAT, "trust_otel_dropped_total", "trust_otel_overflow_total")
_SIGNIFICANT: Final = 4.0
_LEAST_STRENGTH, _LEAST_SCORE = 0.3, 0.1
_LATE_SECONDS, _LATE_FACTOR = 240.0, 0.5
# A release that has run so long without failures is less likely.
_HARMLESS_SECONDS: Final = 420.0
_ONSET_STEP: Final = 30.0
_CANDIDATES: Final = 8
_RESOURCES: Final = {
    "trust_db_client_slow_operations_total": 0.8,
    "db_client_connection_pending_requests": 0.65,
    "db_client_connection_timeouts_total": 0.65,
    "trust_pkcs11_operation_duration_seconds": 0.6,
}
"""Weights of changes of what a service uses; they are below those of a dependency that is down."""
_OTHER_LABEL, _OTHER_FAILURES, _ALERT_LABEL, _ONLY_VALUE = 0.6, 0.3, 0.4, 0.5
_NODE, _EXPIRED, _ALL_GONE, _GONE, _TARGET = 0.95, 0.9, 0.85, 0.8, 0.6
_UNREADABLE, _RESTARTED, _UNMEASURED_RELEASE, _RELEASE = 0.5, 0.45, 0.5, 0.2


@dataclass(frozen=True)
class Cause:
    """A possible cause.

    Attributes:
        kind: Name of a label, of a metric, or `restart`, `all_instances`.
        value: Value of the label; empty for a metric.
        what: What changed, in a few words.
        before: The number before.
        during: The number since the alert.
        unit: Unit of both numbers.
        score: From 0 to 1.
        query: PromQL to check it.
        share: Share of the change that it explains; None if it is not part of what the alert counts.
        began: Unix time at which it began; None if unknown.
    """

    kind: str
    value: str
    what: str
    before: float
    during: float
    unit: str
    score: float
    query: str
    share: float | None = None
    began: float | None = None


@dataclass(frozen=True)
class Explanation:
    """The result.

    Attributes:
        alert: The alert.
        before: The time before.
        during: The time since.
        symptoms: What the alert's metrics counted, with the descriptions that most of the change has.
        causes: The most likely first.
        absent: Metrics of the rule without series.
        left_out: Metrics that were not compared, with the reason.
        rule_loaded: Whether Prometheus has the alert's rule.
        seen_before: Whether the service had series before.
        compared: All that was compared.
    """

    alert: Alert
    before: Window
    during: Window
    symptoms: Sequence[str]
    causes: Sequence[Cause]
    absent: Sequence[str]
    left_out: Mapping[str, str]
    rule_loaded: bool
    seen_before: bool
    compared: Compared


def explain(history: History, alert: Alert, names: Iterable[str], before: Window, during: Window) -> Explanation:
    """Compare, and rank. Raises ExplainError.

    Args:
        history: Prometheus.
        alert: The alert.
        names: Names that its rule reads; empty if the rule is unknown.
        before: The time before.
        during: The time since.
    """
    read = frozenset(names)
    compared = Compared()
    counts = Counts(history, _selector(alert), before, during)
    old: frozenset[str] = frozenset()
    present = old
    if alert.service:
        old = _present(history, alert, before.end)
        present = old | _present(history, alert, during.end)
        _compare(counts, compared, read, present)
    found = [*_labels_of(alert), *_infrastructure(history, compared, alert, read, before, during)]
    for measure in compared.measures:
        found += _of_measure(measure, own=_is_own(measure.metric, read))
    found += _of_gauges(compared, _selector(alert))
    found += _expired(compared, _selector(alert), before, during)
    if alert.service:
        found += _of_instances(history, alert, before, during, compared, read)
        found += _upstream(history, alert, compared, before, during)
    likely = [cause for cause in _strongest(found) if cause.score >= _LEAST_SCORE]
    best = sorted(likely, key=lambda cause: -cause.score)[:_CANDIDATES]
    dated = [_dated(history, cause, alert, before, during) for cause in best]
    absent = sorted(
        metric.prometheus_name
        for metric in ALL.values()
        if _is_own(metric, read) and alert.service and not present & _series(metric)
    )
    return Explanation(
        alert=alert,
        before=before,
        during=during,
        symptoms=_symptoms(compared, read),
        causes=sorted(dated, key=lambda cause: -cause.score),
        absent=absent,
        left_out=compared.left_out,
        rule_loaded=bool(read),
        seen_before=bool(old),
        compared=compared,
    )


def _selector(alert: Alert) -> str:
    return _of_service(alert.service, alert.environment)


def _of_service(service: str, environment: str) -> str:
    return f"service_name={quoted(service)},deployment_environment_name={quoted(environment)}"


def _series(metric: Metric) -> frozenset[str]:
    name = metric.prometheus_name
    return frozenset(f"{name}{end}" for end in ("", "_count", "_sum", "_bucket"))


def _is_own(metric: Metric, read: frozenset[str]) -> bool:
    return bool(_series(metric) & read)


def _present(history: History, alert: Alert, at: float) -> frozenset[str]:
    """The names of the service's series at a Unix time."""
    found = history.vector(f"count by (__name__) ({{{_selector(alert)}}})", at)
    return frozenset(each.labels["__name__"] for each in found)


def _compare(counts: Counts, compared: Compared, read: frozenset[str], present: frozenset[str]) -> None:
    for metric in ALL.values():
        name = metric.prometheus_name
        if not present & _series(metric) or name.endswith(_SIZES) or name in _OF_TRUST_OTEL:
            continue
        slow = f"{name}_bucket" in read and f"{name}_bucket" in present
        try:
            if metric.instrument in ("counter", "histogram"):
                compared.measures += counts.measures(metric, slow=slow)
            else:
                compared.gauges[name] = counts.gauge(name, [each.label for each in metric.attributes])
        except QueryRefusedError as error:
            compared.left_out[name] = str(error)


def _of_measure(measure: Measure, *, own: bool) -> Iterator[Cause]:
    if measure.significance < _SIGNIFICANT or measure.strength < _LEAST_STRENGTH:
        return
    name = measure.metric.prometheus_name
    rises = measure.actual > measure.expected
    counted = _counted(measure)
    has_failures = any(attribute.label in FAILED for attribute in measure.metric.attributes)
    if name in _RESOURCES and rises and not (measure.kind == "all" and has_failures):
        score = _RESOURCES[name] * measure.strength
        yield Cause(name, "", counted, *_numbers(measure), "/s", score, measure.query(None))
    elif not own and rises and measure.kind == "failures":
        yield Cause(
            *(name, "", counted, *_numbers(measure), "/s"),
            *(_OTHER_FAILURES * measure.strength, measure.query(None)),
        )
    # The number of requests changes with the errors of an outage; only where the alert counts them, it is its subject.
    if measure.kind != "all" or own or not has_failures:
        yield from _of_labels(measure, 1.0 if own else _OTHER_LABEL, counted)


def _numbers(measure: Measure) -> tuple[float, float]:
    return sum(measure.before.values()), measure.actual


def _counted(measure: Measure) -> str:
    what = {"failures": "failures in", "slow": "slow events in", "all": ""}[measure.kind]
    return f"{what} {measure.metric.prometheus_name}".strip()


def _of_labels(measure: Measure, weight: float, counted: str) -> Iterator[Cause]:
    """The values of labels that explain more of the change than is expected of them."""
    labels = {name for key in (*measure.before, *measure.during) for name, _ in key} - DESCRIPTION
    for label in sorted(labels):
        before, during = measure.by(label, measure.before), measure.by(label, measure.during)
        expected = _expected(measure, label)
        change = measure.actual - measure.expected
        values = {*before, *during} - {""}
        # There is no other value to compare with.
        contrast = 1.0 if len(values) > 1 else _ONLY_VALUE
        for value in sorted(values - {"_other"}):
            growth = measure.expected / sum(measure.before.values()) if measure.before and measure.expected else 1.0
            share = (during.get(value, 0.0) - before.get(value, 0.0) * growth) / change
            surplus = min(share, 1.0) - expected.get(value, 0.0)
            if surplus > 0:
                yield Cause(
                    *(label, value, counted, before.get(value, 0.0), during.get(value, 0.0), "/s"),
                    *(weight * contrast * measure.strength * surplus, measure.query(label), share),
                )


def _expected(measure: Measure, label: str) -> Mapping[str, float]:
    """The share of the change of each value if the change were the same everywhere: that of all events.

    For a version it is the share before: a new version gets all events, and may still be the cause.
    """
    rates = measure.all_during if measure.kind != "all" and label != VERSION else measure.all_before
    by_value = measure.by(label, rates)
    total = sum(by_value.values())
    if total:
        return {value: rate / total for value, rate in by_value.items()}
    # Nothing was counted before.
    values = measure.by(label, measure.during)
    return {value: 1 / len(values) for value in values} if len(values) > 1 and label != VERSION else {}


def _labels_of(alert: Alert) -> Iterator[Cause]:
    """What the alert itself is about, such as a certificate or a dependency."""
    known = {attribute.label for metric in ALL.values() for attribute in metric.attributes} - DESCRIPTION
    for label in sorted(known & alert.labels.keys()):
        value = alert.labels[label]
        query = f"ALERTS{{alertname={quoted(alert.name)},{label}={quoted(value)}}}"
        yield Cause(label, value, "label of the alert", 0.0, 1.0, "", _ALERT_LABEL, query)


def _of_gauges(compared: Compared, selector: str) -> Iterator[Cause]:
    for gauge, label, weight, what in (
        ("trust_dependency_up", _DEPENDENCY, 1.0, "dependency up"),
        (
            "trust_otel_source_up",
            "trust_otel_source_name",
            _UNREADABLE,
            "file or address of the configuration readable",
        ),
    ):
        for labels, before, during in _pairs(compared.gauges.get(gauge, ({}, {}))):
            if before > during:
                name = labels.get(label, "")
                query = f"min by ({label}) ({gauge}{{{selector},{label}={quoted(name)}}})"
                yield Cause(label, name, what, before, during, "", weight * (before - during), query)
    name = "db_client_connection_pending_requests"
    waiting = list(_pairs(compared.gauges.get(name, ({}, {}))))
    before, during = sum(each[1] for each in waiting), sum(each[2] for each in waiting)
    if during > max(1.0, 2 * before):
        query = f"sum ({name}{{{selector}}})"
        what = "requests that wait for a connection"
        yield Cause(name, "", what, before, during, "", _RESOURCES[name] * (1 - before / during), query)


def _expired(compared: Compared, selector: str, before: Window, during: Window) -> Iterator[Cause]:
    """Certificates that ended in between."""
    name, label = "trust_certificate_not_after_seconds", "trust_certificate_name"
    for labels, _, ends in _pairs(compared.gauges.get(name, ({}, {}))):
        if before.end < ends <= during.end:
            value = labels.get(label, "")
            query = f"min by ({label}) ({name}{{{selector},{label}={quoted(value)}}}) - time()"
            yield Cause(label, value, "seconds left", ends - before.end, ends - during.end, "s", _EXPIRED, query)


def _pairs(rates: tuple[Rates, Rates]) -> Iterator[tuple[Mapping[str, str], float, float]]:
    """The series that are there before and during."""
    before, during = rates
    return ((dict(key), before[key], during[key]) for key in before if key in during)


def _of_instances(
    history: History, alert: Alert, before: Window, during: Window, compared: Compared, read: frozenset[str]
) -> Iterator[Cause]:
    """Releases, restarts, and instances that are gone."""
    selector = f"{_HEARTBEAT}{{{_selector(alert)}}}"
    by = f"by ({INSTANCE}, {VERSION})"
    heartbeat = f"max {by} (last_over_time({selector}[75s]))"
    old = {_identity(each.labels): each.value for each in history.vector(heartbeat, before.end)}
    last = {
        _identity(each.labels): each.value
        for each in history.vector(f"max {by} (last_over_time({selector}[1h]))", during.end)
    }
    now = {_identity(each.labels) for each in history.vector(heartbeat, during.end) if each.value}
    query = f"count by ({VERSION}) ({selector} == 1)"
    new_versions = {version for _, version in now} - {version for _, version in old} - {""}
    measured = any(_is_own(each.metric, read) for each in compared.measures)
    for version in sorted(new_versions):
        instances = sum(each[1] == version for each in now)
        score = _RELEASE if measured else _UNMEASURED_RELEASE
        yield Cause(VERSION, version, "instances of this version", 0.0, instances, "", score, query)
    new = now - old.keys()
    gone = [each for each in old if each not in now and last.get(each, 1.0)]
    query = f"sum by ({INSTANCE}) ({selector})"
    if gone and not now:
        yield Cause("all_instances", "", "instances that report", len(old), 0.0, "", _ALL_GONE, query)
    if _HEARTBEAT in read:
        for identity in gone:
            own = alert.labels.get(INSTANCE) in (None, identity[0])
            yield Cause(INSTANCE, identity[0], "instance reports", 1.0, 0.0, "", _GONE if own else 0.5 * _GONE, query)
    stopped = [each for each in old if each not in now]
    if new and stopped and not new_versions:
        score = _RESTARTED * min(1.0, len(new) / len(now))
        yield Cause("restart", "", "instances that are new", 0.0, len(new), "", score, query)


def _identity(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get(INSTANCE, ""), labels.get(VERSION, "")


def _infrastructure(
    history: History, compared: Compared, alert: Alert, read: frozenset[str], before: Window, during: Window
) -> Iterator[Cause]:
    """Nodes that are not ready, and targets that are down, if the alert is about instances, nodes or targets."""
    if not read & {"up", _HEARTBEAT, "kube_node_status_condition"}:
        return
    ready = 'kube_node_status_condition{condition="Ready",status="true"}'
    for name, series, label, weight in (
        ("kube_node_status_condition", ready, "node", _NODE),
        ("up", "up", "instance", _TARGET),
    ):
        try:
            rates = [
                {
                    tuple(each.labels.items()): each.value
                    for each in history.vector(f"min by ({label}) (last_over_time({series}[2m]))", at)
                }
                for at in (before.end, min(during.end, alert.begin))
            ]
        except QueryRefusedError as error:
            compared.left_out[name] = str(error)
            continue
        for labels, was, now in _pairs((rates[0], rates[1])):
            if was > now:
                value = labels.get(label, "")
                query = f"min by ({label}) ({series})"
                yield Cause(label, value, "ready" if label == "node" else "target up", was, now, "", weight, query)


def _upstream(history: History, alert: Alert, compared: Compared, before: Window, during: Window) -> Iterator[Cause]:
    """Services that this one calls, whose requests fail more often, too."""
    named = {
        dict(key).get(label, "") for rates in compared.gauges.values() for key in rates[0] for label in (_DEPENDENCY,)
    } | {
        dict(key).get("server_address", "").partition(".")[0] for measure in compared.measures for key in measure.during
    }
    for service in sorted(named - {"", alert.service}):
        counts = Counts(history, _of_service(service, alert.environment), before, during)
        for name in ("http.server.request.duration", "rpc.server.call.duration"):
            try:
                measures = counts.measures(ALL[name], slow=False)
            except QueryRefusedError as error:
                compared.left_out[f"{ALL[name].prometheus_name} of {service}"] = str(error)
                continue
            for each in measures:
                rises = each.actual > each.expected
                if each.kind == "failures" and rises and each.significance >= _SIGNIFICANT:
                    what = f"{_counted(each)} of the service that it calls"
                    query = each.query("service_name")
                    yield Cause("service_name", service, what, *_numbers(each), "/s", each.strength, query)


def _strongest(found: Iterable[Cause]) -> list[Cause]:
    """One for each kind and value."""
    best: dict[tuple[str, str], Cause] = {}
    for cause in found:
        key = (cause.kind, cause.value)
        if key not in best or cause.score > best[key].score:
            best[key] = cause
    return list(best.values())


def _dated(history: History, cause: Cause, alert: Alert, before: Window, during: Window) -> Cause:
    """With the time at which it began. What began after the alert, or long after its release, is less likely."""
    try:
        courses = history.matrix(cause.query, before.begin, during.end, _ONSET_STEP)
        released = math.inf
        if cause.kind == VERSION:
            running = f"count ({_HEARTBEAT}{{{_selector(alert)},{VERSION}={quoted(cause.value)}}})"
            reported = history.matrix(running, before.end, during.end, _ONSET_STEP)
            released = min((course.points[0][0] for course in reported), default=math.inf)
    except QueryRefusedError:
        return cause
    points = [
        point
        for course in courses
        if cause.kind not in course.labels or course.labels[cause.kind] == cause.value
        for point in course.points
    ]
    began = onset(sorted(points), before.end, during)
    if began is None:
        return cause
    late = began > min(alert.begin + _LATE_SECONDS, released + _HARMLESS_SECONDS)
    return replace(cause, began=began, score=cause.score * (_LATE_FACTOR if late else 1.0))


def onset(points: Sequence[tuple[float, float]], until: float, during: Window) -> float | None:
    """When a course left its mean before `until` for good, half of the way to its mean during; None if it did not."""
    old = [value for at, value in points if at <= until]
    new = [value for at, value in points if at >= during.begin]
    if not new:
        return None
    mean = sum(old) / len(old) if old else 0.0
    middle = (mean + sum(new) / len(new)) / 2
    above = middle > mean
    if middle == mean:
        return None
    # Backwards from the first sample within `during` that is on the other side.
    began = next((at for at, value in points if at >= during.begin and (value > middle) is above), None)
    if began is None:
        return None
    for at, value in reversed([point for point in points if until < point[0] < began]):
        if (value > middle) is not above:
            break
        began = at
    return began


def _symptoms(compared: Compared, read: frozenset[str]) -> list[str]:
    """What the alert's metrics counted, and the descriptions that most of the change has."""
    found = []
    for measure in compared.measures:
        if not _is_own(measure.metric, read) or measure.significance < _SIGNIFICANT:
            continue
        before, during = _numbers(measure)
        described = []
        for label in sorted({name for key in measure.during for name, _ in key} & set(FAILED)):
            rises = {
                value: rate - measure.by(label, measure.before).get(value, 0.0)
                for value, rate in measure.by(label, measure.during).items()
                if value
            }
            if measure.kind != "all" and rises:
                described.append(f"{label}={max(rises, key=lambda value: rises[value])}")
        more = f" (mostly {', '.join(described)})" if described else ""
        found.append(f"{_counted(measure)}: {before:.4g}/s before, {during:.4g}/s during{more}")
    return found
