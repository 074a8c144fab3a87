"""Lists of trust anchors."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.alerts import threshold
from monitoring.dashboards.panels import Column, PanelText, Query, ValueTexts, table_panel, time_series_panel
from monitoring.dashboards.pki.constants import SERVICE_KEY, SERVICE_WIDTH
from monitoring.dashboards.queries import highest, series
from monitoring.dashboards.thresholds import falling
from trust_otel.semconv.metrics import (
    TRUST_TRUST_LIST_ANCHORS,
    TRUST_TRUST_LIST_ISSUE_DATE,
    TRUST_TRUST_LIST_NEXT_UPDATE,
    TRUST_TRUST_LIST_SEQUENCE_NUMBER,
    TRUST_TRUST_LIST_SIGNATURE,
)

TRUST_LISTS, ANCHORS = 40, 41

_NAME: Final = "trust_trust_list_name"
_TYPE: Final = "trust_trust_list_type"
_TYPES: Final[ValueTexts] = {
    "etsi": ("ETSI trusted list", "text"),
    "icao": ("ICAO master list", "text"),
    "vical": ("VICAL", "text"),
}
_UNSET: Final = "No service reads lists of trust anchors. Set TRUST_OTEL_TRUST_LISTS."
_SOON: Final = threshold("TrustListStale", "warning")


def trust_lists() -> table.Panel:
    """Age and signature of each list."""
    keys = {**SERVICE_KEY, _NAME: "List", _TYPE: "Type"}

    def by_list(expression: str) -> str:
        return f"max by ({', '.join(keys)}) ({expression})"

    def with_signature(status: str) -> str:
        return by_list(series(TRUST_TRUST_LIST_SIGNATURE, f'trust_trust_list_signature_status="{status}"'))

    return table_panel(
        PanelText(
            TRUST_LISTS,
            "Lists of trust anchors",
            "May relying parties still use the trust anchors, and are they those of the scheme operator? The newest "
            "version of each list that an instance has read. A signature is valid if one of the signers in "
            "TRUST_OTEL_TRUST_LIST_SIGNERS signed the list as it is. Master lists state no next update.",
            "Next update soon or passed: check whether the operator has published a new version, and why it is not "
            "read. Signature invalid: do not use the list, and ask the operator. Not verified: name the signers.",
            _UNSET,
            alerts=("TrustListStale", "TrustListSignatureInvalid"),
        ),
        keys,
        (
            Column(
                "Signature",
                f"{with_signature('invalid')} * 2 + {with_signature('not_verified')}",
                texts={
                    "0": ("valid", "green"),
                    "1": ("not verified", "yellow"),
                    "2": ("invalid", "red"),
                    "3": ("invalid", "red"),
                },
            ),
            Column(
                "Next update in",
                by_list(f"{series(TRUST_TRUST_LIST_NEXT_UPDATE)} - time()"),
                "s",
                levels=falling(yellow=_SOON, red=0),
                width=110,
            ),
            Column("Issued", f"time() - {by_list(series(TRUST_TRUST_LIST_ISSUE_DATE))}", "s", width=100),
            Column("Number", by_list(series(TRUST_TRUST_LIST_SEQUENCE_NUMBER)), "none"),
            Column("Anchors", by_list(series(TRUST_TRUST_LIST_ANCHORS)), "none"),
        ),
        sort=("Signature",),
        key_texts={"Type": _TYPES},
        key_widths=SERVICE_WIDTH,
        width=16,
    )


def anchors() -> timeseries.Panel:
    """Number of trust anchors."""
    by_list = f"max by (service_name, {_NAME}) ({series(TRUST_TRUST_LIST_ANCHORS)})"
    return time_series_panel(
        PanelText(
            ANCHORS,
            "Trust anchors",
            "Did trust anchors appear or disappear? The number of different certificates in each list. Up to ten "
            "lists with the most.",
            "A sudden change: compare the versions of the list. Certificates that chain to a removed anchor are no "
            "longer accepted; a new anchor makes others valid.",
            _UNSET,
        ),
        "short",
        [Query(f"{{{{{_NAME}}}}} ({{{{service_name}}}})", highest(by_list, 10))],
        highest_first=True,
        width=8,
    )
