"""Expected values of panels, derived from the load generator's expected totals."""

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
class ExpectedTotal:
    """Sums of expected totals, as displayed by a panel.

    Attributes:
        metric: The metric.
        by: Labels to group by.
        where: Regular expressions that labels must match.
        part: `_count` or `_sum` of a histogram.
    """

    metric: Metric
    by: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    part: str = "_count"

    def of(self, expected_totals: Mapping[str, float]) -> Values:
        """The sums by label values."""
        totals = list(self._totals(expected_totals))
        # Some events are in two totals: with all labels, and without the optional one.
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


def _attempts(*by: str, outcome: str, method: str = ".*") -> ExpectedTotal:
    return ExpectedTotal(metrics.TRUST_AUTH_ATTEMPTS, by, {"trust_outcome": outcome, "trust_auth_method": method})


_COUNTRY = "geo_country_iso_code"
_OPERATION = ("trust_certificate_operation",)
# OCSP responses and CRLs for probes are signed too.
_NOT_SIGNING = {"trust_certificate_operation": "(?!signing).*"}
_SLA = ("trust_sla_name",)
_CONTROL = ("trust_compliance_framework", "trust_compliance_control")
_FAILED = {"trust_outcome": "failure"}


@dataclass(frozen=True)
class Share:
    """The ratio of a part to the whole by label values, or 1 minus the ratio (`rest`)."""

    part: ExpectedTotal
    whole: ExpectedTotal
    rest: bool = False

    @property
    def by(self) -> tuple[str, ...]:
        return self.whole.by

    def of(self, expected_totals: Mapping[str, float]) -> Values:
        parts = self.part.of(expected_totals)
        shares = {labels: parts.get(labels, 0) / value for labels, value in self.whole.of(expected_totals).items()}
        return {labels: 1 - share for labels, share in shares.items()} if self.rest else shares


AT_REST: Mapping[str, ExpectedTotal] = {
    "security 27A": _attempts("trust_auth_method", outcome="success"),
    "security 27B": _attempts("trust_auth_method", outcome="failure"),
    "security 5E": ExpectedTotal(metrics.TRUST_SECURITY_INCIDENTS, ("trust_security_incident_type",)),
    "security 8A": ExpectedTotal(metrics.TRUST_AUDIT_EVENTS, ("trust_audit_action",)),
    "security 8B": ExpectedTotal(metrics.TRUST_AUDIT_EVENTS, ("trust_audit_action",), _FAILED),
    "security 10B": ExpectedTotal(metrics.TRUST_COMPLIANCE_CHECKS, _CONTROL, _FAILED),
    "security 10C": ExpectedTotal(metrics.TRUST_COMPLIANCE_CHECKS, _CONTROL, {"trust_outcome": "success"}),
}
"""Expected results of panel queries over the whole run of the service."""

RECORDED: Mapping[str, ExpectedTotal | Share] = {
    "business 5C": Share(
        ExpectedTotal(metrics.TRUST_SLA_EVENTS, _SLA, _FAILED),
        ExpectedTotal(metrics.TRUST_SLA_EVENTS, _SLA),
        rest=True,
    ),
    "business 7A": ExpectedTotal(metrics.TRUST_DOCUMENT_PROCESSING_DURATION, ("trust_document_type",)),
    "business 9A": ExpectedTotal(metrics.TRUST_DOCUMENT_PROCESSING_DURATION, (_COUNTRY,)),
    "business 20A": ExpectedTotal(metrics.TRUST_REVENUE_AMOUNT, ("trust_client_name", "trust_currency")),
}
"""The same for totals of recorded increases, which are exact minutes after the traffic too."""


@dataclass(frozen=True)
class Hourly:
    """A five-minute rate per hour: twelve times the events of these five minutes."""

    total: ExpectedTotal

    @property
    def by(self) -> tuple[str, ...]:
        return self.total.by

    def of(self, expected_totals: Mapping[str, float]) -> Values:
        return {labels: value * 12 for labels, value in self.total.of(expected_totals).items()}


RECENT: Mapping[str, Hourly | Share] = {
    "business 2A": Hourly(ExpectedTotal(metrics.TRUST_DOCUMENT_PROCESSING_DURATION)),
    "business 3A": Hourly(ExpectedTotal(metrics.TRUST_REVENUE_AMOUNT, (_COUNTRY, "trust_currency"))),
    "business 20B": Hourly(ExpectedTotal(metrics.TRUST_REVENUE_AMOUNT, ("trust_client_name", "trust_currency"))),
    "business 22A": Share(
        ExpectedTotal(metrics.TRUST_CERTIFICATE_OPERATION_DURATION, _OPERATION, {**_FAILED, **_NOT_SIGNING}),
        ExpectedTotal(metrics.TRUST_CERTIFICATE_OPERATION_DURATION, _OPERATION, _NOT_SIGNING),
    ),
}
"""Expected results of rates over five minutes or more, if the service ran for less than five minutes."""

OVER_TIME: Mapping[str, tuple[ExpectedTotal, bool]] = {
    "operational 2E": (ExpectedTotal(metrics.HTTP_SERVER_REQUEST_DURATION), True),
    "operational 24A": (ExpectedTotal(metrics.TRUST_RPC_SERVER_MESSAGES), False),
}
"""Expected sums of rate queries, and whether they include requests of probes."""

BACKGROUND = "/healthz|/pki/.*"
"""Routes that only probes call."""
