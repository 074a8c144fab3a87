from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor

POOL = "sqlite/trust"


@pytest.fixture
async def engine(instrumentor: SqlAlchemyInstrumentor, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path / 'trust.db'}",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=2,
        max_overflow=0,
        pool_timeout=0.2,
    )
    yield engine
    await engine.dispose()


async def test_statements_and_transactions_are_measured(engine: AsyncEngine, recorded: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
        await connection.execute(sa.text("INSERT INTO t VALUES (:x)"), [{"x": 1}, {"x": 2}])
    async with AsyncSession(engine) as session:
        assert (await session.execute(sa.text("SELECT count(*) FROM t"))).scalar() == 2
    async with engine.connect() as connection:
        rows = await connection.stream(sa.text("SELECT x FROM t"))
        assert [row.x async for row in rows] == [1, 2]
        with pytest.raises(sa.exc.OperationalError):
            await connection.execute(sa.text("SELECT * FROM nowhere"))
    assert recorded.operations() == {
        ("CREATE", None): 1,
        ("INSERT", None): 1,
        ("SELECT", None): 2,
        ("SELECT", "sqlalchemy.exc.OperationalError"): 1,
    }
    assert recorded.transactions() == {"commit": 1, "rollback": 2}
    assert recorded.databases() == {("sqlite", "trust")}


async def test_pool_is_measured(engine: AsyncEngine, recorded: Any) -> None:
    first, second = await engine.connect(), await engine.connect()
    assert recorded.connections() == {(POOL, "idle"): 0, (POOL, "used"): 2}
    with pytest.raises(sa.exc.TimeoutError):
        await engine.connect()
    await first.close()
    assert recorded.connections() == {(POOL, "idle"): 1, (POOL, "used"): 1}
    await second.close()
    assert recorded.by_pool("max") == {POOL: 2}
    assert recorded.by_pool("timeouts") == {POOL: 1}
    assert recorded.by_pool("wait_time") == recorded.by_pool("use_time") == {POOL: 2}
    assert recorded.created() == {None: 2}


async def test_waiting_tasks_are_pending_and_independent(engine: AsyncEngine, recorded: Any) -> None:
    first, second = await engine.connect(), await engine.connect()

    async def use() -> None:
        async with engine.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))

    engine.pool._timeout = 5  # type: ignore[attr-defined]
    tasks = [asyncio.create_task(use()) for _ in range(20)]
    await asyncio.sleep(0.05)
    assert recorded.by_pool("pending_requests") == {POOL: 20}
    await first.close()
    await second.close()
    await asyncio.gather(*tasks)
    assert recorded.by_pool("pending_requests") == {POOL: 0}
    assert recorded.by_pool("wait_time") == recorded.by_pool("use_time") == {POOL: 22}
    assert recorded.operations() == {("SELECT", None): 20}


async def test_cancelled_request_is_no_longer_pending(engine: AsyncEngine, recorded: Any) -> None:
    first, second = await engine.connect(), await engine.connect()
    task = asyncio.create_task(engine.connect().start())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, sa.exc.TimeoutError)):
        await task
    assert recorded.by_pool("pending_requests") == {POOL: 0}
    await first.close()
    await second.close()


async def test_cancelled_statement_is_recorded(engine: AsyncEngine, recorded: Any) -> None:
    slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000000) SELECT count(*) FROM n"
    async with engine.connect() as connection:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.execute(sa.text(slow)), 0.05)
    (name, error), count = next(iter(recorded.operations().items()))
    assert (name, count) == ("SELECT", 1)
    assert error is not None
    assert error.endswith("CancelledError")
