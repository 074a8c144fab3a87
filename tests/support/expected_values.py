"""What the panels must say of a time, given what the simulation knows that it caused in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

Values = dict[tuple[str, ...], float]

_TOTAL = re.compile(r"sum\((?P<name>\w+)(?:\{(?P<labels>.*)\})?\)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Caused:
    """A part of the expected_totals, as a panel shows it.

    Attributes:
        metric: What was counted.
        by: Labels of the panel's query.
        where: Regular expressions that labels match entirely.
        part: Of a histogram, `_count` or `_sum`; by default `_count`.
    """

    metric: Metric
    by: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    part: str = "_count"

    def of(self, expected_totals: Mapping[str, float]) -> Values:
        """The totals by the values of the labels."""
        totals = list(self._totals(expected_totals))
        # The expected_totals counts some things twice: in all detail, and without the label that not every caller gets.
        finest = max((len(labels) for labels, _ in totals), default=0)
        found: Values = defaultdict(float)
        for labels, value in totals:
            if len(labels) == finest and self._is_meant(labels):
                found[tuple(labels.get(name, "") for name in self.by)] += value
        return dict(found)

    def _totals(self, expected_totals: Mapping[str, float]) -> list[tuple[dict[str, str], float]]:
        name = self.metric.prometheus_name + (self.part if self.metric.instrument == "histogram" else "")
        found = []
        for selector, value in expected_totals.items():
            total = _TOTAL.fullmatch(selector)
            if total is not None and total["name"] == name:
                found.append((dict(_LABEL.findall(total["labels"] or "")), value))
        return found

    def _is_meant(self, labels: Mapping[str, str]) -> bool:
        return all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in self.where.items())


def _attempts(*by: str, outcome: str, method: str = ".*") -> Caused:
    return Caused(metrics.TRUST_AUTH_ATTEMPTS, by, {"trust_outcome": outcome, "trust_auth_method": method})


_COUNTRY = "geo_country_iso_code"
_OPERATION = ("trust_certificate_operation",)
# The answers that probes get are signed too.
_NOT_SIGNING = {"trust_certificate_operation": "(?!signing).*"}
_SLA = ("trust_sla_name",)
_CONTROL = ("trust_compliance_framework", "trust_compliance_control")
_FAILED = {"trust_outcome": "failure"}

AT_REST: Mapping[str, Caused] = {
    "security 27A": _attempts("trust_auth_method", outcome="success"),
    "security 27B": _attempts("trust_auth_method", outcome="failure"),
    "security 5E": Caused(metrics.TRUST_SECURITY_INCIDENTS, ("trust_security_incident_type",)),
    "security 8A": Caused(metrics.TRUST_AUDIT_EVENTS, ("trust_audit_action",)),
    "security 8B": Caused(metrics.TRUST_AUDIT_EVENTS, ("trust_audit_action",), _FAILED),
    "security 10B": Caused(metrics.TRUST_COMPLIANCE_CHECKS, _CONTROL, _FAILED),
    "security 10C": Caused(metrics.TRUST_COMPLIANCE_CHECKS, _CONTROL, {"trust_outcome": "success"}),
}
"""Queries of panels, and what they must give for the whole life of the service."""


@dataclass(frozen=True)
class Hourly:
    """A rate of five minutes, in an hour: what was caused in less than five minutes, twelve times."""

    total: Caused

    @property
    def by(self) -> tuple[str, ...]:
        return self.total.by

    def of(self, expected_totals: Mapping[str, float]) -> Values:
        return {labels: value * 12 for labels, value in self.total.of(expected_totals).items()}


@dataclass(frozen=True)
class Share:
    """A part of the whole for each value of the labels, or what is left of it."""

    part: Caused
    whole: Caused
    rest: bool = False

    @property
    def by(self) -> tuple[str, ...]:
        return self.whole.by

    def of(self, expected_totals: Mapping[str, float]) -> Values:
        parts = self.part.of(expected_totals)
        shares = {labels: parts.get(labels, 0) / value for labels, value in self.whole.of(expected_totals).items()}
        return {labels: 1 - share for labels, share in shares.items()} if self.rest else shares


RECENT: Mapping[str, Hourly | Share] = {
    "business 2A": Hourly(Caused(metrics.TRUST_DOCUMENT_PROCESSING_DURATION)),
    "business 3A": Hourly(Caused(metrics.TRUST_REVENUE_AMOUNT, (_COUNTRY, "trust_currency"))),
    "business 20B": Hourly(Caused(metrics.TRUST_REVENUE_AMOUNT, ("trust_client_name", "trust_currency"))),
    "business 22A": Share(
        Caused(metrics.TRUST_CERTIFICATE_OPERATION_DURATION, _OPERATION, {**_FAILED, **_NOT_SIGNING}),
        Caused(metrics.TRUST_CERTIFICATE_OPERATION_DURATION, _OPERATION, _NOT_SIGNING),
    ),
    "business 5C": Share(
        Caused(metrics.TRUST_SLA_EVENTS, _SLA, _FAILED), Caused(metrics.TRUST_SLA_EVENTS, _SLA), rest=True
    ),
}
"""Queries of rates over five minutes or more, in which less than five minutes are, and what they must give."""

OVER_TIME: Mapping[str, tuple[Caused, bool]] = {
    "operational 2E": (Caused(metrics.HTTP_SERVER_REQUEST_DURATION), True),
    "operational 24A": (Caused(metrics.TRUST_RPC_SERVER_MESSAGES), False),
}
"""Queries that give rates, what they must add up to, and whether probes have their share in it."""

BACKGROUND = "/healthz|/pki/.*"
"""Routes of the service that only probes call."""
