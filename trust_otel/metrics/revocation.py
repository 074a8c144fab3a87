"""Revocation latency: from the request to the decision, and until relying parties can see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from time import time
from typing import Final

from trust_otel.metrics.family import Family
from trust_otel.metrics.moments import unix_time
from trust_otel.metrics.store_reader import StoreReader
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments
from trust_otel.semconv.attributes import TRUST_CERTIFICATE_REVOCATION_PENDING
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_PENDING_AGE,
    TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
)

_CLOCK_DIFFERENCE: Final = 60.0
"""Seconds that the clocks of two hosts may differ: an end that is this much earlier than its start is at its start."""

_PENDING: Final = frozenset(map(str, TRUST_CERTIFICATE_REVOCATION_PENDING.members))


class RevocationMetrics(Family):
    """Revocation, suspension and the end of a suspension, which may take days and several processes."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._to_decision = instruments.histogram(TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION)
        self._to_publication = instruments.histogram(TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION)
        self._total = instruments.histogram(TRUST_CERTIFICATE_REVOCATION_DURATION)
        self._pending: StoreReader[Mapping[str, float]] = StoreReader(
            "observe_pending_revocations",
            f"a mapping of {', '.join(map(str, TRUST_CERTIFICATE_REVOCATION_PENDING.members))} to a time or None",
            _since,
            self._dropped,
        )
        self._observes_pending = False

    @fail_open
    def revocation_decided(
        self, *, requested_at: datetime | float, decided_at: datetime | float, reason: str | None = None
    ) -> None:
        """Record that a request to revoke, suspend or unsuspend a certificate was decided.

        Args:
            requested_at: When the request was received; a time without a zone is UTC, a number is Unix time in seconds.
            decided_at: When it was decided, in the same way.
            reason: Reason code of RFC 5280, 5.3.1, such as `keyCompromise`; `certificateHold` for a suspension,
                `removeFromCRL` for its end.
        """
        moments = self._moments("revocation_decided", requested_at, decided_at)
        if moments is not None:
            requested, decided = moments
            self._to_decision(_seconds(requested, decided), {"trust.certificate.revocation.reason": reason})

    @fail_open
    def revocation_published(
        self,
        *,
        requested_at: datetime | float,
        decided_at: datetime | float,
        published_at: datetime | float,
        channel: str,
        reason: str | None = None,
    ) -> None:
        """Record that relying parties can see a decision; once for each channel that publishes it.

        Args:
            requested_at: When the request was received; a time without a zone is UTC, a number is Unix time in seconds.
            decided_at: When it was decided, in the same way.
            published_at: When the channel first showed it, in the same way.
            channel: `crl` or `ocsp`.
            reason: As in `revocation_decided`.
        """
        moments = self._moments("revocation_published", requested_at, decided_at, published_at)
        if moments is not None:
            requested, decided, published = moments
            labels = {
                "trust.certificate.revocation.channel": channel,
                "trust.certificate.revocation.reason": reason,
            }
            self._to_publication(_seconds(decided, published), labels)
            self._total(_seconds(requested, published), labels)

    @fail_open
    def observe_pending_revocations(self, oldest: Callable[[], Mapping[str, datetime | float | None]]) -> None:
        """Export the age of the oldest revocation that waits for its decision or its publication.

        All processes of the service report the same store: the largest age is shown.

        Args:
            oldest: Returns since when the oldest revocation waits, for each of `decision` (when it was requested),
                `crl` and `ocsp` (when it was decided); `None` if none waits, which is exported as an age of 0. It is
                called in a thread at each export and each scrape; if it takes longer than a second, there is no age.
                Another call of `observe_pending_revocations` replaces it.
        """
        if self._pending.use(oldest) and not self._observes_pending:
            self._observes_pending = True
            # Two objects of one process observe the same store.
            self._instruments.observe(TRUST_CERTIFICATE_REVOCATION_PENDING_AGE, self._ages, combine=max)

    def _ages(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        return [
            (age, {TRUST_CERTIFICATE_REVOCATION_PENDING.name: name})
            for ages in self._pending.read()
            for name, age in ages.items()
        ]

    def _moments(self, method: str, *moments: object) -> list[float] | None:
        try:
            return [unix_time(moment) for moment in moments]
        except (ValueError, OverflowError):
            self._dropped.report(
                "invalid_value", method, lambda: f"{method}: pass each time as datetime or as Unix time in seconds"
            )
            return None


def _seconds(start: float, end: float) -> float:
    return 0.0 if -_CLOCK_DIFFERENCE <= end - start < 0 else end - start


def _since(returned: object) -> Mapping[str, float]:
    """The ages by what is waited for."""
    if not isinstance(returned, Mapping):
        raise ValueError(type(returned).__name__)
    now = time()
    ages = {}
    for name, since in returned.items():
        if name not in _PENDING:
            raise ValueError("a mapping with another key")
        try:
            ages[name] = 0.0 if since is None else max(0.0, now - unix_time(since))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{type(since).__name__} for {name}") from error
    return ages
