"""Connections that are opened otherwise than by the dialect's own `connect`: each attempt is recorded once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import (
    AssertionPool,
    AsyncAdaptedQueuePool,
    NullPool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from monitoring.alerts.database import DATABASE_CONNECTIONS_FAILED
from tools.checks.promql import Selector, parse, walk
from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor
from trust_otel.semconv.metrics import DB_CLIENT_CONNECTION_CREATE_TIME

Engines = Callable[["Server"], Any]


class Server:
    """A database that can be made unavailable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.available = True
        self.opened = 0
        self.url = f"sqlite:///{path}"

    def connect(self, *_arguments: Any, **_parameters: Any) -> sqlite3.Connection:
        if not self.available:
            raise sqlite3.OperationalError("not available")
        self.opened += 1
        return sqlite3.connect(self.path)

    async def connect_async(self, *_arguments: Any, **_parameters: Any) -> aiosqlite.Connection:
        await asyncio.sleep(0)
        if not self.available:
            raise sqlite3.OperationalError("not available")
        return await aiosqlite.connect(self.path)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "trust.db")


def _with_listener(server: Server) -> sa.Engine:
    engine = sa.create_engine(server.url)
    sa.event.listen(engine, "do_connect", server.connect)
    return engine


def _with_two_listeners(server: Server) -> sa.Engine:
    engine = sa.create_engine(server.url)
    sa.event.listen(engine, "do_connect", lambda *_: None)
    sa.event.listen(engine, "do_connect", server.connect)
    return engine


def _with_own_connect(server: Server) -> sa.Engine:
    class OwnConnect(SQLiteDialect_pysqlite):
        supports_statement_cache = True

        def connect(self, *cargs: Any, **cparams: Any) -> Any:
            return server.connect()

    sa.dialects.registry.impls["sqlite.own"] = lambda: OwnConnect
    return sa.create_engine(f"sqlite+own:///{server.path}")


def _given_pool(pool: Any) -> Engines:
    return lambda server: sa.create_engine(server.url, pool=pool(server.connect))


def _pool_class(pool: Any) -> Engines:
    return lambda server: sa.create_engine(server.url, creator=server.connect, poolclass=pool)


SYNC: dict[str, Engines] = {
    "creator": lambda server: sa.create_engine(server.url, creator=server.connect),
    "creator that takes the record": lambda server: sa.create_engine(
        server.url, creator=lambda _record: server.connect()
    ),
    "listener that returns a connection": _with_listener,
    "two listeners": _with_two_listeners,
    "dialect that overrides connect": _with_own_connect,
    "pool given": _given_pool(QueuePool),
    "NullPool given": _given_pool(NullPool),
    "StaticPool given": _given_pool(StaticPool),
    "NullPool": _pool_class(NullPool),
    "StaticPool": _pool_class(StaticPool),
    "AssertionPool": _pool_class(AssertionPool),
    "SingletonThreadPool": _pool_class(SingletonThreadPool),
    "pre_ping": lambda server: sa.create_engine(server.url, creator=server.connect, pool_pre_ping=True),
    "options": lambda server: sa.create_engine(server.url, creator=server.connect).execution_options(x=1),
}
ASYNC: dict[str, Engines] = {
    "async_creator": lambda server: create_async_engine(_async_url(server), async_creator=server.connect_async),
    "async_creator_fn": lambda server: create_async_engine(
        _async_url(server), connect_args={"async_creator_fn": server.connect_async}
    ),
    "pool given": lambda server: create_async_engine(
        _async_url(server),
        pool=AsyncAdaptedQueuePool(
            create_async_engine(_async_url(server), async_creator=server.connect_async).pool._creator
        ),
    ),
    "NullPool": lambda server: create_async_engine(
        _async_url(server), async_creator=server.connect_async, poolclass=NullPool
    ),
    "StaticPool": lambda server: create_async_engine(
        _async_url(server), async_creator=server.connect_async, poolclass=StaticPool
    ),
}


def _async_url(server: Server) -> str:
    return server.url.replace("sqlite", "sqlite+aiosqlite", 1)


def failures_seen_by_alert(recorded: Any) -> dict[str, int]:
    """What the alert on failed connections adds up for each pool."""
    expression = parse(DATABASE_CONNECTIONS_FAILED.expression.replace("$minimum", "3"))
    matchers = {
        (matcher.name, matcher.operator, matcher.value)
        for part in walk(expression)
        if isinstance(part, Selector) and part.name == f"{DB_CLIENT_CONNECTION_CREATE_TIME.prometheus_name}_count"
        for matcher in part.matchers
    }
    assert matchers == {("error_type", "!=", "")}
    return {
        point.attributes["db.client.connection.pool.name"]: point.count
        for point in recorded.points(DB_CLIENT_CONNECTION_CREATE_TIME.name)
        if point.attributes.get("error.type")
    }


@pytest.mark.parametrize("make", SYNC.values(), ids=SYNC)
def test_each_attempt_is_recorded_once(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server, make: Engines
) -> None:
    engine = make(server)
    server.available = False
    for _ in range(3):
        with pytest.raises((sa.exc.OperationalError, sqlite3.OperationalError)):
            engine.connect()
    assert recorded.created() == {"sqlalchemy.exc.OperationalError": 3}
    assert failures_seen_by_alert(recorded) == {"sqlite/trust": 3}
    server.available = True
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    assert recorded.created() == {None: 1, "sqlalchemy.exc.OperationalError": 3}
    engine.dispose()


