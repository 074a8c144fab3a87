"""Revocation and suspension: decisions, their publication, and what waits for them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from sqlalchemy import select
from trust_service import certificates, revocations
from trust_service.authority import Authority, RevocationReason
from trust_service.database import Database
from trust_service.revocations import Publisher, Refusal
from trust_service.tables import Certificate, RevocationRequest
from trust_service.validation import find_problem

from testbed.load_generator.samples import CERTIFICATE_REQUEST


class _DriverError(Exception):
    """As of a driver whose errors SQLAlchemy does not wrap, such as asyncpg while PostgreSQL starts."""


class Desk:
    """An authority with its database."""

    def __init__(self, database: Database) -> None:
        self.authority = Authority()
        self.database = database
        self.publisher = Publisher(self.authority, database)

    async def issue(self) -> Certificate:
        issued = await certificates.issue(
            self.authority, self.database, "alice", CERTIFICATE_REQUEST, "tls_client", timedelta(days=1)
        )
        assert isinstance(issued, Certificate)
        return issued

    async def change(
        self,
        certificate: Certificate,
        reason: RevocationReason,
        requested_at: float | None = None,
        decided_at: float | None = None,
    ) -> Refusal | None:
        request = revocations.new_request(certificate, reason, requested_at or time.time())
        return await revocations.approve(self.authority, self.database, "alice", request, certificate, decided_at)

    def listed(self, certificate: Certificate) -> x509.RevokedCertificate | None:
        published = x509.load_der_x509_crl(self.authority.revocation_list)
        return published.get_revoked_certificate_by_serial_number(int(certificate.serial_number))

    def response(self, certificate: Certificate) -> ocsp.OCSPResponse:
        leaf = x509.load_pem_x509_certificate(certificate.pem.encode())
        request = ocsp.OCSPRequestBuilder().add_certificate(leaf, self.authority.issuing, hashes.SHA256()).build()
        return ocsp.load_der_ocsp_response(self.authority.status_response(request.public_bytes(Encoding.DER)))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'trust.db'}")
    await database.open()
    yield Desk(database)
    await database.close()


async def _stored(desk: Desk) -> list[RevocationRequest]:
    async with desk.database.begin() as transaction:
        return list(await transaction.scalars(select(RevocationRequest).order_by(RevocationRequest.id)))


async def test_relying_parties_see_a_revocation_when_it_is_published(desk: Desk) -> None:
    certificate = await desk.issue()
    assert await desk.change(certificate, "keyCompromise") is None
    assert find_problem(desk.authority, certificate.pem, "tls_client") == "revoked"
    assert desk.listed(certificate) is None
    assert desk.response(certificate).certificate_status is ocsp.OCSPCertStatus.GOOD
    await desk.publisher.publish()
    entry, response = desk.listed(certificate), desk.response(certificate)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_reason is x509.ReasonFlags.key_compromise


async def test_the_times_of_request_decision_and_publication_are_stored_once(desk: Desk) -> None:
    began = time.time()
    await desk.change(await desk.issue(), "superseded", requested_at=began - 100)
    await desk.publisher.publish()
    (first,) = await _stored(desk)
    await desk.publisher.publish()
    (request,) = await _stored(desk)
    assert request.requested_at == began - 100
    assert request.decided_at is not None
    assert request.crl_published_at is not None
    assert began <= request.decided_at <= request.crl_published_at <= time.time()
    assert (request.crl_published_at, request.ocsp_published_at) == (first.crl_published_at, first.ocsp_published_at)


async def test_a_suspension_ends_with_an_unsuspension(desk: Desk) -> None:
    certificate = await desk.issue()
    assert await desk.change(certificate, "certificateHold") is None
    await desk.publisher.publish()
    entry = desk.listed(certificate)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.certificate_hold
    assert find_problem(desk.authority, certificate.pem, "tls_client") == "suspended"
    assert await desk.change(certificate, "removeFromCRL") is None
    await desk.publisher.publish()
    assert desk.listed(certificate) is None
    assert desk.response(certificate).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert find_problem(desk.authority, certificate.pem, "tls_client") is None


@pytest.mark.parametrize(
    ("before", "reason", "refusal"),
    [
        ([], "removeFromCRL", "not_suspended"),
        (["certificateHold"], "certificateHold", "already_suspended"),
        (["certificateHold"], "keyCompromise", None),
        (["keyCompromise"], "keyCompromise", "already_revoked"),
        (["keyCompromise"], "certificateHold", "already_revoked"),
        (["keyCompromise"], "removeFromCRL", "already_revoked"),
        (["certificateHold", "removeFromCRL"], "removeFromCRL", "not_suspended"),
    ],
)
async def test_a_revocation_is_final_and_only_a_suspension_ends(
    desk: Desk, before: list[RevocationReason], reason: RevocationReason, refusal: str | None
) -> None:
    certificate = await desk.issue()
    for earlier in before:
        await desk.change(certificate, earlier)
    assert await desk.change(certificate, reason) == refusal
    assert (await _stored(desk))[-1].approved == (refusal is None)


async def test_a_suspended_certificate_is_not_renewed(desk: Desk) -> None:
    certificate = await desk.issue()
    await desk.change(certificate, "certificateHold")
    assert await certificates.renew(desk.authority, desk.database, "alice", certificate) == "suspended"


async def test_a_request_is_decided_once(desk: Desk) -> None:
    certificate = await desk.issue()
    request = await revocations.request(desk.database, "bob", certificate, "keyCompromise")
    assert await revocations.reject(desk.database, "alice", request) is None
    approval = revocations.approve(desk.authority, desk.database, "alice", request, certificate)
    assert await approval == "already_decided"
    assert await revocations.reject(desk.database, "alice", request) == "already_decided"
    assert find_problem(desk.authority, certificate.pem, "tls_client") is None


async def test_the_oldest_request_of_each_step_is_observed(desk: Desk) -> None:
    await desk.publisher.publish()
    nothing: dict[str, Any] = {"decision": None, "crl": None, "ocsp": None}
    assert desk.publisher.oldest == nothing
    first, second = await desk.issue(), await desk.issue()
    old = await revocations.request(desk.database, "bob", first, "superseded")
    await revocations.request(desk.database, "bob", second, "superseded")
    await desk.publisher.publish()
    assert desk.publisher.oldest == {**nothing, "decision": old.requested_at}
    await revocations.reject(desk.database, "alice", old)
    desk.publisher.publishes_list = False
    await desk.change(first, "keyCompromise", requested_at=10, decided_at=20)
    await desk.publisher.publish()
    newer = (await _stored(desk))[1].requested_at
    assert desk.publisher.oldest == {"decision": newer, "crl": 20, "ocsp": None}
    desk.publisher.publishes_list, desk.publisher.publishes_status = True, False
    await desk.change(second, "keyCompromise", requested_at=10, decided_at=30)
    await desk.publisher.publish()
    assert desk.publisher.oldest == {"decision": newer, "crl": None, "ocsp": 30}


async def test_each_list_has_the_next_number_and_a_next_update(desk: Desk) -> None:
    numbers = []
    for _ in range(3):
        await desk.publisher.publish()
        published = x509.load_der_x509_crl(desk.authority.revocation_list)
        numbers.append(published.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        assert published.next_update_utc is not None
        assert published.next_update_utc > datetime.now(timezone.utc)
    assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_status_responses_are_signed_by_a_delegated_responder(desk: Desk) -> None:
    response = desk.response(await desk.issue())
    (responder,) = response.certificates
    assert responder == desk.authority.responder
    responder.verify_directly_issued_by(desk.authority.issuing)
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert response.this_update_utc <= datetime.now(timezone.utc)
    assert response.next_update_utc is not None
    assert response.next_update_utc > datetime.now(timezone.utc)


@pytest.mark.parametrize(("minutes", "stale"), [(0, False), (57, False), (61, True)])
async def test_a_fault_publishes_with_an_earlier_time(desk: Desk, minutes: int, stale: bool) -> None:
    desk.authority.list_age = desk.authority.status_age = timedelta(minutes=minutes)
    await desk.publisher.publish()
    published = x509.load_der_x509_crl(desk.authority.revocation_list)
    response = desk.response(await desk.issue())
    now = datetime.now(timezone.utc)
    for this_update, next_update in (
        (published.last_update_utc, published.next_update_utc),
        (response.this_update_utc, response.next_update_utc),
    ):
        assert timedelta(minutes=minutes) <= now - this_update < timedelta(minutes=minutes + 1)
        assert next_update is not None
        assert (next_update < now) == stale


async def test_a_list_that_is_not_published_keeps_its_number(desk: Desk) -> None:
    before = desk.authority.revocation_list
    desk.publisher.publishes_list = False
    await desk.publisher.publish()
    assert desk.authority.revocation_list == before


@pytest.mark.parametrize("error", [ConnectionRefusedError, _DriverError])
async def test_a_list_is_published_without_the_database_and_stored_when_it_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    certificate = await desk.issue()
    await desk.change(certificate, "keyCompromise")

    def refuse() -> None:
        raise error

    with monkeypatch.context() as without:
        without.setattr(desk.database, "begin", refuse)
        await desk.publisher.publish()
        assert not await desk.database.is_up()
    assert desk.listed(certificate) is not None
    assert (await _stored(desk))[0].crl_published_at is None
    await desk.publisher.publish()
    assert (await _stored(desk))[0].crl_published_at is not None
