"""Dependencies of the endpoints: service, session and permissions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from trust_otel import get_metrics

from ..access import Resource, may
from ..audit import audit_refusal
from ..service import Service
from ..sessions import Session
from ..tables import Account

metrics = get_metrics()


# Coroutines, because FastAPI runs plain functions in a thread.


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _client_address(request: Request) -> str:
    # The server sets it from the headers of a trusted proxy.
    return request.client.host if request.client is not None else ""


CurrentService = Annotated[Service, Depends(_service)]
ClientAddress = Annotated[str, Depends(_client_address)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


async def _session(service: CurrentService, bearer: Bearer) -> Session:
    if bearer is None:
        raise HTTPException(401, "log in first")
    session = service.sessions.find(bearer.credentials)
    if session is not None and session.confirmed and not session.ended:
        metrics.set_client(session.account.client)
        return session
    metrics.record_auth_attempt(method="token", success=False)
    if session is not None and session.confirmed:
        # The user has logged out, so someone else uses the token.
        metrics.record_security_incident("session_replay", severity="warning")
    raise HTTPException(401, "no such session")


CurrentSession = Annotated[Session, Depends(_session)]


def allowed_to(resource: Resource, action: str | None = None) -> Callable[..., Awaitable[Account]]:
    """The caller's account, if its role has permission; a denied `action` is recorded in the audit log."""

    async def account_with_right(service: CurrentService, session: CurrentSession) -> Account:
        account = session.account
        if may(account.role, resource):
            return account
        if action is not None:
            await audit_refusal(service.database, account.name, action)
        raise HTTPException(403, f"no right to {resource}")

    return account_with_right


async def behave(service: CurrentService) -> None:
    """Applies active faults to an HTTP request."""
    await service.conduct.answer()
