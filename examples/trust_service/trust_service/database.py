"""The database: SQLite in a temporary folder, or the database of the URL."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from sqlalchemy import delete, event, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from trust_otel import get_metrics

from .tables import Base, Certificate, RevocationRequest

metrics = get_metrics()


_IDLE_CONNECTIONS = 5
_MORE_CONNECTIONS = 10
# Requests that wait longer fail.
_WAIT_SECONDS = 2
# The request that starts the fault must write its audit record first.
_GRACE_SECONDS = 0.2


class Database:
    def __init__(self, url: str | None) -> None:
        self.keeps_audit_log = True
        self._folder = tempfile.TemporaryDirectory(prefix="trust-service-")
        own_file = Path(self._folder.name) / "trust.db"
        self._engine = create_async_engine(
            url or f"sqlite+aiosqlite:///{own_file}",
            pool_size=_IDLE_CONNECTIONS,
            max_overflow=_MORE_CONNECTIONS,
            pool_timeout=_WAIT_SECONDS,
        )
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine.sync_engine, "connect", _share_sqlite)
        self._refuses = False
        event.listen(self._engine.sync_engine, "do_connect", self._refuse)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction: committed at the end of the block, rolled back on an exception."""
        return self._sessions.begin()

    async def hold_every_connection(self, seconds: float) -> None:
        """Hold all connections of the pool."""
        async with AsyncExitStack() as held:
            for _ in range(_IDLE_CONNECTIONS + _MORE_CONNECTIONS):
                await held.enter_async_context(self._engine.connect())
            await asyncio.sleep(seconds)

    async def refuse_connections(self, seconds: float) -> None:
        """Refuse all connections, as if there were no server."""
        await asyncio.sleep(_GRACE_SECONDS)
        self._refuses = True
        try:
            await self._engine.dispose()
            await asyncio.sleep(seconds)
        finally:
            self._refuses = False

    def _refuse(self, *_: object) -> None:
        if self._refuses:
            raise ConnectionRefusedError("the database refuses connections")

    async def open(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with self.begin() as transaction:
            # The authority is in memory, so certificates of earlier processes are invalid.
            await transaction.execute(delete(RevocationRequest))
            await transaction.execute(delete(Certificate))

    async def close(self) -> None:
        await self._engine.dispose()
        self._folder.cleanup()

    async def is_up(self) -> bool:
        began = time.perf_counter()
        try:
            async with self.begin() as transaction:
                await transaction.execute(text("SELECT 1"))
            up = True
        except Exception:  # such as asyncpg's own, while PostgreSQL starts
            up = False
        metrics.record_dependency("database", dependency_type="database", up=up, duration=time.perf_counter() - began)
        return up


def _share_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Enable concurrent reads during a write; writers wait for each other."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.close()
