"""The alert rules as templates, and the rule file that is made of them.

`rule_templates.json` is written by `make generate` from the declarations in monitoring/alerts/.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from trust_ops.site_config.required_controls import OVERDUE, STATE
from trust_ops.site_config.thresholds import Threshold, plain
from trust_otel.setting_lists import BadValueError

TEMPLATES: Final = Path(__file__).with_name("rule_templates.json")

_WIDTH: Final = 120

_HEADER: Final = """\
# The alerts of a trust service and of its monitoring. Generated from monitoring/alerts/ by `make generate`: change the
# declarations, not this file.
#
# Labels that routes and inhibition rules of Alertmanager match: `severity` (critical pages, warning is for working
# hours, info is for the record), `team`, `service`, `category`. Annotations: `runbook_url` is the page in
# monitoring/runbooks/, `dashboard_url` the panel. `trust-otel render` replaces the base addresses of both;
# notifications add the time range.
#
# Thresholds and durations are those of the requirements, unless the comment above the rule gives a reason.
# `keep_firing_for` keeps an alert from flapping at its threshold and from resolving when data is missing for a moment.
# Every window is written as a duration, never as a number of seconds, so that the drill can scale all of them.
"""

_NUMBERS: Final = ("threshold", "minimum")
_PLACEHOLDER: Final = re.compile(
    r"\$(threshold|minimum|grafana|runbooks|critical_methods|critical_routes|and_critical_routes|http_requests"
    r"|unchecked_controls|compliance_result|if_unchecked|end_unchecked)\b"
)
# The characters with a meaning in RE2 outside of a class.
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
# An action of a template stays on one line, with the text that touches it.
_WORD: Final = re.compile(r"(?:\{\{.*?\}\}|\S)+")
# Plain YAML scalars that would be read as something else.
_NEEDS_QUOTES: Final = re.compile(r'^[{"\'&*?|>%@`!#-]|: | #|:$')


@dataclass(frozen=True)
class RuleValues:
    """Values of the `$` names in a template, besides the numbers of the alert.

    Attributes:
        grafana: Base URL of Grafana.
        runbooks: Base URL of the runbooks.
        grpc_methods: The beginnings of the names of the gRPC methods whose latency alerts.
        http_routes: The HTTP routes whose latency alerts; all of them if there are none.
        required_controls: Whether the site requires checks of compliance controls.
    """

    grafana: str
    runbooks: str
    grpc_methods: Sequence[str]
    http_routes: Sequence[str] = ()
    required_controls: bool = False

    @property
    def critical_methods(self) -> str:
        """The critical methods as a regular expression inside a PromQL string, for `package.Service/Method`."""
        return f".*/({alternatives(self.grpc_methods)}).*"

    @property
    def critical_routes(self) -> str:
        """A selector's only matchers."""
        return f"{{{route_matcher(self.http_routes)}}}" if self.http_routes else ""

    @property
    def and_critical_routes(self) -> str:
        """A selector's further matchers."""
        return f", {route_matcher(self.http_routes)}" if self.http_routes else ""

    @property
    def http_requests(self) -> str:
        """The requests in words."""
        return "HTTP requests of critical routes" if self.http_routes else "HTTP requests"

    @property
    def unchecked_controls(self) -> str:
        """Follows the failed checks: the required controls that are not checked."""
        return f"\nor\n{STATE} <= {OVERDUE}" if self.required_controls else ""

    @property
    def compliance_result(self) -> str:
        """What happened to the check of a control, in the summary."""
        return "has failed or is missing" if self.required_controls else "has failed"

    @property
    def if_unchecked(self) -> str:
        """Precedes the description of failed checks: the description of a control that is not checked."""
        if not self.required_controls:
            return ""
        control = "{{ $labels.trust_compliance_control }} ({{ $labels.trust_compliance_framework }})"
        text = f"{{{{ $labels.service_name }}}} has no check of {control} within the time that the site requires."
        return f"{{{{ if lt $value 0.0 }}}}{text}{{{{ else }}}}"

    @property
    def end_unchecked(self) -> str:
        """Follows the description of failed checks."""
        return "{{ end }}" if self.required_controls else ""


