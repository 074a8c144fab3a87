from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import Base64Bytes, BaseModel, Field

from ..audit import audit_refusal, audited
from ..signatures import Algorithm, HsmUnavailableError
from ..tables import Account
from ..validation import Indication, SignatureProblem, result_of
from .dependencies import CurrentService, allowed_to

router = APIRouter(prefix="/signatures", tags=["signatures"])

_ACTION = "document.sign"

Signatory = Annotated[Account, Depends(allowed_to("signature", _ACTION))]
Content = Annotated[Base64Bytes, Field(max_length=100_000)]


class SignatureOrder(BaseModel):
    content: Content
    algorithm: Algorithm = "sha256"


class Signature(BaseModel):
    signature: Base64Bytes
    certificate: str


class SignedContent(BaseModel):
    content: Content
    signature: Base64Bytes
    certificate: str
    algorithm: Algorithm = "sha256"


class Verdict(BaseModel):
    valid: bool
    reason: SignatureProblem | None
    indication: Annotated[Indication, Field(description="ETSI EN 319 102-1, 5.1.3")]
    sub_indication: str | None


@router.post("", status_code=201)
async def sign_document(order: SignatureOrder, service: CurrentService, account: Signatory) -> Signature:
    try:
        signature = await service.signer.sign(order.content, order.algorithm)
    except HsmUnavailableError as error:
        raise HTTPException(503, f"HSM: {error}") from error
    if signature is None:
        await audit_refusal(service.database, account.name, _ACTION)
        raise HTTPException(409, "the signature policy forbids the algorithm")
    async with audited(service.database, account.name, _ACTION):
        return Signature(signature=base64.b64encode(signature), certificate=service.signer.pem)


@router.post("/verify")
def verify_signature(signed: SignedContent, service: CurrentService) -> Verdict:
    problem = service.signer.verify(signed.content, signed.signature, signed.certificate, signed.algorithm)
    indication, sub_indication = result_of(problem)
    return Verdict(valid=problem is None, reason=problem, indication=indication, sub_indication=sub_indication)
