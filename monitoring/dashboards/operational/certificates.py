"""Certificates, certificate operations and revocation lists."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table

from monitoring.dashboards.operational.constants import (
    CERTIFICATE_OPERATIONS,
    CERTIFICATES,
    EXPIRY_LIMITS,
    FAILURE_LIMIT,
    REVOCATION_LISTS,
)
from monitoring.dashboards.panels import Column, PanelText, table_panel
from monitoring.dashboards.queries import increase, ratio, series, total
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling, rising
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_CERTIFICATE_NOT_BEFORE,
    TRUST_CERTIFICATE_OPERATION_DURATION,
)

_KEYS: Final = {"service_name": "Service"}
_KEY_WIDTHS: Final = {"Service": 150}
_ERROR: Final = 'trust_outcome="error"'
_RENEWAL_SHARE: Final = "1 / 3"
"""Share of the lifetime below which a certificate is due for renewal, as in the alert."""


def certificates() -> table.Panel:
    """Certificates and their remaining lifetime."""
    keys = {**_KEYS, "trust_certificate_name": "Certificate", "trust_certificate_type": "Type"}
    by = f"min by ({', '.join(keys)})"
    end, start = series(TRUST_CERTIFICATE_NOT_AFTER), series(TRUST_CERTIFICATE_NOT_BEFORE)
    left = f"{by} ({end} - time())"
    share = f"{by} (({end} - time()) / (({end} - {start}) > 0))"

    def expiring(severity: str) -> str:
        return f"({left} < {EXPIRY_LIMITS[severity]:g} and {share} < {_RENEWAL_SHARE})"

    return table_panel(
        PanelText(
            CERTIFICATES,
            "Certificates",
            "Each certificate that services watch, with the time until it expires in the instance where it is oldest. "
            "Expiring: less than the time of the alert and less than a third of its lifetime are left.",
            "Expiring: renew the certificate, and check that all instances have loaded it.",
            "No service watches certificates. Set TRUST_OTEL_CERTIFICATES.",
            alerts=("TrustCertificateExpiring",),
        ),
        keys,
        (
            Column(
                "State",
                f"{expiring('critical')} * 0 + 2 or {expiring('warning')} * 0 + 1 or {left} * 0",
                levels=rising(yellow=1, red=2),
                texts={"0": ("OK", "green"), "1": ("expiring", "yellow"), "2": ("expiring", "red")},
                width=80,
            ),
            Column("Expires in", left, "s", width=100),
            Column("Lifetime left", share, "percentunit", width=100),
        ),
        sort="State",
        key_widths=_KEY_WIDTHS,
        width=14,
    )


def certificate_operations() -> table.Panel:
    """Certificate operations and their failures."""
    keys = {**_KEYS, "trust_certificate_operation": "Operation", "trust_certificate_type": "Type"}

    def happened(*matchers: str) -> str:
        counted = total(increase(TRUST_CERTIFICATE_OPERATION_DURATION, *matchers, part="_count", over="5m"), *keys)
        # Grafana shows an empty cell as the text for missing data.
        return f'label_replace({counted}, "trust_certificate_type", "none", "trust_certificate_type", "")'

    failed, done = happened('trust_outcome!="success"'), happened()
    return table_panel(
        PanelText(
            CERTIFICATE_OPERATIONS,
            "Certificate operations",
            "Certificate operations within 5 minutes. Failed operations were refused or ended with an error. Refusing "
            "an invalid certificate is correct, and counts as failed; an error never is.",
            "Errors: check the key store, Vault and the PKI in Dependency health. Many failed validations: find out "
            "which issuer or client they come from.",
            "No certificate operations in the last 5 minutes.",
            alerts=("TrustCertificateValidationFailures", "TrustSigningFailures"),
        ),
        keys,
        (
            Column("Total", f"round({done})", "none", width=80),
            Column("Failed", ratio(failed, done), "percentunit", levels=rising(red=FAILURE_LIMIT), width=80),
            Column(
                "Errors",
                f"round({happened(_ERROR)}) or {done} * 0",
                "none",
                levels=NONE_ALLOWED,
                width=80,
            ),
        ),
        sort="Errors",
        key_widths=_KEY_WIDTHS,
        height=6,
    )


def revocation_lists() -> table.Panel:
    """Revocation lists and their next update."""
    keys = {**_KEYS, "trust_certificate_crl_name": "Revocation list"}
    return table_panel(
        PanelText(
            REVOCATION_LISTS,
            "Revocation lists",
            "Time until the issuer must publish the next list, for the newest list that any instance has read. Below "
            "0, strict verifiers reject every certificate of the issuer.",
            "Overdue: check whether the issuer has signed and published a new list, and whether a cache delays it.",
            "No service watches revocation lists. Set TRUST_OTEL_CERTIFICATES.",
            alerts=("TrustRevocationListStale",),
        ),
        keys,
        (
            Column(
                "Next update in",
                f"max by ({', '.join(keys)}) ({series(TRUST_CERTIFICATE_CRL_NEXT_UPDATE)}) - time()",
                "s",
                levels=falling(red=0),
                width=120,
            ),
        ),
        key_widths=_KEY_WIDTHS,
        width=10,
    )
