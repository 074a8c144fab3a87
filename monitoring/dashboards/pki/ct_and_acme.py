"""Certificate transparency and ACME."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import timeseries

from monitoring.alerts import threshold
from monitoring.dashboards.panels import PanelText, Query, time_series_panel
from monitoring.dashboards.pki.constants import BY_SERVICE
from monitoring.dashboards.queries import counted, highest, increase, ratio, total
from monitoring.dashboards.thresholds import NONE_ALLOWED, rising
from trust_otel.semconv.metrics import (
    TRUST_ACME_CHALLENGES,
    TRUST_ACME_ORDERS,
    TRUST_CT_SCTS,
    TRUST_CT_UNKNOWN_CERTIFICATES,
)

UNKNOWN_CERTIFICATES, SCTS, ACME_ORDERS, ACME_CHALLENGES = range(45, 49)

_SERVICE: Final = "{{service_name}}"
_CHALLENGE: Final = (
    "service_name",
    "trust_acme_challenge_type",
    "trust_acme_challenge_status",
    "trust_acme_error_type",
)


def unknown_certificates() -> timeseries.Panel:
    """Certificates that a service did not issue."""
    return time_series_panel(
        PanelText(
            UNKNOWN_CERTIFICATES,
            "Unknown certificates",
            "Does somebody else issue certificates in our name? Certificates in the feed of a monitor of certificate "
            "transparency that the service did not issue, within half an hour. Each instance counts them.",
            "Any: find the issuer of the certificate in the feed, have it revoked, and check the keys of the service.",
            "No service compares a feed. Set TRUST_OTEL_CT_FEED and call observe_ct_feed.",
            alerts=("TrustUnknownCertificateIssued",),
        ),
        "short",
        [Query(_SERVICE, total(counted(TRUST_CT_UNKNOWN_CERTIFICATES, over="30m"), *BY_SERVICE))],
        levels=NONE_ALLOWED,
    )


def scts() -> timeseries.Panel:
    """Issued certificates with too few SCTs."""
    few = total(increase(TRUST_CT_SCTS, 'le=~"1|1.0"', part="_bucket", over="30m"), *BY_SERVICE)
    every = total(increase(TRUST_CT_SCTS, part="_count", over="30m"), *BY_SERVICE)
    return time_series_panel(
        PanelText(
            SCTS,
            "Issued with fewer than 2 SCTs",
            "Will browsers accept the TLS certificates that were issued? Share of the certificates that a service "
            "issued within half an hour with fewer than two signed certificate timestamps; browsers require two, and "
            "three for more than 180 days.",
            "Above 0 for TLS: check whether the logs answer, and reissue the certificates. Other certificates need no "
            "SCTs.",
            "No service issues certificates and records them. Call record_certificate_issued.",
        ),
        "percentunit",
        [Query(_SERVICE, ratio(few, every))],
    )


def acme_orders() -> timeseries.Panel:
    """Share of orders that fail."""

    def ended(status: str) -> str:
        return total(increase(TRUST_ACME_ORDERS, f"trust_acme_order_status{status}", over="1h"), *BY_SERVICE)

    return time_series_panel(
        PanelText(
            ACME_ORDERS,
            "ACME orders that fail",
            "Do clients get their certificates? Share of invalid orders among those that ended within an hour. The "
            "line is the threshold of the alert, for at least five failures.",
            "Above the line: the challenges beside it show the reason.",
            "No service records ACME orders. Call record_acme_order.",
            alerts=("TrustAcmeFailures",),
        ),
        "percentunit",
        [Query(_SERVICE, ratio(ended('="invalid"'), ended('=~"valid|invalid"')))],
        levels=rising(red=threshold("TrustAcmeFailures")),
    )


def acme_challenges() -> timeseries.Panel:
    """Challenges by result."""
    by_result = total(increase(TRUST_ACME_CHALLENGES, over="1h"), *_CHALLENGE)
    return time_series_panel(
        PanelText(
            ACME_CHALLENGES,
            "ACME challenges",
            "Which validations fail, and why? Challenges that were validated within an hour, by type, result and type "
            "of the problem (RFC 8555, 6.7). Up to ten with the most.",
            "`dns`, `connection` or `tls`: if every client has them, check the validation's own network and resolver. "
            "`caa`: the domain forbids this CA.",
            "No service records ACME challenges. Call record_acme_challenge.",
        ),
        "short",
        [Query(" ".join(f"{{{{{label}}}}}" for label in _CHALLENGE), highest(by_result, 10))],
        highest_first=True,
    )
