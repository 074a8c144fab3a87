"""Automatic certificate management (ACME, RFC 8555)."""

from __future__ import annotations

from typing import Final

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, PositionalLabels
from trust_otel.semconv.metrics import TRUST_ACME_CHALLENGES, TRUST_ACME_ORDERS

_ERROR: Final = "urn:ietf:params:acme:error:"


class AcmeMetrics(Family):
    """Orders and challenges, of a CA's ACME server or of a client."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._orders = PositionalLabels(
            instruments.counter(TRUST_ACME_ORDERS), "trust.acme.order.status", "trust.acme.error.type"
        )
        self._challenges = PositionalLabels(
            instruments.counter(TRUST_ACME_CHALLENGES),
            "trust.acme.challenge.type",
            "trust.acme.challenge.status",
            "trust.acme.error.type",
        )

    @fail_open
    def record_acme_order(self, status: str, *, error_type: str | None = None) -> None:
        """Count an order that reached a status.

        Args:
            status: `pending`, `ready`, `processing`, `valid` or `invalid` (RFC 8555, 7.1.6).
            error_type: Type of the problem of an invalid order, such as `caa`, with or without
                `urn:ietf:params:acme:error:` (RFC 8555, 6.7).
        """
        self._orders(1, status, _without_prefix(error_type))

    @fail_open
    def record_acme_challenge(self, challenge_type: str, *, status: str, error_type: str | None = None) -> None:
        """Count the validation of a challenge.

        Args:
            challenge_type: `http-01`, `dns-01` or `tls-alpn-01`.
            status: `valid` or `invalid`.
            error_type: Type of the problem of an invalid challenge, such as `dns`; as in `record_acme_order`.
        """
        self._challenges(1, challenge_type, status, _without_prefix(error_type))


def _without_prefix(error_type: str | None) -> str | None:
    return None if error_type is None else error_type.removeprefix(_ERROR)
