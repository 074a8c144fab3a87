"""Revocation and suspension of certificates: request, decision and publication."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Label, and_, case, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from trust_otel import get_metrics

from .audit import audited
from .authority import PROFILES, Authority, RevocationReason
from .certificates import status_of
from .database import Database
from .tables import Certificate, RevocationRequest

metrics = get_metrics()

Refusal = Literal["already_revoked", "already_suspended", "not_suspended", "already_decided"]
Channel = Literal["crl", "ocsp"]

# Operation and audited action of a decision.
_REVOCATION = ("revocation", "certificate.revoke")
_OPERATIONS: dict[str, tuple[str, str]] = {
    "certificateHold": ("suspension", "certificate.suspend"),
    "removeFromCRL": ("unsuspension", "certificate.unsuspend"),
}


async def request(
    database: Database, actor: str, certificate: Certificate, reason: RevocationReason
) -> RevocationRequest:
    """Store a request, to be decided later."""
    made = new_request(certificate, reason, time.time())
    async with audited(database, actor, "certificate.revocation.request") as transaction:
        transaction.add(made)
    return made


def new_request(certificate: Certificate, reason: RevocationReason, requested_at: float) -> RevocationRequest:
    return RevocationRequest(serial_number=certificate.serial_number, reason=reason, requested_at=requested_at)


async def find(database: Database, request_id: int) -> tuple[RevocationRequest, Certificate] | None:
    """A request and its certificate."""
    async with database.begin() as transaction:
        request = await transaction.get(RevocationRequest, request_id)
        if request is None:
            return None
        certificate = await transaction.get(Certificate, request.serial_number)
        return None if certificate is None else (request, certificate)


async def approve(
    authority: Authority,
    database: Database,
    actor: str,
    request: RevocationRequest,
    certificate: Certificate,
    decided_at: float | None = None,
) -> Refusal | None:
    """Revoke, suspend or unsuspend the certificate; returns why not, if the request cannot be fulfilled.

    Args:
        decided_at: When it was decided, as Unix time in seconds; by default now.
    """
    operation, action = _OPERATIONS.get(request.reason, _REVOCATION)
    kind = certificate.certificate_type
    async with metrics.certificate_operation(operation, certificate_type=kind, profile=PROFILES[kind]) as op:
        refusal = _refusal_of(request, certificate)
        if refusal is not None:
            op.fail(refusal)
        async with audited(database, actor, action, success=refusal is None) as transaction:
            if refusal != "already_decided":
                request.decided_at, request.approved = decided_at or time.time(), refusal is None
                await transaction.merge(request)
            if refusal is None:
                _apply(authority, request, certificate)
                await transaction.merge(certificate)
    if refusal != "already_decided":
        _record_decision(request)
    return refusal


async def reject(database: Database, actor: str, request: RevocationRequest) -> Refusal | None:
    """Decide that the certificate stays as it is."""
    if request.decided_at is not None:
        return "already_decided"
    async with audited(database, actor, "certificate.revocation.reject") as transaction:
        request.decided_at, request.approved = time.time(), False
        await transaction.merge(request)
    _record_decision(request)
    return None


def _record_decision(request: RevocationRequest) -> None:
    if request.decided_at is not None:
        metrics.revocation_decided(
            requested_at=request.requested_at, decided_at=request.decided_at, reason=request.reason
        )


def _refusal_of(request: RevocationRequest, certificate: Certificate) -> Refusal | None:
    status = status_of(certificate)
    if request.decided_at is not None:
        return "already_decided"
    if status == "revoked":
        return "already_revoked"
    if request.reason == "removeFromCRL":
        return None if status == "suspended" else "not_suspended"
    return "already_suspended" if request.reason == "certificateHold" and status == "suspended" else None


def _apply(authority: Authority, request: RevocationRequest, certificate: Certificate) -> None:
    # Before the transaction ends: what the database has is then also in what is published next.
    serial_number, now = int(certificate.serial_number), int(time.time())
    if request.reason == "removeFromCRL":
        certificate.suspended_at = None
        authority.unsuspend(serial_number)
        return
    if request.reason == "certificateHold":
        certificate.suspended_at = now
    else:
        certificate.revoked_at, certificate.suspended_at = now, None
    authority.revoke(serial_number, request.reason)


class Publisher:
    """Publishes decisions in the revocation list and at the OCSP responder.

    Attributes:
        publishes_list: Whether revocation lists are published.
        publishes_status: Whether the OCSP responder gets the decisions.
        oldest: Since when the oldest request waits, for each of `decision`, `crl` and `ocsp`.
    """

    def __init__(self, authority: Authority, database: Database) -> None:
        self.publishes_list = True
        self.publishes_status = True
        self.oldest: dict[str, float | None] = {}
        self._authority = authority
        self._database = database

    async def publish(self) -> None:
        """Publish all decisions, and store when that was."""
        try:
            async with self._database.begin() as transaction:
                decided = (await transaction.scalars(_UNPUBLISHED)).all()
                published = list(self._publish(decided))
                self.oldest = dict((await transaction.execute(_OLDEST)).mappings().one())
        except Exception:
            # Relying parties need a current list also without the database, whatever its driver raises.
            list(self._publish(()))
            return
        for channel, each in published:
            _record_publication(channel, each)

    def _publish(self, decided: Sequence[RevocationRequest]) -> Iterator[tuple[Channel, RevocationRequest]]:
        if self.publishes_list:
            self._authority.publish_list()
            for each in decided:
                if each.crl_published_at is None:
                    each.crl_published_at = time.time()
                    yield "crl", each
        if self.publishes_status:
            self._authority.publish_status()
            for each in decided:
                if each.ocsp_published_at is None:
                    each.ocsp_published_at = time.time()
                    yield "ocsp", each


def _record_publication(channel: Channel, request: RevocationRequest) -> None:
    published_at = request.crl_published_at if channel == "crl" else request.ocsp_published_at
    if request.decided_at is not None and published_at is not None:
        metrics.revocation_published(
            requested_at=request.requested_at,
            decided_at=request.decided_at,
            published_at=published_at,
            channel=channel,
            reason=request.reason,
        )


_UNPUBLISHED = select(RevocationRequest).where(
    RevocationRequest.approved.is_(True),
    or_(RevocationRequest.crl_published_at.is_(None), RevocationRequest.ocsp_published_at.is_(None)),
)


def _oldest(name: str, waits: ColumnElement[bool], since: InstrumentedAttribute[Any]) -> Label[float | None]:
    return func.min(case((waits, since))).label(name)


_OLDEST = select(
    _oldest("decision", RevocationRequest.decided_at.is_(None), RevocationRequest.requested_at),
    *(
        _oldest(channel, and_(RevocationRequest.approved.is_(True), column.is_(None)), RevocationRequest.decided_at)
        for channel, column in (
            ("crl", RevocationRequest.crl_published_at),
            ("ocsp", RevocationRequest.ocsp_published_at),
        )
    ),
)
