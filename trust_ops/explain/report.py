"""Formats an explanation as text or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Final

from trust_ops.explain.causes import Cause, Explanation
from trust_ops.explain.events import Window

_MOST: Final = 5
_PHRASES: Final = {"restart": "Restarted instances", "all_instances": "All instances"}


def text(explained: Explanation) -> str:
    """The report for a terminal, with control characters of label values still in it."""
    return "\n".join(_lines(explained))


def _lines(explained: Explanation) -> Iterator[str]:
    alert = explained.alert
    yield f"{alert.name}{_place(explained)}"
    more = f"; {alert.others} more with this name at the same time" if alert.others else ""
    yield f"Began {_time(alert.active)} UTC, fires since {_time(alert.begin)}, last seen {_time(alert.end)}{more}."
    yield f"Compared: before {_span(explained.before)}, during {_span(explained.during)}."
    yield ""
    yield "What changed"
    yield from (f"  {symptom}" for symptom in explained.symptoms)
    if not explained.symptoms:
        yield "  No counter that the rule reads changed clearly."
    yield ""
    yield "Likely causes"
    for number, cause in enumerate(explained.causes[:_MOST], 1):
        yield f"  {number}. {named(cause)}, score {cause.score:.2f}"
        yield f"     {_numbers(cause)}"
        yield f"     Check: {cause.query}"
    if not explained.causes:
        yield "  None found: nothing that was compared changed clearly. See the runbook of the alert."
    yield from _gaps(explained)


def _gaps(explained: Explanation) -> Iterator[str]:
    gaps = [f"no series of {name}, which the rule reads" for name in explained.absent]
    gaps += [f"not compared: {name}: {reason}" for name, reason in explained.left_out.items()]
    if not explained.rule_loaded:
        gaps.append("Prometheus has not loaded the alert's rule, so that all metrics of the service count the same")
    if explained.alert.service and not explained.seen_before:
        gaps.append(
            "the service has no series before, so that all that it counts looks new: is it, or is older data lost?"
        )
    if not explained.alert.service:
        gaps.append("the alert has no service_name: only nodes and targets were compared")
    if gaps:
        yield ""
        yield "Gaps"
        yield from (f"  {gap}" for gap in gaps)


def named(cause: Cause) -> str:
    """A cause in a few words."""
    if cause.kind in _PHRASES:
        return _PHRASES[cause.kind]
    return f"{cause.kind}={cause.value}" if cause.value else cause.kind


def _numbers(cause: Cause) -> str:
    share = "" if cause.share is None else f", {min(cause.share, 1.0):.0%} of the change"
    began = "" if cause.began is None else f", since {_time(cause.began)}"
    return f"{cause.what}: {cause.before:.4g}{cause.unit} before, {cause.during:.4g}{cause.unit} during{share}{began}"


def _place(explained: Explanation) -> str:
    alert = explained.alert
    places = [each for each in (alert.service, alert.environment) if each]
    return f" of {' in '.join(places)}" if places else ""


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def _span(window: Window) -> str:
    return f"{_time(window.begin)} to {_time(window.end)}"


def as_json(explained: Explanation) -> dict[str, Any]:
    """The same for programs; times as Unix time."""
    alert = explained.alert
    return {
        "alert": alert.name,
        "labels": dict(alert.labels),
        "active": alert.active,
        "begin": alert.begin,
        "end": alert.end,
        "others": alert.others,
        "before": [explained.before.begin, explained.before.end],
        "during": [explained.during.begin, explained.during.end],
        "changed": list(explained.symptoms),
        "causes": [
            {
                "kind": cause.kind,
                "value": cause.value,
                "what": cause.what,
                "before": cause.before,
                "during": cause.during,
                "unit": cause.unit,
                "share": cause.share,
                "began": cause.began,
                "score": cause.score,
                "query": cause.query,
            }
            for cause in explained.causes
        ],
        "absent": list(explained.absent),
        "not_compared": dict(explained.left_out),
        "rule_loaded": explained.rule_loaded,
        "seen_before": explained.seen_before,
    }