@dataclass(frozen=True)
class RuleTemplate:
    """An alerting rule with `$threshold` and other placeholders for what a site can change.

    Attributes:
        name: The name of the alert.
        reason: The comment above the rule. An empty line begins a paragraph.
        expression: PromQL.
        threshold: The number that decides whether the alert fires, where there is a single one.
        minimum: The number of events below which a ratio says nothing.
        wait: `for`.
        keep_firing: `keep_firing_for`.
        labels: The labels that the rule sets.
        annotations: What notifications say and where they lead.
    """

    name: str
    reason: str
    expression: str
    threshold: Threshold | None
    minimum: Threshold | None
    wait: str | None
    keep_firing: str | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def severity(self) -> str:
        """The severity, empty for an escalation."""
        return self.labels.get("severity", "")

    def promql(self, values: RuleValues) -> str:
        """The expression with its values."""
        return self._filled(self.expression, values, lambda number: number.promql)

    def texts(self, values: RuleValues) -> dict[str, str]:
        """The annotations with their values."""
        return {name: self._filled(text, values, lambda number: number.text) for name, text in self.annotations.items()}

    def _filled(self, template: str, values: RuleValues, written: Callable[[Threshold], str]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1]
            return written(self._number(name)) if name in _NUMBERS else str(getattr(values, name))

        return _PLACEHOLDER.sub(value, template)

    def _number(self, name: str) -> Threshold:
        found = self.threshold if name == "threshold" else self.minimum
        if found is None:
            raise ValueError(f"{self.name} has no {name}")
        return found


@dataclass(frozen=True)
class RuleGroup:
    """Rules that Prometheus evaluates one after the other."""

    name: str
    rules: tuple[RuleTemplate, ...]


_GROUPS: Final = TypeAdapter(tuple[RuleGroup, ...])


def dumped(groups: tuple[RuleGroup, ...]) -> str:
    """The text of `rule_templates.json`."""
    return _GROUPS.dump_json(groups, indent=1).decode() + "\n"


@cache
def rule_groups() -> tuple[RuleGroup, ...]:
    """All alerts as declared, in the order of the rule file."""
    return _GROUPS.validate_json(TEMPLATES.read_bytes())


Overrides = Mapping[str, float | Mapping[str, float]]
"""Thresholds of a site by name of the alert; by severity where several rules have the name."""


def threshold_problems(groups: Sequence[RuleGroup], overrides: Overrides) -> Iterator[tuple[tuple[str, ...], str]]:
    """The name, and the severity if one is given, of each threshold that cannot be used, and the remedy."""
    rules = [rule for group in groups for rule in group.rules]
    for name, given in overrides.items():
        declared = _declared(rules, name)
        if not declared:
            yield (name,), _no_threshold(name, rules)
        elif not isinstance(given, Mapping):
            yield from _problems_of_one(name, declared, given)
        else:
            yield from _problems_by_severity(name, declared, given)


def with_thresholds(groups: Sequence[RuleGroup], overrides: Overrides) -> tuple[RuleGroup, ...]:
    """The groups with the thresholds of a site. Raises BadValueError for one that `threshold_problems` reports."""
    return tuple(
        replace(group, rules=tuple(_with_threshold(rule, overrides.get(rule.name)) for rule in group.rules))
        for group in groups
    )


def threshold_values(groups: Sequence[RuleGroup]) -> dict[tuple[str, str], float]:
    """The threshold of each rule that has one, by name and severity, in the unit of the series."""
    return {
        (rule.name, rule.severity): float(rule.threshold.value)
        for group in groups
        for rule in group.rules
        if rule.threshold is not None
    }


def _declared(rules: Sequence[RuleTemplate], name: str) -> dict[str, Threshold]:
    """The thresholds of an alert by severity."""
    return {rule.severity: rule.threshold for rule in rules if rule.name == name and rule.threshold is not None}


def _problems_of_one(
    name: str, declared: Mapping[str, Threshold], given: float
) -> Iterator[tuple[tuple[str, ...], str]]:
    if len({each.given for each in declared.values()}) > 1:
        example = ", ".join(f"{severity}: {plain(each.given)}" for severity, each in declared.items())
        yield (name,), f"the alert has several severities; write a number for each, such as {{{example}}}"
        return
    problem = _problem(next(iter(declared.values())), given)
    if problem:
        yield (name,), problem


