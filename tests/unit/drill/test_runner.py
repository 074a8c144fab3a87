"""How a drill evaluates what the receivers got."""

from __future__ import annotations

from typing import Any

from testbed.drill.receivers import Alert, Delivery, Status
from testbed.drill.runner import Report, Result, wrong_receivers
from testbed.drill.table import as_json, summary
from testbed.drill.trial import Expected

_WARNING = Expected("TrustRevenueDrop", "warning", "business", {"service": "a"})
_CRITICAL = Expected("TrustServiceDown", "critical", labels={"service": "a"})


def _delivery(channel: str, name: str, severity: str, service: str = "a", status: Status = "firing") -> Delivery:
    alert = Alert(status, {"alertname": name, "severity": severity, "service": service})
    return Delivery(channel, status, (alert,), b"")


def test_a_receiver_that_should_not_get_the_alert_is_wrong() -> None:
    deliveries = [
        _delivery("slack:business", "TrustRevenueDrop", "warning"),
        _delivery("pagerduty:platform", "TrustRevenueDrop", "warning"),
    ]
    assert wrong_receivers(_WARNING, deliveries) == {"pagerduty:platform"}


def test_alerts_of_other_services_and_severities_are_ignored() -> None:
    deliveries = [
        _delivery("pagerduty:platform", "TrustRevenueDrop", "warning", service="b"),
        _delivery("pagerduty:platform", "TrustRevenueDrop", "critical"),
    ]
    assert wrong_receivers(_WARNING, deliveries) == frozenset()


def test_only_a_critical_alert_may_reach_escalation_receivers() -> None:
    deliveries = [_delivery("email:executive@trust.test", "TrustServiceDown", "critical")]
    assert wrong_receivers(_CRITICAL, deliveries) == frozenset()
    deliveries = [_delivery("email:executive@trust.test", "TrustRevenueDrop", "warning")]
    assert wrong_receivers(_WARNING, deliveries) == {"email:executive@trust.test"}


def test_a_missing_receiver_fails_the_report() -> None:
    good = Result("a fault", _CRITICAL, 1.0, frozenset(), 2.0)
    report = Report(30, 90, results=[good])
    assert report.good
    report.results.append(Result("a fault", _WARNING, None, frozenset({"slack:business"})))
    assert not report.good
    assert summary(report).startswith("1 of 2 alerts")


def test_noise_and_malformed_notifications_fail_the_report() -> None:
    assert not Report(30, noise=["TrustServiceDown"]).good
    assert not Report(30, problems=["slack:platform: no JSON"]).good


def test_the_report_names_each_alert_with_its_receivers() -> None:
    result = Result("a fault", _CRITICAL, 1.0, frozenset(), 2.0)
    report: Any = as_json(Report(30, 90, results=[result]))
    (row,) = report["results"]
    assert row["alert"] == "TrustServiceDown"
    assert row["receivers"] == sorted(_CRITICAL.channels)
