"""Lists of trust anchors."""

from __future__ import annotations

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments
from trust_otel.semconv.attributes import TRUST_TRUST_LIST_SIGNATURE_STATUS
from trust_otel.semconv.metrics import (
    TRUST_TRUST_LIST_ANCHORS,
    TRUST_TRUST_LIST_ISSUE_DATE,
    TRUST_TRUST_LIST_NEXT_UPDATE,
    TRUST_TRUST_LIST_SEQUENCE_NUMBER,
    TRUST_TRUST_LIST_SIGNATURE,
)


class TrustListMetrics(Family):
    """Age, size and signature of the lists of trust anchors that the service relies on."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._values = {
            name: instruments.gauge(metric)
            for name, metric in {
                "issue_date": TRUST_TRUST_LIST_ISSUE_DATE,
                "next_update": TRUST_TRUST_LIST_NEXT_UPDATE,
                "sequence_number": TRUST_TRUST_LIST_SEQUENCE_NUMBER,
                "anchors": TRUST_TRUST_LIST_ANCHORS,
            }.items()
        }
        self._signatures = instruments.gauge(TRUST_TRUST_LIST_SIGNATURE)

    @fail_open
    def set_trust_list(
        self,
        name: str,
        *,
        list_type: str,
        issue_date: float | None,
        next_update: float | None,
        sequence_number: float | None,
        anchors: float,
    ) -> None:
        """Show a list, or replace what is known of it.

        Args:
            name: Name of the list.
            list_type: `etsi`, `icao` or `vical`.
            issue_date: When it was issued, as Unix time in seconds; `None` if it states none.
            next_update: When the next one will be issued at the latest, in the same way.
            sequence_number: Its number.
            anchors: Number of certificates in it.
        """
        labels = {"trust.trust_list.name": name, "trust.trust_list.type": list_type}
        values = {
            "issue_date": issue_date,
            "next_update": next_update,
            "sequence_number": sequence_number,
            "anchors": anchors,
        }
        for key, value in values.items():
            if value is None:
                self._values[key].remove(labels)
            else:
                self._values[key].set(value, labels)

    @fail_open
    def set_trust_list_signature(self, name: str, *, list_type: str, status: str) -> None:
        """Show whether the signature of a list is `valid`, `invalid` or `not_verified`."""
        for member in TRUST_TRUST_LIST_SIGNATURE_STATUS.members:
            self._signatures.set(
                1 if member == status else 0,
                {
                    "trust.trust_list.name": name,
                    "trust.trust_list.type": list_type,
                    "trust.trust_list.signature.status": member,
                },
            )

    @fail_open
    def remove_trust_list(self, name: str) -> None:
        """Stop showing a list; its series end."""
        for gauge in (*self._values.values(), self._signatures):
            gauge.remove({"trust.trust_list.name": name})
