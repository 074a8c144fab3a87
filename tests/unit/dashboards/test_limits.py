"""Thresholds of panels are those of the alerts."""

from __future__ import annotations

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="dashboards are made on Python 3.11 and later")

from monitoring.dashboards.thresholds import GREEN, RED, YELLOW, NoLimitError, falling, limit, rising


def test_a_limit_is_the_number_that_the_alert_compares_with() -> None:
    assert limit("TrustServiceHighErrorRate", "service:http_server_errors_per_request:ratio_rate2m") == 0.05


def test_the_severity_chooses_between_alerts_of_one_name() -> None:
    series = "trust_certificate_not_after_seconds"
    assert limit("TrustCertificateExpiring", series, "critical") == 7 * 86400
    assert limit("TrustCertificateExpiring", series, "warning") == 30 * 86400


def test_several_numbers_are_no_limit() -> None:
    with pytest.raises(NoLimitError, match=r"\[604800\.0, 2592000\.0\]; one is needed"):
        limit("TrustCertificateExpiring", "trust_certificate_not_after_seconds")


@pytest.mark.parametrize(
    ("alert", "series"),
    [("TrustNoSuchAlert", "up"), ("TrustServiceHighErrorRate", "up"), ("TrustServiceDown", "trust_otel_instance_up")],
)
def test_an_alert_that_does_not_compare_the_series_has_no_limit(alert: str, series: str) -> None:
    with pytest.raises(NoLimitError, match=f"{alert} compares {series} with no number"):
        limit(alert, series)


def test_rising_becomes_worse_with_the_value() -> None:
    steps = [(step.value, step.color) for step in rising(yellow=1, red=2).thresholds()]
    assert steps == [(None, GREEN), (1, YELLOW), (2, RED)]


def test_falling_becomes_better_with_the_value() -> None:
    steps = [(step.value, step.color) for step in falling(yellow=2, red=1).thresholds()]
    assert steps == [(None, RED), (1, YELLOW), (2, GREEN)]
