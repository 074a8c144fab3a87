"""Timestamps over HTTP (RFC 3161, 3.4)."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from .dependencies import CurrentService

router = APIRouter(tags=["timestamps"])

_LONGEST_REQUEST = 10_000


@router.post("/timestamps")
async def issue_timestamp(request: Request, service: CurrentService) -> Response:
    """Issue a timestamp; a refusal is a response too, with the status 200."""
    if request.headers.get("content-type") != "application/timestamp-query":
        raise HTTPException(415, "send application/timestamp-query")
    asked = await request.body()
    if len(asked) > _LONGEST_REQUEST:
        raise HTTPException(413, "too long for a timestamp request")
    response = await run_in_threadpool(service.timestamping.respond, asked)
    return Response(response, media_type="application/timestamp-reply")
