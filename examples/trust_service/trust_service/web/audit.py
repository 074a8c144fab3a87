from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from sqlalchemy import select

from ..tables import Account, AuditEvent
from .dependencies import CurrentService, allowed_to

router = APIRouter(prefix="/audit", tags=["audit"])

Auditor = Annotated[Account, Depends(allowed_to("audit"))]


class AuditRecord(BaseModel):
    at: int
    actor: str
    action: str
    success: bool


@router.get("")
async def show_latest(
    service: CurrentService,
    _account: Auditor,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[AuditRecord]:
    async with service.database.begin() as transaction:
        rows = await transaction.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit))
        return [AuditRecord(at=row.at, actor=row.actor, action=row.action, success=row.success) for row in rows]
