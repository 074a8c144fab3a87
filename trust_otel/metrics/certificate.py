"""Certificates: operations on them, and the ones that the service holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from time import time

from trust_otel.metrics.family import Family, fail_open
from trust_otel.metrics.instruments import Distribution, Instruments, Sum, finite
from trust_otel.metrics.operation import Operation
from trust_otel.semconv.attributes import TRUST_CERTIFICATE_STATUS
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_INVENTORY,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_CERTIFICATE_OPERATION_ACTIVE,
    TRUST_CERTIFICATE_OPERATION_DURATION,
)

_EXPIRING_SECONDS = 30 * 24 * 3600


class CertificateMetrics(Family):
    """Validation, signing, issuance, renewal and revocation, and the inventory."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._certificate_duration = instruments.histogram(TRUST_CERTIFICATE_OPERATION_DURATION)
        self._certificate_active = instruments.up_down_counter(TRUST_CERTIFICATE_OPERATION_ACTIVE)
        self._certificates = _Inventory()
        instruments.observe(TRUST_CERTIFICATE_NOT_AFTER, self._certificates.not_after, combine=min)
        instruments.observe(TRUST_CERTIFICATE_INVENTORY, self._certificates.by_status)

    def certificate_operation(self, operation: str, *, certificate_type: str | None = None) -> CertificateOperation:
        """Measure an operation, as a context manager or a decorator, sync or async.

        Args:
            operation: `validation`, `signing`, `issuance`, `renewal` or `revocation`.
            certificate_type: Kind of certificate, such as `DSC`.
        """
        return CertificateOperation(self._certificate_duration, self._certificate_active, operation, certificate_type)

    @fail_open
    def set_certificate(
        self,
        name: str,
        *,
        not_after: datetime | float,
        certificate_type: str | None = None,
        revoked: bool = False,
    ) -> None:
        """Watch a certificate of the service, or replace what is known of it, as after a renewal.

        Args:
            name: Name under which the service keeps it.
            not_after: End of its validity; a time without a zone is UTC, a number is Unix time in seconds.
            certificate_type: Kind of certificate.
            revoked: Whether its issuer revoked it.
        """
        try:
            self._certificates.put(self._name(name), _Certificate(_unix_time(not_after), certificate_type, revoked))
        except (TypeError, ValueError, OverflowError):
            self._instruments.loss.count("invalid_value")

    @fail_open
    def remove_certificate(self, name: str) -> None:
        """Stop watching a certificate; its series ends."""
        self._certificates.remove(self._name(name))

    def _name(self, name: str) -> str:
        # No more than the label shows, and one character that says it was cut.
        return str(name)[: self._instruments.limits.attribute_length + 1]


class CertificateOperation(Operation):
    """A certificate operation between its start and its end."""

    def __init__(self, duration: Distribution, active: Sum, operation: str, certificate_type: str | None) -> None:
        super().__init__()
        self._duration = duration
        self._active = active
        self._active_labels = {"trust.certificate.operation": operation}
        self._certificate_type = certificate_type

    def _begin(self) -> None:
        self._active(1, self._active_labels)

    def _end(self, seconds: float, outcome: str, reason: str | None) -> None:
        self._active(-1, self._active_labels)
        self._duration(
            seconds,
            {
                **self._active_labels,
                "trust.certificate.type": self._certificate_type,
                "trust.outcome": outcome,
                "error.type": reason,
            },
        )


@dataclass(frozen=True)
class _Certificate:
    not_after: float
    type: str | None
    revoked: bool

    def status(self, now: float) -> str:
        if self.revoked:
            return "revoked"
        if self.not_after <= now:
            return "expired"
        return "expiring" if self.not_after - now <= _EXPIRING_SECONDS else "valid"


class _Inventory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._certificates: dict[str, _Certificate] = {}

    def put(self, name: str, certificate: _Certificate) -> None:
        with self._lock:
            self._certificates[name] = certificate

    def remove(self, name: str) -> None:
        with self._lock:
            self._certificates.pop(name, None)

    def not_after(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        # A revoked certificate is not in use, so that its end is nobody's concern.
        return [
            (
                certificate.not_after,
                {"trust.certificate.name": name, "trust.certificate.type": certificate.type},
            )
            for name, certificate in self._copy().items()
            if not certificate.revoked
        ]

    def by_status(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        now = time()
        counts = Counter(certificate.status(now) for certificate in self._copy().values())
        return [
            (counts[str(status)], {TRUST_CERTIFICATE_STATUS.name: status})
            for status in TRUST_CERTIFICATE_STATUS.members
        ]

    def _copy(self) -> dict[str, _Certificate]:
        with self._lock:
            return dict(self._certificates)


def _unix_time(moment: datetime | float) -> float:
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return aware.timestamp()
    seconds = finite(moment)
    if seconds is None:
        raise ValueError("no finite number")
    return seconds
