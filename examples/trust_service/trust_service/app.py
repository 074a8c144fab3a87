"""The application: `uvicorn trust_service.app:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, HTTPException

from .machines import serve_machines
from .service import open_service
from .settings import settings_from_environment
from .web import audit, certificates, documents, logins, pki, revocations, signatures, timestamps
from .web.admin import admin
from .web.dependencies import CurrentService, behave


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with open_service(settings_from_environment()) as service, serve_machines(service):
        app.state.service = admin.state.service = service
        yield


app = FastAPI(title="Trust service", lifespan=_lifespan)
for part in (logins, certificates, revocations, documents, signatures, timestamps, audit):
    app.include_router(part.router, dependencies=[Depends(behave)])
app.include_router(pki.router)
app.mount("/admin", admin)


@app.get("/healthz")
async def show_health(service: CurrentService) -> dict[str, str]:
    if not await service.database.is_up():
        raise HTTPException(503, "database")
    return {"status": "ok"}
