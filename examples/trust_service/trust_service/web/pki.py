"""Public endpoints of the authority: revocation list and OCSP."""

from __future__ import annotations

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from .dependencies import CurrentService


async def _reachable(service: CurrentService) -> None:
    if not service.authority.reachable:
        raise HTTPException(503, "the authority does not answer")


router = APIRouter(prefix="/pki", tags=["pki"], dependencies=[Depends(_reachable)])

_LONGEST_REQUEST = 10_000


@router.get("/issuing-ca.crl")
def show_revocation_list(service: CurrentService) -> Response:
    return Response(service.authority.revocation_list(), media_type="application/pkix-crl")


@router.post("/ocsp")
async def answer_status_request(request: Request, service: CurrentService) -> Response:
    asked = await request.body()
    if len(asked) > _LONGEST_REQUEST:
        raise HTTPException(413, "too long for an OCSP request")
    try:
        answer = service.authority.status_response(asked)
    except ValueError:
        raise HTTPException(400, "no OCSP request") from None
    return Response(answer, media_type="application/ocsp-response")
