"""Expected totals and their PromQL selectors."""

from __future__ import annotations

import re

from testbed.load_generator.expected_totals import ExpectedTotals
from trust_otel.semconv import metrics

_DOCUMENTS = (
    'sum(http_server_request_duration_seconds_count{http_request_method="POST",'
    'http_response_status_code="201",http_route="/documents"})'
)


def _expected_totals() -> ExpectedTotals:
    expected = ExpectedTotals()
    expected.http("POST", "/documents", 201)
    expected.rpc("trust.v1.TrustService/Sign", "OK", received=1, sent=1)
    expected.certificate("validation", "DSC", "expired")
    expected.revocation("superseded", approved=True)
    expected.validation("TOTAL-FAILED", "SIG_CRYPTO_FAILURE")
    expected.timestamp(None)
    expected.timestamp("badAlg")
    expected.authentication("password", success=True, country="DE")
    expected.second_factor(success=False)
    expected.authorization("document", granted=True)
    expected.incident("session_replay", "warning")
    expected.rate_limited("login")
    expected.threat("blocklist")
    expected.audit("document.sign", success=True)
    expected.compliance("eidas", "signature_policy", passed=True)
    expected.document("passport", "DE", "success", sla_met=True)
    expected.money(revenue=12.5, refund=2.5, fee=0.25, cost=3.75, currency="EUR", country="DE", client="acme")
    expected.satisfaction(5)
    return expected


def test_selectors_use_registered_metrics_and_labels() -> None:
    known = {metric.prometheus_name: {a.label for a in metric.attributes} for metric in metrics.ALL.values()}
    for selector in _expected_totals().totals():
        match = re.fullmatch(r"sum\((\w+?)(?:_count|_sum)?(?:\{(.+)\})?\)", selector)
        assert match is not None, selector
        assert set(re.findall(r'(\w+)="', match[2] or "")) <= known[match[1]], selector


def test_amounts_with_equal_labels_are_summed() -> None:
    expected = ExpectedTotals()
    for _ in range(3):
        expected.money(revenue=12.5, refund=2.5, fee=0.25, cost=3.75, currency="USD", country="DE", client="acme")
    selector = (
        'sum(trust_revenue_amount_total{geo_country_iso_code="DE",trust_client_name="acme",trust_currency="USD"})'
    )
    assert expected.totals()[selector] == 37.5


def test_active_sessions_are_zero_without_logins() -> None:
    assert ExpectedTotals().totals() == {"sum(trust_session_active)": 0}


def test_only_series_with_matching_labels_are_marked_uncertain() -> None:
    expected = _expected_totals()
    assert expected.uncertain() == []
    expected.mark_uncertain(metrics.HTTP_SERVER_REQUEST_DURATION, http_request_method="GET", http_route="/documents")
    assert expected.uncertain() == []
    expected.mark_uncertain(metrics.HTTP_SERVER_REQUEST_DURATION, http_request_method="POST", http_route="/documents")
    assert expected.uncertain() == [_DOCUMENTS]
    expected.mark_uncertain(metrics.TRUST_CUSTOMER_SATISFACTION)
    satisfaction = "sum(trust_customer_satisfaction_{})"
    assert set(expected.uncertain()) == {_DOCUMENTS, satisfaction.format("count"), satisfaction.format("sum")}