@pytest.mark.parametrize("make", ASYNC.values(), ids=ASYNC)
async def test_each_attempt_of_an_async_engine_is_recorded_once(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server, make: Engines
) -> None:
    engine: AsyncEngine = make(server)
    server.available = False
    for _ in range(3):
        with pytest.raises((sa.exc.OperationalError, sqlite3.OperationalError)):
            await engine.connect()
    assert recorded.created() == {"sqlalchemy.exc.OperationalError": 3}
    assert failures_seen_by_alert(recorded) == {"sqlite/trust": 3}
    server.available = True
    async with engine.connect() as connection:
        assert (await connection.execute(sa.text("SELECT 1"))).scalar() == 1
    assert recorded.created() == {None: 1, "sqlalchemy.exc.OperationalError": 3}
    await engine.dispose()


async def test_cancelled_attempt_is_recorded_once(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    engine = create_async_engine(_async_url(server), async_creator=hang)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(engine.connect().start(), 0.05)
    ((error, count),) = recorded.created().items()
    assert (error.rpartition(".")[2], count) == ("CancelledError", 1)
    await engine.dispose()


def test_raw_connections_are_recorded(instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server) -> None:
    engine = sa.create_engine(server.url, creator=server.connect, poolclass=NullPool)
    for _ in range(2):
        engine.raw_connection().close()
    server.available = False
    with pytest.raises(sqlite3.OperationalError):
        engine.raw_connection()
    assert recorded.created() == {None: 2, "sqlalchemy.exc.OperationalError": 1}


def test_connection_that_replaces_a_lost_one_is_recorded(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    engine = sa.create_engine(server.url, creator=server.connect, poolclass=QueuePool, pool_pre_ping=True)
    lost: list[bool] = []

    def ping(connection: Any) -> bool:
        return not lost

    engine.dialect.do_ping = ping  # type: ignore[assignment, method-assign]
    with engine.connect():
        pass
    lost.append(True)
    with engine.connect():
        lost.clear()
    assert recorded.created() == {None: 2}
    lost.append(True)
    server.available = False
    with pytest.raises(sqlite3.OperationalError):
        engine.raw_connection()
    assert recorded.created() == {None: 2, "sqlalchemy.exc.OperationalError": 1}
    engine.dispose()


def test_recycled_connection_is_recorded(instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server) -> None:
    engine = sa.create_engine(server.url, creator=server.connect, poolclass=QueuePool, pool_recycle=0)
    for _ in range(3):
        with engine.connect():
            pass
    assert server.opened >= 3
    assert recorded.created() == {None: server.opened}
    engine.dispose()


def test_disposed_and_recreated_pools_are_measured(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    engine = sa.create_engine(server.url, creator=server.connect)
    for _ in range(3):
        with engine.connect():
            pass
        engine.dispose()
    engine.pool = engine.pool.recreate()
    with engine.connect():
        pass
    assert recorded.created() == {None: 4}
    engine.dispose()


def test_engine_that_connected_before_instrumentation_is_measured(metrics: Any, recorded: Any, server: Server) -> None:
    engine = sa.create_engine(server.url, creator=server.connect, poolclass=NullPool)
    with engine.connect():
        pass
    instrumentor = SqlAlchemyInstrumentor()
    for _ in range(2):
        instrumentor.instrument(metrics=metrics)
        with engine.connect():
            pass
        instrumentor.uninstrument()
        with engine.connect():
            pass
    assert recorded.created() == {None: 2}


def test_two_engines_that_share_a_pool_record_each_attempt_once(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    connect: Any = server.connect
    pool = NullPool(connect)
    engines = [sa.create_engine(server.url, pool=pool) for _ in range(2)]
    for engine in engines:
        with engine.connect():
            pass
    assert recorded.created() == {None: 2}


def test_threads_that_open_the_first_connections_record_each_once(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    engine = sa.create_engine(server.url, creator=server.connect, poolclass=NullPool)
    start = threading.Barrier(8)

    def connect() -> None:
        start.wait()
        engine.connect().close()

    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorded.created() == {None: 8}


def test_error_of_another_driver_keeps_its_class(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    def refuse() -> Any:
        raise ConnectionRefusedError

    engine = sa.create_engine(server.url, creator=refuse)
    engine.dialect.dbapi = object()  # type: ignore[assignment]  # a replacement without `Error`
    with pytest.raises(ConnectionRefusedError):
        engine.raw_connection()
    assert recorded.created() == {"ConnectionRefusedError": 1}


def test_failure_after_the_connection_was_opened_is_no_failed_attempt(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    engine = sa.create_engine(server.url, creator=server.connect)

    @sa.event.listens_for(engine, "checkout")
    def refuse(*_arguments: Any) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        engine.connect()
    assert recorded.created() == {None: 1}
    engine.dispose()


def test_exception_of_a_creator_is_unchanged(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, server: Server
) -> None:
    error = KeyboardInterrupt()

    def interrupt() -> Any:
        raise error

    engine = sa.create_engine(server.url, creator=interrupt)
    with pytest.raises(KeyboardInterrupt) as raised:
        engine.connect()
    assert raised.value is error
    assert recorded.created() == {"KeyboardInterrupt": 1}
