"""What an alert consists of."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Final, Literal

from trust_ops.site_config.rule_templates import RuleTemplate
from trust_ops.site_config.rules import rule_values
from trust_ops.site_config.site import DEFAULTS
from trust_ops.site_config.thresholds import Threshold

__all__ = ["Alert", "Group", "Panel", "Severity", "Threshold", "days", "more_than", "number", "ratio", "seconds"]

Severity = Literal["critical", "warning", "info"]
Team = Literal["platform", "security", "business", "compliance"]
Dashboard = Literal["operational", "security", "business", "pki", "monitoring"]

_RUNBOOKS: Final = "$runbooks"
_DASHBOARDS: Final = "$grafana/d"
_NUMBER: Final = re.compile(r"\$(threshold|minimum)\b")

PUBLISHED: Final = rule_values(DEFAULTS)
"""The values in the published rule file."""


def number(value: float) -> Threshold:
    """A plain number."""
    return Threshold(value)


def more_than(count: int) -> Threshold:
    """A number of events in a counter."""
    return Threshold(count, "count")


def ratio(value: float) -> Threshold:
    """A share, which texts give in percent."""
    return Threshold(value, "ratio", below=1)


def seconds(value: float, *, below: float | None = None) -> Threshold:
    """A duration of seconds; `below` is the last bucket of a quantile's histogram."""
    return Threshold(value, "seconds", below)


def days(count: int) -> Threshold:
    """A duration of days, in seconds."""
    return Threshold(count, "days")


@dataclass(frozen=True)
class Panel:
    """The panel that shows what the alert is about, by its number on the dashboard."""

    dashboard: Dashboard
    number: int

    @property
    def url(self) -> str:
        """Its address, below `$grafana`."""
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
        named = set(_NUMBER.findall(self.expression))
        given = {name for name, each in (("threshold", self.threshold), ("minimum", self.minimum)) if each is not None}
        if named != given:
            raise ValueError(f"{self.name} has values for {sorted(given)}, its expression reads {sorted(named)}")

    @property
    def promql(self) -> str:
        """The expression in the published rule file."""
        return self.template.promql(PUBLISHED)

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
        """What notifications say and where they lead, in the published rule file."""
        return self.template.texts(PUBLISHED)

    @property
    def template(self) -> RuleTemplate:
        """The rule before a site's values are inserted."""
        return RuleTemplate(
            name=self.name,
            reason=textwrap.dedent(self.reason).strip(),
            expression=textwrap.dedent(self.expression).strip(),
            threshold=self.threshold,
            minimum=self.minimum,
            wait=self.wait,
            keep_firing=self.keep_firing,
            labels=self.labels,
            annotations={
                "summary": " ".join(self.summary.split()),
                "description": " ".join(self.description.split()),
                "runbook_url": f"{_RUNBOOKS}/{self.runbook or self.name}",
                "dashboard_url": self.panel.url,
            },
        )


@dataclass(frozen=True)
class Group:
    """Rules that Prometheus evaluates one after the other."""

    name: str
    alerts: tuple[Alert, ...]
