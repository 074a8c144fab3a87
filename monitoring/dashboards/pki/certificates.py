"""Certificates by time to expiry, rollover of certificate authorities, inventory and issuance."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, ValueTexts, table_panel, time_series_panel
from monitoring.dashboards.pki.constants import (
    BY_SERVICE,
    CA_KINDS,
    CERTIFICATES,
    EXPIRY_LIMIT,
    INVENTORY,
    ISSUANCE,
    KINDS,
    POSITIONS,
    RENEWAL_LEVELS,
    ROLLOVER,
    SERVICE_KEY,
    SERVICE_WIDTH,
    or_unknown,
    warning_from,
)
from monitoring.dashboards.queries import highest, increase, series, total
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling, rising
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_INVENTORY,
    TRUST_CERTIFICATE_LEAD_TIME,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_CERTIFICATE_OPERATION_DURATION,
)

_KIND: Final = "trust_certificate_kind"
_POSITION: Final = "trust_certificate_chain_position"
_LEAD: Final = series(TRUST_CERTIFICATE_LEAD_TIME)
_OF_CAS: Final = f'{_KIND}=~"{"|".join(CA_KINDS)}"'
_REMAINING: Final = f"({series(TRUST_CERTIFICATE_NOT_AFTER)} - time())"
_JOIN: Final = f"ignoring ({_KIND}, {_POSITION}) group_right ()"
UNTIL_RENEWAL: Final = f"{_REMAINING} - {_JOIN} {_LEAD}"
"""Time until the renewal of each certificate is due, in seconds; with the kind and the position."""

_NOT_WATCHED: Final = "No service watches certificates. Set TRUST_OTEL_CERTIFICATES."


def certificates() -> table.Panel:
    """Every certificate by time to expiry."""
    keys = {
        **SERVICE_KEY,
        "trust_certificate_name": "Certificate",
        _KIND: "Kind",
        _POSITION: "Chain position",
    }
    return table_panel(
        PanelText(
            CERTIFICATES,
            "Certificates by time to expiry",
            "Which certificate must be renewed next? Each certificate that services watch, in the instance where it is "
            "oldest. Its renewal is due when no more than the lead time of its kind is left, or a third of its "
            "lifetime if that is less.",
            "Renewal due: renew the certificate, and check that all instances have loaded it. Expiring: less than the "
            "time of the critical alert is left; renew it today.",
            _NOT_WATCHED,
            alerts=("TrustCertificateRenewalDue", "TrustCertificateExpiring"),
        ),
        keys,
        _columns(keys, _LEAD, "Renewal due"),
        sort="State",
        key_texts={"Kind": KINDS, "Chain position": POSITIONS},
        key_widths=SERVICE_WIDTH,
        height=10,
    )


def rollover() -> table.Panel:
    """Certificate authorities and their rollover."""
    keys = {**SERVICE_KEY, "trust_certificate_name": "Authority", _KIND: "Kind"}
    return table_panel(
        PanelText(
            ROLLOVER,
            "CA rollover",
            "When must the next key ceremony be? Roots, issuing CAs and country signing CAs: their rollover is due "
            "when no more than their lead time is left, or a third of their lifetime if that is less.",
            "Rollover due: plan the key ceremony, and publish the new certificate in trust stores, trusted lists and "
            "master lists before it issues anything. No certificate may outlive its issuer.",
            "No service watches a certificate of an authority. Set TRUST_OTEL_CERTIFICATES.",
            alerts=("TrustCaRolloverDue",),
        ),
        keys,
        _columns(keys, series(TRUST_CERTIFICATE_LEAD_TIME, _OF_CAS), "Rollover due"),
        sort="State",
        key_texts={"Kind": CA_KINDS},
        key_widths=SERVICE_WIDTH,
        width=14,
    )


def _columns(keys: dict[str, str], lead: str, due: str) -> tuple[Column, ...]:
    def by_certificate(operator: str, expression: str) -> str:
        found = f"{operator} by ({', '.join(keys)}) ({expression})"
        return or_unknown(found, *(label for label in (_KIND, _POSITION) if label in keys))

    left = by_certificate("min", f"{_REMAINING} + {_JOIN} {lead} * 0")
    until_renewal = by_certificate("min", f"{_REMAINING} - {_JOIN} {lead}")
    return (
        Column(
            "State",
            f"({left} <= 0) * 0 + 3 or ({left} < {EXPIRY_LIMIT:g} and {until_renewal} <= 0) * 0 + 2"
            f" or ({until_renewal} <= 0) * 0 + 1 or {until_renewal} * 0",
            levels=rising(yellow=1, red=2),
            texts=_states(due.lower()),
        ),
        Column("Expires in", left, "s", levels=falling(red=0), width=100),
        Column(f"{due} in", until_renewal, "s", levels=RENEWAL_LEVELS, width=100),
        Column("Lead time", by_certificate("max", lead), "s", width=90),
    )


def _states(due: str) -> ValueTexts:
    return {
        "0": ("OK", "green"),
        "1": (due, "yellow"),
        "2": ("expiring", "red"),
        "3": ("expired", "red"),
    }


def inventory() -> table.Panel:
    """Certificates by status."""

    def having(status: str) -> str:
        # All instances of a service watch the same certificates.
        counted = series(TRUST_CERTIFICATE_INVENTORY, f'trust_certificate_status="{status}"')
        return f"max by ({', '.join(BY_SERVICE)}) ({counted})"

    return table_panel(
        PanelText(
            INVENTORY,
            "Certificates by status",
            "How many certificates does each service watch, and how many are due, expired or revoked? In the instance "
            "with the most of them.",
            "Expired: renew them, or remove their files, so that they do not hide the next one. Revoked: check that "
            "nothing uses them any more.",
            _NOT_WATCHED,
        ),
        SERVICE_KEY,
        (
            Column("Valid", having("valid"), "none"),
            Column("Renewal due", having("expiring"), "none", levels=warning_from(1)),
            Column("Expired", having("expired"), "none", levels=NONE_ALLOWED),
            Column("Revoked", having("revoked"), "none"),
        ),
        sort="Expired",
        key_widths=SERVICE_WIDTH,
        width=10,
    )


def issuance() -> timeseries.Panel:
    """Issued certificates by profile and type."""
    by = (*BY_SERVICE, "trust_certificate_profile", "trust_certificate_type")
    issued = increase(
        TRUST_CERTIFICATE_OPERATION_DURATION,
        'trust_certificate_operation=~"issuance|renewal"',
        'trust_outcome="success"',
        part="_count",
        over="1h",
    )
    return time_series_panel(
        PanelText(
            ISSUANCE,
            "Issued certificates per hour",
            "What is issued, and is it what the CA is meant to issue? Certificates issued or renewed within an hour, "
            "by service, profile and type; the ten with the most.",
            "A profile that nobody expects: stop the issuance and find out who requested it. None of a profile that is "
            "issued every hour: check Certificate operations on the operational dashboard.",
            "No certificate was issued",
        ),
        "none",
        (
            Query(
                "{{service_name}} {{trust_certificate_profile}} {{trust_certificate_type}}",
                highest(total(issued, *by), 10),
            ),
        ),
        highest_first=True,
        width=24,
    )
