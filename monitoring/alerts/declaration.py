"""What an alert consists of."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["critical", "warning", "info"]
Team = Literal["platform", "security", "business", "compliance"]
Dashboard = Literal["operational", "security", "business", "monitoring"]

_RUNBOOKS: Final = "https://runbooks.marty.com"
_DASHBOARDS: Final = "https://grafana.marty.com/d"
_PLACEHOLDER: Final = re.compile(r"\$(threshold|minimum)\b")


@dataclass(frozen=True)
class Threshold:
    """A number that an expression compares with.

    Attributes:
        value: The number, in the unit of the series.
        promql: The same as it is written in the expression.
        text: The same as it is written in summaries and descriptions.
    """

    value: float
    promql: str
    text: str


def number(value: float) -> Threshold:
    """A plain number."""
    return Threshold(value, f"{value:g}", f"{value:g}")


def more_than(count: int) -> Threshold:
    """For a counter: `increase()` extrapolates, so "more than 10" is written as "at least 11"."""
    return Threshold(count + 1, str(count + 1), str(count))


def ratio(value: float) -> Threshold:
    """A share, which texts give in percent."""
    return Threshold(value, f"{value:g}", f"{value * 100:g} %")


def seconds(value: float) -> Threshold:
    """A duration of seconds."""
    return Threshold(value, f"{value:g}", f"{value:g} s")


def days(count: int) -> Threshold:
    """A duration of days, in seconds."""
    return Threshold(count * 86400, f"{count} * 86400", f"{count} days")


@dataclass(frozen=True)
class Panel:
    """The panel that shows what the alert is about, by its number on the dashboard."""

    dashboard: Dashboard
    number: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"{_DASHBOARDS}/trust-service-{self.dashboard}?viewPanel={self.number}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alerting rule. A name can have several rules, one for each severity.

    Attributes:
        name: The name of the alert.
        reason: Why the rule is as it is: the comment above it. An empty line begins a paragraph.
        expression: PromQL, in which `$threshold` and `$minimum` stand for the numbers below.
        threshold: The number that decides whether the alert fires, where there is a single one.
        minimum: The number of events below which a ratio says nothing.
        wait: `for`, how long the expression must hold before the alert fires.
        keep_firing: `keep_firing_for`, how long the alert still fires once the expression no longer holds.
        severity: None for an escalation, which keeps the labels of the alert that it escalates.
        team: Who is notified; None as for `severity`.
        category: The kind of problem, which inhibition rules match; None as for `severity`.
        service: What is affected; None as for `severity`.
        escalation_level: For an escalation only.
        panel: Where the dashboard link leads.
        runbook: Name of the runbook's page.
        summary: A template: one line.
        description: A template: what happened, with the value; `$threshold` is replaced here too.
    """

    name: str
    reason: str
    expression: str
    threshold: Threshold | None = None
    minimum: Threshold | None = None
    wait: str | None = None
    keep_firing: str | None = None
    severity: Severity | None = None
    team: Team | None = None
    category: str | None = None
    service: str | None = "{{ $labels.service_name }}"
    escalation_level: str | None = None
    panel: Panel
    runbook: str | None = None
    summary: str
    description: str

    def __post_init__(self) -> None:
        named = set(_PLACEHOLDER.findall(self.expression))
        given = {name for name, each in (("threshold", self.threshold), ("minimum", self.minimum)) if each is not None}
        if named != given:
            raise ValueError(f"{self.name} has values for {sorted(given)}, its expression reads {sorted(named)}")

    @property
    def promql(self) -> str:
        """The expression with its numbers."""
        return _PLACEHOLDER.sub(lambda found: self._number(found[1]).promql, textwrap.dedent(self.expression)).strip()

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the rule sets."""
        labels = {
            "severity": self.severity,
            "team": self.team,
            "service": self.service,
            "category": self.category,
            "escalation_level": self.escalation_level,
        }
        return {name: value for name, value in labels.items() if value is not None}

    @property
    def annotations(self) -> dict[str, str]:
        """What notifications say and where they lead."""
        return {
            "summary": self._text(self.summary),
            "description": self._text(self.description),
            "runbook_url": f"{_RUNBOOKS}/{self.runbook or self.name}",
            "dashboard_url": self.panel.url,
        }

    def _text(self, template: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self._number(found[1]).text, " ".join(template.split()))

    def _number(self, name: str) -> Threshold:
        found = self.threshold if name == "threshold" else self.minimum
        if found is None:
            raise ValueError(f"{self.name} has no {name}")
        return found


@dataclass(frozen=True)
class Group:
    """Rules that Prometheus evaluates one after the other."""

    name: str
    alerts: tuple[Alert, ...]
