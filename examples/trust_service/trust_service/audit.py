"""The audit log: a row for every privileged operation, in the transaction of the operation."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from trust_otel import get_metrics

from .database import Database
from .tables import AuditEvent

metrics = get_metrics()


@asynccontextmanager
async def audited(database: Database, actor: str, action: str, *, success: bool = True) -> AsyncIterator[AsyncSession]:
    """A transaction that includes its row in the audit log."""
    async with metrics.privileged_operation(action):
        async with database.begin() as transaction:
            yield transaction
            if database.keeps_audit_log:
                transaction.add(AuditEvent(at=int(time.time()), actor=actor, action=action, success=success))
        if database.keeps_audit_log:
            metrics.record_audit_event(action, success=success)


async def audit_refusal(database: Database, actor: str, action: str) -> None:
    async with audited(database, actor, action, success=False):
        pass
