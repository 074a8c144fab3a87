"""Certificates: operations on them, and the ones that the service holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Final, ParamSpec, TypeVar

from trust_otel import forks
from trust_otel.metrics.family import Family
from trust_otel.metrics.moments import unix_time
from trust_otel.metrics.operation import Operation
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import BoundedCounter, BoundedHistogram, Instruments, PositionalLabels
from trust_otel.recording.self_metrics import DroppedMeasurements
from trust_otel.recording.series import CounterSeries, HistogramSeries
from trust_otel.semconv.attributes import TRUST_CERTIFICATE_OCSP_STATUS, TRUST_CERTIFICATE_STATUS
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
    TRUST_CERTIFICATE_CRL_NUMBER,
    TRUST_CERTIFICATE_CRL_SIZE,
    TRUST_CERTIFICATE_CRL_THIS_UPDATE,
    TRUST_CERTIFICATE_INVENTORY,
    TRUST_CERTIFICATE_LEAD_TIME,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_CERTIFICATE_NOT_BEFORE,
    TRUST_CERTIFICATE_OCSP_NEXT_UPDATE,
    TRUST_CERTIFICATE_OCSP_REQUEST_DURATION,
    TRUST_CERTIFICATE_OCSP_RESPONSES,
    TRUST_CERTIFICATE_OCSP_THIS_UPDATE,
    TRUST_CERTIFICATE_OPERATION_ACTIVE,
    TRUST_CERTIFICATE_OPERATION_DURATION,
)

_DAY: Final = 24 * 3600.0
_OPERATION: Final = "trust.certificate.operation"
_ENDED: Final = ("trust.certificate.type", "trust.certificate.profile", "trust.outcome", "error.type")
"""Attributes of the duration besides the operation."""
_LEAD_TIME: Final = 30 * _DAY
"""Lead time in seconds of a certificate whose kind is not known."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class CertificateMetrics(Family):
    """Validation, signing, issuance, renewal and revocation, and the inventory."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._duration = instruments.histogram(TRUST_CERTIFICATE_OPERATION_DURATION)
        self._active = instruments.up_down_counter(TRUST_CERTIFICATE_OPERATION_ACTIVE)
        self._kinds: dict[str, OperationKind] = {}
        lead_times = {kind: days * _DAY for kind, days in instruments.limits.certificate_lead_days}
        self._certificates = _Inventory(lead_times)
        self._crls = {
            name: instruments.gauge(metric)
            for name, metric in {
                "next_update": TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
                "this_update": TRUST_CERTIFICATE_CRL_THIS_UPDATE,
                "number": TRUST_CERTIFICATE_CRL_NUMBER,
                "size": TRUST_CERTIFICATE_CRL_SIZE,
            }.items()
        }
        self._ocsp_responses = PositionalLabels(
            instruments.counter(TRUST_CERTIFICATE_OCSP_RESPONSES),
            "trust.certificate.ocsp.responder",
            "trust.certificate.ocsp.status",
        )
        self._ocsp_duration = PositionalLabels(
            instruments.histogram(TRUST_CERTIFICATE_OCSP_REQUEST_DURATION),
            "trust.certificate.ocsp.responder",
            "trust.certificate.ocsp.status",
        )
        self._ocsp_this_updates = instruments.gauge(TRUST_CERTIFICATE_OCSP_THIS_UPDATE)
        self._ocsp_next_updates = instruments.gauge(TRUST_CERTIFICATE_OCSP_NEXT_UPDATE)
        instruments.observe(TRUST_CERTIFICATE_NOT_AFTER, self._certificates.not_after, combine=min)
        instruments.observe(TRUST_CERTIFICATE_NOT_BEFORE, self._certificates.not_before, combine=min)
        instruments.observe(TRUST_CERTIFICATE_LEAD_TIME, self._certificates.lead_times, combine=max)
        instruments.observe(TRUST_CERTIFICATE_INVENTORY, self._certificates.by_status)

    def certificate_operation(
        self, operation: str, *, certificate_type: str | None = None, profile: str | None = None
    ) -> CertificateOperation:
        """Measure an operation, as a context manager or a decorator, sync or async.

        Args:
            operation: `validation`, `signing`, `issuance`, `renewal`, `revocation`, `suspension`, `unsuspension`,
                `key_generation`, `timestamp`, `ocsp_response` or `crl_publication`.
            certificate_type: Kind of certificate, such as `DSC`.
            profile: Certificate profile; its name appears only if TRUST_OTEL_CERTIFICATE_PROFILES lists it.
        """
        try:
            kind = self._kinds[operation]
        except Exception:  # a new kind, or an unhashable value
            kind = OperationKind(self._active, self._duration, self._dropped, operation, self._kinds)
        return CertificateOperation(kind, certificate_type, profile)

    @fail_open
    def set_certificate(
        self,
        name: str,
        *,
        not_after: datetime | float,
        not_before: datetime | float | None = None,
        certificate_type: str | None = None,
        kind: str | None = None,
        chain_position: str | None = None,
        revoked: bool = False,
    ) -> None:
        """Show a certificate of the service, or replace it after a renewal.

        In the inventory it is `expiring` when its lead time or less is left: the days of its kind in
        TRUST_OTEL_CERTIFICATE_LEAD_DAYS, 30 days without a kind, and at most a third of its lifetime, because a
        certificate that is renewed every week would otherwise always be `expiring`.

        Args:
            name: Name under which the service keeps it.
            not_after: End of its validity; a time without a zone is UTC, a number is Unix time in seconds.
            not_before: Begin of its validity, in the same way; without it, the days of its kind are its lead time.
            certificate_type: Type of certificate, as the service names it.
            kind: `root`, `issuing_ca`, `csca`, `signer`, `tls`, `ocsp_responder` or `tsa`.
            chain_position: `root`, `intermediate` or `end_entity`.
            revoked: Whether its issuer revoked it.
        """
        try:
            begin = None if not_before is None else unix_time(not_before)
            end = unix_time(not_after)
        except (TypeError, ValueError, OverflowError):
            self._report_moment("set_certificate", "not_after and not_before")
            return
        certificate = _Certificate(end, begin, certificate_type, kind, chain_position, revoked)
        self._certificates.put(self._name(name), certificate)

    @fail_open
    def remove_certificate(self, name: str) -> None:
        """Stop showing a certificate; its series ends."""
        self._certificates.remove(self._name(name))

    @fail_open
    def set_crl(
        self,
        name: str,
        *,
        next_update: datetime | float | None = None,
        this_update: datetime | float | None = None,
        number: float | None = None,
        size: float | None = None,
    ) -> None:
        """Watch a certificate revocation list, or replace what is known of it.

        Args:
            name: Name of the list.
            next_update: Its `nextUpdate` (RFC 5280, 5.1.2.5); a time without a zone is UTC, a
                number is Unix time in seconds.
            this_update: Its `thisUpdate`, in the same way.
            number: Its CRL number (RFC 5280, 5.2.3).
            size: Its size in bytes.
        """
        try:
            values = {
                "next_update": None if next_update is None else unix_time(next_update),
                "this_update": None if this_update is None else unix_time(this_update),
                "number": number,
                "size": size,
            }
        except (TypeError, ValueError, OverflowError):
            self._report_moment("set_crl", "next_update and this_update")
            return
        labels = {"trust.certificate.crl.name": name}
        for key, value in values.items():
            if value is None:
                self._crls[key].remove(labels)
            else:
                self._crls[key].set(value, labels)

    @fail_open
    def remove_crl(self, name: str) -> None:
        """Stop watching a certificate revocation list; its series end."""
        for gauge in self._crls.values():
            gauge.remove({"trust.certificate.crl.name": name})

    @fail_open
    def declare_ocsp_responder(self, responder: str) -> None:
        """Export the responses of an OCSP responder as 0 from the start, so that an alert sees the first one."""
        for status in TRUST_CERTIFICATE_OCSP_STATUS.members:
            self._ocsp_responses(0, responder, str(status))

    @fail_open
    def record_ocsp_response(self, responder: str, *, status: str, duration: float) -> None:
        """Count a response of an OCSP responder (RFC 6960).

        Args:
            responder: Name of the responder.
            status: `good`, `revoked`, `unknown`, or `error` for no valid response.
            duration: Seconds until it was received and verified.
        """
        self._ocsp_responses(1, responder, status)
        self._ocsp_duration(duration, responder, status)

    @fail_open
    def set_ocsp_validity(self, responder: str, *, this_update: float, next_update: float | None) -> None:
        """Show how old the responses of an OCSP responder are.

        Args:
            responder: Name of the responder.
            this_update: Oldest `thisUpdate` of the responses, as Unix time in seconds.
            next_update: Earliest `nextUpdate`, in the same way; `None` if it gives none.
        """
        labels = {"trust.certificate.ocsp.responder": responder}
        self._ocsp_this_updates.set(this_update, labels)
        if next_update is None:
            self._ocsp_next_updates.remove(labels)
        else:
            self._ocsp_next_updates.set(next_update, labels)

    @fail_open
    def remove_ocsp_validity(self, responder: str) -> None:
        """Stop showing how old the responses of an OCSP responder are."""
        for gauge in (self._ocsp_this_updates, self._ocsp_next_updates):
            gauge.remove({"trust.certificate.ocsp.responder": responder})

    def _report_moment(self, method: str, names: str) -> None:
        self._dropped.report(
            "invalid_value", method, lambda: f"{method}: pass {names} as datetime or as Unix time in seconds"
        )

    def _name(self, name: str) -> str:
        # No more than the label shows, and one character that says it was cut.
        return str(name)[: self._instruments.limits.attribute_length + 1]


class OperationKind:
    """Certificate operations of one name, with their series.

    Args:
        active: Counts those that have not ended.
        duration: Measures those that have.
        dropped: Counts what cannot be recorded.
        operation: The name.
        kept: Where the kind is kept, by name.
    """

    __slots__ = ("_active", "_dropped", "_duration", "_ended", "_kept", "_labels", "_running")

    def __init__(
        self,
        active: BoundedCounter,
        duration: BoundedHistogram,
        dropped: DroppedMeasurements,
        operation: str,
        kept: dict[str, OperationKind],
    ) -> None:
        self._active = active
        self._duration = duration
        self._dropped = dropped
        self._kept = kept
        self._labels = {_OPERATION: operation}
        self._running: CounterSeries | None = None
        self._ended: dict[tuple[object, ...], HistogramSeries] = {}

    def count_active(self, change: int) -> None:
        """Add 1 for an operation that begins, -1 for one that ends."""
        try:
            if self._running is not None:
                self._running.add(change)
                return
            self._active(change, self._labels)
            # Only what is recorded unchanged: what clients vary must not fill the memory.
            self._running = self._active.kept_series(self._labels)
            if self._running is not None:
                self._kept[self._labels[_OPERATION]] = self
        except Exception:
            self._dropped.count("internal_error")

    def record_duration(
        self, seconds: float, certificate_type: str | None, profile: str | None, outcome: str, reason: str | None
    ) -> None:
        """Record an operation that ended."""
        try:
            series = self._ended[certificate_type, profile, outcome, reason]
        except Exception:  # new values, or an unhashable one
            self._record_first(seconds, certificate_type, profile, outcome, reason)
            return
        try:
            series.record(seconds)
        except Exception:
            self._dropped.count("internal_error")

    def _record_first(self, seconds: float, *values: object) -> None:
        labels = {**self._labels, **dict(zip(_ENDED, values, strict=True))}
        self._duration(seconds, labels)
        series = self._duration.kept_series(labels)
        if series is not None:
            self._ended[values] = series


class CertificateOperation(Operation):
    """A certificate operation between its start and its end.

    Attributes:
        certificate_type: Kind of certificate; may be set until the end.
        profile: Certificate profile; may be set until the end.
    """

    _running = False
    _entered: tuple[CertificateOperation, ...] = ()

    def __init__(self, kind: OperationKind, certificate_type: str | None, profile: str | None) -> None:
        self._kind = kind
        self.certificate_type = certificate_type
        self.profile = profile

    @staticmethod
    def any_running() -> bool:
        """Whether the current context is part of an operation that has not ended."""
        # A task that was started within an operation may outlive it.
        for operation in _operations.get():  # noqa: SIM110 - a generator takes as long as all the rest
            if operation._running:
                return True
        return False

    def _begin(self) -> None:
        self._running = True
        self._enter_context()
        self._kind.count_active(1)

    def _end(self, seconds: float, outcome: str, reason: str | None) -> None:
        self._running = False
        self._leave_context()
        self._kind.count_active(-1)
        self._kind.record_duration(seconds, self.certificate_type, self.profile, outcome, reason)

    @contextmanager
    def outside(self) -> Iterator[None]:
        self._leave_context()
        try:
            yield
        finally:
            self._enter_context()

    def _enter_context(self) -> None:
        outer = _operations.get()
        self._entered = (*outer, self) if outer else (self,)
        self._token = _operations.set(self._entered)

    def _leave_context(self) -> None:
        entered = self._entered
        # Otherwise the operation holds itself, and only a garbage collection frees it.
        self._entered = ()
        if len(entered) == 1 and _operations.get() is entered:
            try:
                _operations.reset(self._token)
                return
            except ValueError:  # it is a copy of the context in which it began
                pass
        # A generator may end in another context than it began in, and not in order.
        _operations.set(tuple(other for other in _operations.get() if other is not self and other._running))


_operations: ContextVar[tuple[CertificateOperation, ...]] = ContextVar("trust_otel_certificate_operations", default=())
"""The operations that the current context is part of; some may have ended elsewhere."""


def carry_operations(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """The function as a part of the current operations, for a thread that does not inherit the context."""
    operations = _operations.get()
    if not operations:
        return function

    def carried(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        token = _operations.set(operations)
        try:
            return function(*args, **kwargs)
        finally:
            _operations.reset(token)

    return carried


@dataclass(frozen=True)
class _Certificate:
    not_after: float
    not_before: float | None
    type: str | None
    kind: str | None
    position: str | None
    revoked: bool

    def status(self, now: float, lead_times: Mapping[str, float]) -> str:
        if self.revoked:
            return "revoked"
        if self.not_after <= now:
            return "expired"
        return "expiring" if self.not_after - now <= self.lead_time(lead_times) else "valid"

    def lead_time(self, lead_times: Mapping[str, float]) -> float:
        """The time in seconds before its expiry at which it is due for renewal."""
        # A service may pass anything, also what cannot be looked up.
        seconds = lead_times.get(self.kind, _LEAD_TIME) if isinstance(self.kind, str) else _LEAD_TIME
        if self.not_before is None:
            return seconds
        return max(0.0, min(seconds, (self.not_after - self.not_before) / 3))


class _Inventory:
    def __init__(self, lead_times: Mapping[str, float]) -> None:
        self._lead_times = lead_times
        self._lock = forks.released_in_child(threading.Lock())
        self._certificates: dict[str, _Certificate] = {}
        self._used = False

    def put(self, name: str, certificate: _Certificate) -> None:
        with self._lock:
            self._certificates[name] = certificate
            self._used = True

    def remove(self, name: str) -> None:
        with self._lock:
            self._certificates.pop(name, None)

    def not_after(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        return [(certificate.not_after, labels) for certificate, labels in self._in_use()]

    def not_before(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        return [
            (certificate.not_before, labels)
            for certificate, labels in self._in_use()
            if certificate.not_before is not None
        ]

    def lead_times(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        return [
            (
                certificate.lead_time(self._lead_times),
                {
                    **labels,
                    "trust.certificate.kind": certificate.kind,
                    "trust.certificate.chain.position": certificate.position,
                },
            )
            for certificate, labels in self._in_use()
        ]

    def _in_use(self) -> Iterable[tuple[_Certificate, Mapping[str, object]]]:
        # A revoked certificate is not in use, so its expiry does not matter.
        return [
            (certificate, {"trust.certificate.name": name, "trust.certificate.type": certificate.type})
            for name, certificate in self._copy().items()
            if not certificate.revoked
        ]

    def by_status(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        # A service without certificates has no inventory; one whose certificates are all removed has an empty one.
        if not self._used:
            return []
        now = time()
        counts = Counter(certificate.status(now, self._lead_times) for certificate in self._copy().values())
        return [
            (counts[str(status)], {TRUST_CERTIFICATE_STATUS.name: status})
            for status in TRUST_CERTIFICATE_STATUS.members
        ]

    def _copy(self) -> dict[str, _Certificate]:
        with self._lock:
            return dict(self._certificates)
