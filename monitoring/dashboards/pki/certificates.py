"""Certificates by time to expiry."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table

from monitoring.dashboards.panels import Column, PanelText, table_panel
from monitoring.dashboards.pki.constants import (
    CERTIFICATES,
    EXPIRY_LIMIT,
    KINDS,
    POSITIONS,
    SERVICE_KEY,
    SERVICE_WIDTH,
    UNKNOWN,
)
from monitoring.dashboards.queries import series
from monitoring.dashboards.thresholds import falling, rising
from trust_otel.semconv.metrics import TRUST_CERTIFICATE_LEAD_TIME, TRUST_CERTIFICATE_NOT_AFTER

_LEAD: Final = series(TRUST_CERTIFICATE_LEAD_TIME)
_KIND: Final = "trust_certificate_kind"
_POSITION: Final = "trust_certificate_chain_position"
REMAINING: Final = f"({series(TRUST_CERTIFICATE_NOT_AFTER)} - time())"
"""Time until each certificate expires, in seconds."""
UNTIL_RENEWAL: Final = f"{REMAINING} - ignoring ({_KIND}, {_POSITION}) group_right () {_LEAD}"
"""Time until the renewal of each certificate is due, in seconds; with the kind and the position."""
_WITH_KIND: Final = f"{REMAINING} - ignoring ({_KIND}, {_POSITION}) group_right () {_LEAD} * 0"


def certificates() -> table.Panel:
    """Every certificate by time to expiry."""
    keys = {
        **SERVICE_KEY,
        "trust_certificate_name": "Certificate",
        _KIND: "Kind",
        _POSITION: "Chain position",
    }

    def by_certificate(operator: str, expression: str) -> str:
        named = f"{operator} by ({', '.join(keys)}) ({expression})"
        # Grafana shows an empty cell as the text for missing data.
        for label in (_KIND, _POSITION):
            named = f'label_replace({named}, "{label}", "{UNKNOWN}", "{label}", "")'
        return named

    left, until_renewal = by_certificate("min", _WITH_KIND), by_certificate("min", UNTIL_RENEWAL)
    return table_panel(
        PanelText(
            CERTIFICATES,
            "Certificates by time to expiry",
            "Which certificate must be renewed next? Each certificate that services watch, in the instance where it is "
            "oldest. Renewal is due when the lead time of its kind is left: months for CAs, days for TLS, and never "
            "more than a third of the lifetime.",
            "Renewal due: renew the certificate, and check that all instances have loaded it. A CA needs a new key and "
            "its publication in trust stores before the old one stops issuing.",
            "No service watches certificates. Set TRUST_OTEL_CERTIFICATES.",
            alerts=("TrustCertificateExpiring",),
        ),
        keys,
        (
            Column(
                "State",
                f"({left} <= 0) * 0 + 3 or ({left} < {EXPIRY_LIMIT:g} and {until_renewal} <= 0) * 0 + 2"
                f" or ({until_renewal} <= 0) * 0 + 1 or {until_renewal} * 0",
                levels=rising(yellow=1, red=2),
                texts={
                    "0": ("OK", "green"),
                    "1": ("renewal due", "yellow"),
                    "2": ("expiring", "red"),
                    "3": ("expired", "red"),
                },
            ),
            Column("Expires in", left, "s", levels=falling(red=0), width=100),
            Column("Renewal due in", until_renewal, "s", levels=falling(yellow=1, red=-1), width=120),
            Column("Lead time", by_certificate("max", _LEAD), "s", width=100),
        ),
        sort=("State",),
        key_texts={"Kind": KINDS, "Chain position": POSITIONS},
        key_widths=SERVICE_WIDTH,
    )
