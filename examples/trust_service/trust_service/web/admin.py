"""The admin API: a separate application, so that it can be mounted elsewhere or left out."""

from __future__ import annotations

import hmac
import ipaddress
from datetime import timedelta
from typing import Annotated

import pyotp
from fastapi import Depends, FastAPI, HTTPException, Path
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from trust_otel import get_metrics

from .. import certificates, revocations
from ..access import MachineRole, PersonRole
from ..audit import audited
from ..authority import RevocationReason
from ..credentials import hash_password, hash_token, new_token
from ..faults import Fault
from ..tables import Account, Machine
from ..timestamping import PROFILE
from .dependencies import Bearer, CurrentService
from .revocations import ShownRequest, shown_request

metrics = get_metrics()

_ACTOR = "administrator"

Name = Annotated[str, Path(pattern=r"^[\w.@-]{1,100}$")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class NewAccount(BaseModel):
    password: Annotated[str, Field(min_length=12, max_length=200)]
    role: PersonRole
    country: Country
    client: Annotated[str, Field(max_length=100)]
    totp: bool


class CreatedAccount(BaseModel):
    totp_secret: str | None


class NewMachine(BaseModel):
    role: MachineRole
    country: Country


class CreatedMachine(BaseModel):
    token: str


class SignerOrder(BaseModel):
    validity_seconds: Annotated[int, Field(ge=1, le=365 * 86_400)] = 365 * 86_400


class ReceivedRequest(BaseModel):
    serial_number: Annotated[str, Field(pattern=r"^\d{1,50}$")]
    reason: RevocationReason = "unspecified"
    requested_at: Annotated[float, Field(ge=0, description="Unix time in seconds")]
    decided_at: Annotated[float | None, Field(ge=0, description="Unix time in seconds; without it, not yet")] = None


class FaultOrder(BaseModel):
    seconds: Annotated[float, Field(gt=0, le=300)]


async def _administrator(service: CurrentService, bearer: Bearer) -> None:
    expected = service.settings.admin_token
    if expected is None:
        raise HTTPException(503, "set TRUST_SERVICE_ADMIN_TOKEN to open the administration")
    if bearer is None:
        raise HTTPException(401, "token missing")
    success = hmac.compare_digest(bearer.credentials.encode(), expected.encode())
    metrics.record_auth_attempt(method="token", success=success)
    if not success:
        raise HTTPException(401, "wrong token")


admin = FastAPI(title="Administration", dependencies=[Depends(_administrator)])


@admin.put("/accounts/{name}", status_code=201)
async def put_account(name: Name, wanted: NewAccount, service: CurrentService) -> CreatedAccount:
    secret = pyotp.random_base32() if wanted.totp else None
    account = Account(
        name=name,
        password_hash=await run_in_threadpool(hash_password, wanted.password),
        role=wanted.role,
        country=wanted.country,
        client=wanted.client,
        totp_secret=secret,
    )
    async with audited(service.database, _ACTOR, "account.put") as transaction:
        await transaction.merge(account)
    return CreatedAccount(totp_secret=secret)


@admin.put("/machines/{name}", status_code=201)
async def put_machine(name: Name, wanted: NewMachine, service: CurrentService) -> CreatedMachine:
    token = new_token()
    machine = Machine(name=name, token_hash=hash_token(token), role=wanted.role, country=wanted.country)
    async with audited(service.database, _ACTOR, "machine.put") as transaction:
        await transaction.merge(machine)
    return CreatedMachine(token=token)


@admin.put("/blocklist/{address}", status_code=204)
async def block_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, service: CurrentService) -> None:
    async with audited(service.database, _ACTOR, "address.block"):
        service.blocked_addresses.add(str(address))


@admin.post("/signer/renew", status_code=204)
async def renew_signer(wanted: SignerOrder, service: CurrentService) -> None:
    async with audited(service.database, _ACTOR, "signer.renew"):
        with metrics.certificate_operation("renewal", certificate_type="document_signer"):
            service.signer.certify(timedelta(seconds=wanted.validity_seconds))
        await run_in_threadpool(service.publish_certificates)


@admin.post("/timestamping/renew", status_code=204)
async def renew_timestamping(service: CurrentService) -> None:
    """Give the timestamping authority a new key and certificate."""
    async with audited(service.database, _ACTOR, "timestamping.renew"):
        with metrics.certificate_operation("renewal", certificate_type="tsa", profile=PROFILE):
            service.timestamping.renew()
        await run_in_threadpool(service.publish_certificates)


@admin.post("/revocation-requests", status_code=201)
async def enter_revocation_request(wanted: ReceivedRequest, service: CurrentService) -> ShownRequest:
    """Enter a request that was received, or also decided, by other means than this API."""
    certificate = await certificates.find(service.database, wanted.serial_number)
    if certificate is None:
        raise HTTPException(404, "no such certificate")
    request = revocations.new_request(certificate, wanted.reason, wanted.requested_at)
    async with audited(service.database, _ACTOR, "certificate.revocation.request") as transaction:
        transaction.add(request)
    if wanted.decided_at is not None:
        await revocations.approve(service.authority, service.database, _ACTOR, request, certificate, wanted.decided_at)
    return shown_request(request)


@admin.post("/faults/{fault}", status_code=202)
async def begin_fault(fault: Fault, wanted: FaultOrder, service: CurrentService) -> None:
    """Inject a fault, to see it in dashboards and alerts."""
    async with audited(service.database, _ACTOR, "fault.begin"):
        await service.faults.begin(fault, wanted.seconds)


@admin.delete("/faults/{fault}", status_code=204)
async def lift_fault(fault: Fault, service: CurrentService) -> None:
    """End a fault early."""
    async with audited(service.database, _ACTOR, "fault.lift"):
        await service.faults.lift(fault)
