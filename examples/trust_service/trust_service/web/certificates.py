from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Response
from pydantic import BaseModel, Field

from .. import certificates
from ..authority import CertificateType, pem
from ..tables import Account, Certificate
from ..validation import Problem, validate
from .dependencies import CurrentService, allowed_to

router = APIRouter(prefix="/certificates", tags=["certificates"])


class CertificateOrder(BaseModel):
    request: Annotated[str, Field(max_length=10_000, description="PKCS#10, in PEM")]
    certificate_type: CertificateType
    validity_seconds: Annotated[int, Field(ge=1, le=10 * 365 * 86_400)]


class IssuedCertificate(BaseModel):
    serial_number: str
    certificate_type: CertificateType
    certificate: str
    not_after: int
    revoked: bool
    suspended: bool


class ValidationOrder(BaseModel):
    certificate: Annotated[str, Field(max_length=10_000, description="PEM")]
    certificate_type: CertificateType


class Verdict(BaseModel):
    valid: bool
    reason: Problem | None


SerialNumber = Annotated[str, Path(pattern=r"^\d{1,50}$")]


async def _find(serial_number: SerialNumber, service: CurrentService) -> Certificate:
    row = await certificates.find(service.database, serial_number)
    if row is None:
        raise HTTPException(404, "no such certificate")
    return row


Reader = Annotated[Account, Depends(allowed_to("certificate"))]
Issuer = Annotated[Account, Depends(allowed_to("certificate", "certificate.issue"))]
Renewer = Annotated[Account, Depends(allowed_to("certificate", "certificate.renew"))]
FoundCertificate = Annotated[Certificate, Depends(_find)]


@router.post("", status_code=201)
async def issue_certificate(order: CertificateOrder, service: CurrentService, account: Issuer) -> IssuedCertificate:
    issued = await certificates.issue(
        service.authority,
        service.database,
        account.name,
        order.request,
        order.certificate_type,
        timedelta(seconds=order.validity_seconds),
    )
    if not isinstance(issued, Certificate):
        raise HTTPException(400, issued)
    return shown(issued)


@router.post("/validate")
def validate_certificate(order: ValidationOrder, service: CurrentService) -> Verdict:
    problem = validate(service.authority, order.certificate, order.certificate_type)
    return Verdict(valid=problem is None, reason=problem)


@router.get("/authority")
def show_authority(service: CurrentService) -> Response:
    chain = pem(service.authority.issuing) + pem(service.authority.root)
    return Response(chain, media_type="application/pem-certificate-chain")


@router.get("/{serial_number}")
async def show_certificate(_account: Reader, found: FoundCertificate) -> IssuedCertificate:
    return shown(found)


@router.post("/{serial_number}/renew", status_code=201)
async def renew_certificate(service: CurrentService, account: Renewer, found: FoundCertificate) -> IssuedCertificate:
    renewed = await certificates.renew(service.authority, service.database, account.name, found)
    if not isinstance(renewed, Certificate):
        raise HTTPException(409, renewed)
    return shown(renewed)


def shown(row: Certificate) -> IssuedCertificate:
    return IssuedCertificate(
        serial_number=row.serial_number,
        certificate_type=row.certificate_type,
        certificate=row.pem,
        not_after=row.not_after,
        revoked=row.revoked_at is not None,
        suspended=row.suspended_at is not None,
    )
