"""ACME orders and challenges."""

from __future__ import annotations

from typing import Any

import pytest


def test_orders_by_status_and_error(recording: Any) -> None:
    recording.metrics.record_acme_order("pending")
    recording.metrics.record_acme_order("valid")
    recording.metrics.record_acme_order("invalid", error_type="caa")
    recording.metrics.record_acme_order("invalid", error_type="urn:ietf:params:acme:error:caa")
    counted = {
        (labels["trust.acme.order.status"], labels.get("trust.acme.error.type")): point.value
        for labels, point in recording.series("trust.acme.orders")
    }
    assert counted == {("pending", None): 1, ("valid", None): 1, ("invalid", "caa"): 2}
    assert recording.dropped() == {}


def test_challenges_by_type_status_and_error(recording: Any) -> None:
    recording.metrics.record_acme_challenge("http-01", status="valid")
    recording.metrics.record_acme_challenge("dns-01", status="invalid", error_type="urn:ietf:params:acme:error:dns")
    assert recording.labels("trust.acme.challenges") == [
        {"trust.acme.challenge.type": "http-01", "trust.acme.challenge.status": "valid"},
        {
            "trust.acme.challenge.type": "dns-01",
            "trust.acme.challenge.status": "invalid",
            "trust.acme.error.type": "dns",
        },
    ]


@pytest.mark.parametrize("given", ["urn:example:error:caa", "urn:ietf:params:acme:error:new", "", 7])
def test_other_errors_are_one(recording: Any, given: Any) -> None:
    recording.metrics.record_acme_order("invalid", error_type=given)
    for labels in recording.labels("trust.acme.orders"):
        assert labels["trust.acme.error.type"] == "_other"
