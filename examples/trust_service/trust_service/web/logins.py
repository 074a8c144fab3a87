from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from trust_otel import get_metrics

from ..logins import check_code, check_password
from .dependencies import Bearer, ClientAddress, CurrentService, CurrentSession

metrics = get_metrics()

router = APIRouter(tags=["login"])


class Credentials(BaseModel):
    name: Annotated[str, Field(pattern=r"^[\w.@-]{1,100}$")]
    password: Annotated[str, Field(max_length=200)]


class SecondFactor(BaseModel):
    code: Annotated[str, Field(pattern=r"^\d{6}$")]


class StartedSession(BaseModel):
    token: str
    totp_required: bool


class Profile(BaseModel):
    name: str
    role: str
    country: str
    client: str


@router.post("/login")
async def start_session(credentials: Credentials, service: CurrentService, address: ClientAddress) -> StartedSession:
    if address in service.blocked_addresses:
        metrics.record_threat_match("blocklist")
        metrics.record_security_incident("blocked_address", severity="info")
        raise HTTPException(403, "address is blocked")
    if not service.login_limit.admits(address):
        raise HTTPException(429, "too many logins", headers={"Retry-After": "1"})
    account = await check_password(service.database, credentials.name, credentials.password)
    if account is None:
        raise HTTPException(401, "wrong name or password")
    token = service.sessions.open(account)
    return StartedSession(token=token, totp_required=account.totp_secret is not None)


@router.post("/login/totp", status_code=204)
async def confirm_session(second_factor: SecondFactor, service: CurrentService, bearer: Bearer) -> None:
    session = service.sessions.find(bearer.credentials) if bearer is not None else None
    if session is None or session.confirmed or session.ended:
        raise HTTPException(401, "no session waits for a code")
    if not check_code(service.sessions, session, second_factor.code):
        raise HTTPException(401, "wrong code")


@router.post("/logout", status_code=204)
async def end_session(service: CurrentService, session: CurrentSession) -> None:
    service.sessions.end(session)


@router.get("/me")
def show_profile(session: CurrentSession) -> Profile:
    account = session.account
    return Profile(name=account.name, role=account.role, country=account.country, client=account.client)