def _problems_by_severity(
    name: str, declared: Mapping[str, Threshold], given: Mapping[str, float]
) -> Iterator[tuple[tuple[str, ...], str]]:
    bad = False
    for severity, number in given.items():
        if severity not in declared:
            problem: str | None = f"the alert has only severity {' and '.join(declared)}"
        else:
            problem = _problem(declared[severity], number)
        if problem:
            bad = True
            yield (name, severity), problem
    if not bad:
        new = {severity: each.overridden(given.get(severity, each.given)) for severity, each in declared.items()}
        yield from (((name,), problem) for problem in _disordered(declared, new))


def _problem(declared: Threshold, given: float) -> str | None:
    try:
        declared.overridden(given)
    except BadValueError as error:
        return str(error)
    return None


def _no_threshold(name: str, rules: Sequence[RuleTemplate]) -> str:
    changeable = sorted({rule.name for rule in rules if rule.threshold is not None})
    if any(rule.name == name for rule in rules):
        return f"the alert has no threshold; alerts with a threshold: {', '.join(changeable)}"
    similar = get_close_matches(name, changeable, 1)
    return f"there is no such alert; did you mean {similar[0]}?" if similar else "there is no such alert; remove it"


def _disordered(declared: Mapping[str, Threshold], new: Mapping[str, Threshold]) -> Iterator[str]:
    """The critical rule must stay the stricter one, or the warning would come after the page."""
    for (one, low), (other, high) in pairwise(sorted(declared.items(), key=lambda each: each[1].value)):
        if low.value < high.value and new[one].value >= new[other].value:
            yield f"{one} ({new[one].text}) must stay below {other} ({new[other].text})"


def _with_threshold(rule: RuleTemplate, given: float | Mapping[str, float] | None) -> RuleTemplate:
    number = given.get(rule.severity) if isinstance(given, Mapping) else given
    if number is None or rule.threshold is None:
        return rule
    new = rule.threshold.overridden(number)
    if new == rule.threshold:
        return rule
    note = f"Threshold of this site: {new.text} (default {rule.threshold.text})."
    return replace(rule, threshold=new, reason=f"{rule.reason}\n\n{note}")


def route_matcher(routes: Iterable[str]) -> str:
    """The matcher of a selector for these HTTP routes."""
    return f'http_route=~"{alternatives(routes)}"'


def alternatives(names: Iterable[str]) -> str:
    """A regular expression for exactly these names, as inside a string of PromQL or of a matcher of Alertmanager."""
    pattern = "|".join(_SPECIAL.sub(r"\\\g<0>", name) for name in names)
    return pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def rule_file(groups: Iterable[RuleGroup], values: RuleValues) -> str:
    """The text of the rule file."""
    texts = ("\n".join(_group(group, values)) + "\n" for group in groups)
    return "\n".join([_HEADER, "groups:", *texts]).rstrip("\n") + "\n"


def _group(group: RuleGroup, values: RuleValues) -> Iterator[str]:
    yield f"  - name: {group.name}"
    yield "    rules:"
    yield "\n\n".join("\n".join(_indented(_rule(rule, values), 6)) for rule in group.rules)


def _rule(rule: RuleTemplate, values: RuleValues) -> Iterator[str]:
    yield from _comment(rule.reason)
    yield f"- alert: {rule.name}"
    yield "  expr: |"
    yield from _indented(rule.promql(values).splitlines(), 4)
    if rule.wait is not None:
        yield f"  for: {rule.wait}"
    if rule.keep_firing is not None:
        yield f"  keep_firing_for: {rule.keep_firing}"
    yield "  labels:"
    yield from (f"    {name}: {_scalar(value)}" for name, value in rule.labels.items())
    yield "  annotations:"
    for name, value in rule.texts(values).items():
        if name == "description":
            yield "    description: >-"
            yield from _indented(_wrapped(value, _WIDTH - 12), 6)
        else:
            yield f"    {name}: {_scalar(value)}"


def _comment(reason: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", reason.strip())):
        if number:
            yield "#"
        yield from (
            f"# {line}" for line in textwrap.wrap(" ".join(paragraph.split()), _WIDTH - 8, break_on_hyphens=False)
        )


def _wrapped(text: str, width: int) -> Iterator[str]:
    line = ""
    for word in _WORD.findall(text):
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _scalar(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _indented(lines: Iterable[str], width: int) -> Iterator[str]:
    return (f"{' ' * width}{line}" if line else "" for line in lines)
