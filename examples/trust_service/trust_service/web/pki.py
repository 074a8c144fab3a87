"""Public endpoints of the authority: revocation list and OCSP."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response

from ..service import Service
from .dependencies import CurrentService


async def _reachable(service: CurrentService) -> None:
    if not service.authority.reachable:
        raise HTTPException(503, "the authority does not answer")


router = APIRouter(prefix="/pki", tags=["pki"], dependencies=[Depends(_reachable)])

_LONGEST_REQUEST = 10_000


@router.get("/issuing-ca.crl")
def show_revocation_list(service: CurrentService) -> Response:
    return Response(service.authority.revocation_list, media_type="application/pkix-crl")


@router.post("/ocsp")
async def answer_status_request(request: Request, service: CurrentService) -> Response:
    asked = await request.body()
    if len(asked) > _LONGEST_REQUEST:
        raise HTTPException(413, "too long for an OCSP request")
    return _answer(service, asked)


@router.get("/ocsp/{encoded:path}")
async def answer_encoded_status_request(
    encoded: Annotated[str, Path(max_length=_LONGEST_REQUEST)], service: CurrentService
) -> Response:
    """The form that caches can store (RFC 5019, 5): the request is in Base64."""
    try:
        asked = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise HTTPException(400, "no OCSP request") from None
    return _answer(service, asked)


def _answer(service: Service, asked: bytes) -> Response:
    try:
        answer = service.authority.status_response(asked)
    except ValueError:
        raise HTTPException(400, "no OCSP request") from None
    return Response(answer, media_type="application/ocsp-response")
