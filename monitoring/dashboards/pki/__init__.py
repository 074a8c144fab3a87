"""The PKI dashboard, for CA operators and auditors."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.pki.certificates import certificates, inventory, issuance, rollover
from monitoring.dashboards.pki.ct_and_acme import acme_challenges, acme_orders, scts, unknown_certificates
from monitoring.dashboards.pki.keys import (
    hsm_duration,
    hsm_errors,
    hsm_operations,
    hsm_sessions,
    hsm_slots,
    hsm_tokens,
    key_approvals,
    key_uses,
)
from monitoring.dashboards.pki.overview import pki_status
from monitoring.dashboards.pki.revocation import (
    deadlines,
    ocsp_latency,
    ocsp_responses,
    pending,
    reasons,
    responders,
    revocation_latency,
    revocation_lists,
    waiting,
)
from monitoring.dashboards.pki.timestamps import accuracy, clocks, offsets, timestamp_rate, timestamps
from monitoring.dashboards.pki.trust_anchors import anchors, trust_lists
from monitoring.dashboards.pki.validation import indications, results, sub_indications
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
            "Certificates": (certificates(), rollover(), inventory(), issuance()),
            "Revocation": (
                waiting(),
                deadlines(),
                pending(),
                revocation_latency(),
                reasons(),
                revocation_lists(),
                responders(),
                ocsp_responses(),
                ocsp_latency(),
            ),
            "Validation": (indications(), results(), sub_indications()),
            "Timestamps": (timestamps(), timestamp_rate(), accuracy(), clocks(), offsets()),
            "Keys and HSM": (
                key_uses(),
                key_approvals(),
                hsm_errors(),
                hsm_duration(),
                hsm_operations(),
                hsm_sessions(),
                hsm_tokens(),
                hsm_slots(),
            ),
            "Trust anchors": (trust_lists(), anchors()),
            "Certificate transparency and ACME": (unknown_certificates(), scts(), acme_orders(), acme_challenges()),
        },
    )
