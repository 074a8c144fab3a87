"""Revocation and suspension: an operator does it at once, or decides about a request of somebody else."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path
from pydantic import BaseModel

from .. import revocations
from ..authority import RevocationReason
from ..service import Service
from ..tables import Account, Certificate, RevocationRequest
from .certificates import FoundCertificate, IssuedCertificate, shown
from .dependencies import CurrentService, allowed_to

router = APIRouter(prefix="/certificates", tags=["revocations"])


class Reason(BaseModel):
    reason: RevocationReason = "unspecified"


class Decision(BaseModel):
    approved: bool


class ShownRequest(BaseModel):
    id: int
    serial_number: str
    reason: RevocationReason
    requested_at: float
    decided_at: float | None
    approved: bool | None


async def _find(request_id: Annotated[int, Path(ge=0, lt=2**31)], service: CurrentService) -> _RequestOfCertificate:
    found = await revocations.find(service.database, request_id)
    if found is None:
        raise HTTPException(404, "no such request")
    return found


_RequestOfCertificate = tuple[RevocationRequest, Certificate]
Requester = Annotated[Account, Depends(allowed_to("revocation", "certificate.revocation.request"))]
Revoker = Annotated[Account, Depends(allowed_to("certificate", "certificate.revoke"))]
FoundRequest = Annotated[_RequestOfCertificate, Depends(_find)]


@router.post("/{serial_number}/revoke")
async def revoke_certificate(
    service: CurrentService, account: Revoker, found: FoundCertificate, wanted: Reason | None = None
) -> IssuedCertificate:
    return await _change(service, account, found, (wanted or Reason()).reason)


@router.post("/{serial_number}/suspend")
async def suspend_certificate(service: CurrentService, account: Revoker, found: FoundCertificate) -> IssuedCertificate:
    return await _change(service, account, found, "certificateHold")


@router.post("/{serial_number}/unsuspend")
async def unsuspend_certificate(
    service: CurrentService, account: Revoker, found: FoundCertificate
) -> IssuedCertificate:
    return await _change(service, account, found, "removeFromCRL")


@router.post("/{serial_number}/revocation-requests", status_code=202)
async def request_revocation(
    service: CurrentService, account: Requester, found: FoundCertificate, wanted: Reason
) -> ShownRequest:
    return shown_request(await revocations.request(service.database, account.name, found, wanted.reason))


@router.post("/revocation-requests/{request_id}/decision")
async def decide_revocation(
    service: CurrentService, account: Revoker, found: FoundRequest, decision: Decision
) -> ShownRequest:
    request, certificate = found
    if decision.approved:
        refusal = await revocations.approve(service.authority, service.database, account.name, request, certificate)
    else:
        refusal = await revocations.reject(service.database, account.name, request)
    if refusal is not None:
        raise HTTPException(409, refusal)
    return shown_request(request)


async def _change(
    service: Service, account: Account, certificate: Certificate, reason: RevocationReason
) -> IssuedCertificate:
    request = revocations.new_request(certificate, reason, time.time())
    refusal = await revocations.approve(service.authority, service.database, account.name, request, certificate)
    if refusal is not None:
        raise HTTPException(409, refusal)
    return shown(certificate)


def shown_request(request: RevocationRequest) -> ShownRequest:
    return ShownRequest.model_validate(request, from_attributes=True)
