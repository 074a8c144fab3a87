"""Renders the recording rules of the service level objectives."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from trust_ops.site_config.objectives import FAST_BURN, HISTOGRAMS, SLOW_BURN, Objective, Protocol

FILE: Final = "trust-service-slo.yml"
_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h")
_LONG_WINDOWS: Final = ("1d", "3d")

_HEADER = """\
# The service level objectives as series. Generated from the objectives of the site file by `trust-otel render`; the
# published file has the defaults. docs/objectives.md describes both.
#
# `slo` is the name of the objective. Its error budget is the share of events that may fail within its window.
# `slo:error_limit_<window>:ratio` is the share of errors above which the budget burns too fast: the budget multiplied
# by a burn rate, which is at least 1. An objective whose fast burn does not page has no limits for 1h and 6h.
"""
_EVENTS_COMMENT = """\
# Events and errors by objective. No series of HTTP has the labels of one of gRPC, so that `or` adds them.
"""
_LONG_COMMENT = """\
# Less often: each evaluation reads all samples of the windows.
"""
_BUDGET_COMMENT = """\
# The subquery counts each event once: at each step, the rate over the last step.
"""
_COMMENT_WIDTH = 112
_BY = "deployment_environment_name, service_namespace, service_name"
# The codes that OpenTelemetry's conventions for gRPC count as server errors, except UNIMPLEMENTED: a client that calls
# an unknown method is not a failure of the service.
_GRPC_ERRORS = "UNKNOWN|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|DATA_LOSS"
_FAILED: Final[Mapping[Protocol, str]] = {
    "http": 'http_response_status_code=~"5.."',
    "grpc": f'rpc_response_status_code=~"{_GRPC_ERRORS}"',
}
# The duration of a stream is no latency.
_TIMED: Final[Mapping[Protocol, str]] = {"grpc": 'trust_rpc_type="unary"'}
_ROUTE: Final[Mapping[Protocol, tuple[str, str]]] = {
    "http": ("http_route", "http_route"),
    "grpc": ("rpc_method", "grpc_method"),
}
_VALIDATIONS = "trust_certificate_operation_duration_seconds_count"
_VALIDATION = 'trust_certificate_operation="validation"'
# A certificate that is not valid (`failure`) is a result.
_WITHOUT_RESULT = 'trust_outcome="error"'


def rule_file(objectives: Sequence[Objective]) -> str:
    """The text of the rule file; a file without rules if there are no objectives."""
    if not objectives:
        return f"{_HEADER}\ngroups: []\n"
    groups = (
        _group("objectives", [rule for objective in objectives for rule in _declared(objective)]),
        _group("events", [rule for objective in objectives for rule in _counted(objective)], _EVENTS_COMMENT),
        _group("windows", [_error_ratio(window) for window in _WINDOWS]),
        _group("long_windows", [_error_ratio(window) for window in _LONG_WINDOWS], _LONG_COMMENT, interval="1m"),
        _group("budget", [_budget_left(objective) for objective in objectives], _BUDGET_COMMENT, interval="2m"),
    )
    return f"{_HEADER}\ngroups:\n" + "\n".join(groups)


def errors(objective: Objective, function: str, window: str) -> str:
    """The errors of an objective as PromQL; `function` is `rate` or `increase`."""
    if objective.indicator == "availability":
        return _requests(objective, function, window, "_count", _FAILED)
    if objective.indicator == "latency":
        in_time = _requests(objective, function, window, "_bucket", _TIMED, _bucket(objective.threshold_seconds))
        return f"{events(objective, function, window)}\n-\n{in_time}"
    return _total([_range(function, _VALIDATIONS, [*_scope(objective), _VALIDATION, _WITHOUT_RESULT], window)])


def events(objective: Objective, function: str, window: str) -> str:
    """All events of an objective, in the same way."""
    if objective.indicator == "validation":
        return _total([_range(function, _VALIDATIONS, [*_scope(objective), _VALIDATION], window)])
    return _requests(objective, function, window, "_count", _TIMED if objective.indicator == "latency" else {})


def _declared(objective: Objective) -> Iterator[str]:
    """What is declared, and the limits that follow from it, as constant series."""
    labels = {"slo": objective.name}
    yield _comment(f"{objective.name}: {_summary(objective)}") + _vector(
        "slo:objective:ratio", Decimal(str(objective.target)), {**labels, "indicator": objective.indicator}
    )
    yield _vector("slo:error_budget:ratio", objective.budget, labels)
    if objective.threshold_seconds is not None:
        yield _vector("slo:latency_threshold:seconds", Decimal(str(objective.threshold_seconds)), labels)
    for over, limit in objective.limits({**(FAST_BURN if objective.page else {}), **SLOW_BURN}).items():
        yield _vector(f"slo:error_limit_{over}:ratio", limit, labels)


def _counted(objective: Objective) -> Iterator[str]:
    failed = errors(objective, "rate", "5m")
    if objective.indicator != "latency":
        # 0 instead of absent for a service that has never failed. A service without the bucket is not measured.
        failed += f'\nor ignoring (slo)\nservice:slo_events:rate5m{{slo="{objective.name}"}} * 0'
    for name, expression in (
        ("service:slo_events:rate5m", events(objective, "rate", "5m")),
        ("service:slo_errors:rate5m", failed),
        # The number of errors, so that an alert can require a minimum.
        ("service:slo_errors:increase1h", errors(objective, "increase", "1h")),
    ):
        yield _rule(name, expression, {"slo": objective.name})


def _error_ratio(window: str) -> str:
    if window == "5m":
        expression = "service:slo_errors:rate5m / service:slo_events:rate5m"
    else:
        expression = " / ".join(f"sum_over_time(service:slo_{each}:rate5m[{window}])" for each in ("errors", "events"))
    return _rule(f"service:slo_errors_per_event:ratio_rate{window}", expression)


def _budget_left(objective: Objective) -> str:
    used, whole = (
        f'sum_over_time(service:slo_{each}:rate5m{{slo="{objective.name}"}}[{objective.window}:5m])'
        for each in ("errors", "events")
    )
    expression = f"1 -\n{used}\n/\n({whole} > 0)\n/ on (slo) group_left ()\nslo:error_budget:ratio"
    return "# check:unused read by the operational dashboard\n" + _rule(
        "service:slo_error_budget_left:ratio", expression, {"slo": objective.name}
    )


def _requests(
    objective: Objective, function: str, window: str, part: str, matchers: Mapping[Protocol, str], *more: str
) -> str:
    """The requests and calls of an objective, of the protocols that count."""
    ranges = []
    for protocol in objective.protocols:
        label, field = _ROUTE[protocol]
        own = [
            *_equal(label, getattr(objective, field)),
            *([matchers[protocol]] if protocol in matchers else []),
            *more,
        ]
        name = HISTOGRAMS[protocol].prometheus_name + part
        ranges.append(_range(function, name, [*_scope(objective), *own], window))
    return _total(ranges)


def _scope(objective: Objective) -> list[str]:
    return [
        *_equal("service_name", objective.service),
        *_equal("service_namespace", objective.namespace),
        *_equal("deployment_environment_name", objective.environment),
    ]


def _equal(label: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{label}={_string(value)}"]


def _bucket(seconds: float | None) -> str:
    """The bucket of a boundary. Exporters write whole numbers as `2` or as `2.0`."""
    text = f"{seconds:g}"
    return f'le="{text}"' if "." in text else f'le=~"{text}|{text}.0"'


def _range(function: str, name: str, matchers: Sequence[str], window: str) -> str:
    selected = f"{{{', '.join(matchers)}}}" if matchers else ""
    return f"{function}({name}{selected}[{window}])"


def _total(ranges: Sequence[str]) -> str:
    return f"sum by ({_BY}) (\n" + textwrap.indent("\nor\n".join(ranges), "  ") + "\n)"


def _vector(name: str, value: Decimal, labels: Mapping[str, str]) -> str:
    return _rule(name, f"vector({value.normalize():f})", labels)


def _rule(name: str, expression: str, labels: Mapping[str, str] | None = None) -> str:
    lines = [f"- record: {name}", "  expr: |", textwrap.indent(expression, "    ")]
    if labels:
        lines.append(f"  labels: {{{', '.join(f'{label}: {_string(value)}' for label, value in labels.items())}}}")
    return "\n".join(lines)


def _group(name: str, rules: Sequence[str], comment: str = "", interval: str | None = None) -> str:
    head = [f"- name: trust-service.recording.slo.{name}"]
    if interval is not None:
        head.append(f"  interval: {interval}")
    lines = "\n".join([*head, "  rules:", *(textwrap.indent(rule, "    ") for rule in rules)])
    return textwrap.indent(f"{comment}{lines}\n", "  ")


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _COMMENT_WIDTH, break_on_hyphens=False))


def _summary(objective: Objective) -> str:
    pages = "a fast burn pages" if objective.page else "nothing pages"
    target = f"{(Decimal(str(objective.target)) * 100).normalize():f} %"
    return f"{target} within {objective.window}, {pages}. {objective.description}".strip()


def _string(value: str) -> str:
    """A string of PromQL and of YAML, in double quotes."""
    return json.dumps(value, ensure_ascii=False)
