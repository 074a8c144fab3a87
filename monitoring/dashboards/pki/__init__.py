"""The PKI dashboard, for CA operators and auditors."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.pki.certificates import certificates
from monitoring.dashboards.pki.overview import pki_status
from monitoring.dashboards.template import PKI, add_rows, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    empty = new_dashboard(
        PKI,
        "Trust service: PKI",
        "Certificates and their renewal, revocation, validation and timestamps. For CA operators and auditors.",
        shown="now-24h",
    )
    return add_rows(
        empty,
        {
            "Overview": (pki_status(),),
            "Certificates": (certificates(),),
        },
    )
