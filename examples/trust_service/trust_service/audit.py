"""The audit log: a row for every privileged operation, in the same transaction as what it did."""

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
    """A transaction that is kept together with its row in the audit log, or not at all."""
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
