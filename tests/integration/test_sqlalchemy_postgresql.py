"""SQLAlchemy on a real PostgreSQL server: two-phase commits, lost connections, failed commits, asyncpg."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, QueuePool, StaticPool  # noqa: E402

from tests.support.postgresql import cluster, needs_postgresql  # noqa: E402
from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor  # noqa: E402
from trust_otel.metrics import TrustServiceMetrics  # noqa: E402

pytestmark = needs_postgresql


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with cluster() as running:
        yield running.port


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    instrumentor = SqlAlchemyInstrumentor()
    instrumentor.instrument(metrics=TrustServiceMetrics(provider))
    yield reader
    instrumentor.uninstrument()
    provider.shutdown()


def values(reader: InMemoryMetricReader, metric: str, *labels: str) -> dict[tuple[Any, ...], float]:
    data: Any = reader.get_metrics_data()
    assert data is not None
    return {
        tuple(point.attributes.get(label) for label in labels): getattr(point, "count", None) or point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for found in scope.metrics
        if found.name == metric
        for point in found.data.data_points
    }


def transactions(reader: InMemoryMetricReader) -> dict[tuple[Any, ...], float]:
    found = values(reader, "trust.db.client.transactions", "trust.db.transaction.outcome")
    return {outcome: number for outcome, number in found.items() if number}


def operations(reader: InMemoryMetricReader) -> dict[tuple[Any, ...], float]:
    return values(reader, "db.client.operation.duration", "db.operation.name", "error.type")


@pytest.fixture
def engine(port: int, reader: InMemoryMetricReader) -> Iterator[Any]:
    engine = sa.create_engine(f"postgresql+psycopg://trust@127.0.0.1:{port}/postgres")
    yield engine
    engine.dispose()


def test_database_is_named_without_address_or_user(engine: Any, reader: InMemoryMetricReader) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert values(reader, "db.client.operation.duration", "db.system.name", "db.namespace") == {
        ("postgresql", "postgres"): 1
    }
    assert values(reader, "db.client.connection.max", "db.client.connection.pool.name") == {
        ("postgresql/postgres",): 15
    }


def test_two_phase_transaction_ends_once(engine: Any, reader: InMemoryMetricReader) -> None:
    with engine.connect() as connection:
        transaction = connection.begin_twophase()
        connection.execute(sa.text("SELECT 1"))
        transaction.prepare()
        transaction.commit()
        transaction = connection.begin_twophase()
        connection.execute(sa.text("SELECT 1"))
        transaction.rollback()
    assert transactions(reader) == {("commit",): 1, ("rollback",): 1}


def test_lost_connection_is_an_error_and_leaves_the_pool(engine: Any, reader: InMemoryMetricReader) -> None:
    with engine.connect() as connection:
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
        connection.rollback()
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    assert operations(reader) == {("SELECT", "sqlalchemy.exc.OperationalError"): 1, ("SELECT", None): 1}
    state = values(reader, "db.client.connection.count", "db.client.connection.state")
    assert state == {("idle",): 1, ("used",): 0}
    assert transactions(reader) == {("rollback",): 2}


def test_failed_commit_is_a_rollback(engine: Any, reader: InMemoryMetricReader) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TEMPORARY TABLE a (x INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
    with engine.connect() as connection:
        connection.execute(sa.text("INSERT INTO a VALUES (1), (1)"))
        with pytest.raises(sa.exc.IntegrityError):
            connection.commit()
    assert transactions(reader) == {("commit",): 1, ("rollback",): 1}


def test_each_batch_of_a_bulk_statement_is_counted(engine: Any, reader: InMemoryMetricReader) -> None:
    things = sa.Table("things", sa.MetaData(), sa.Column("x", sa.Integer), prefixes=["TEMPORARY"])
    rows = [{"x": number} for number in range(100)]
    with engine.connect() as connection:
        things.create(connection)
        connection.execute(sa.text("INSERT INTO things VALUES (:x)"), rows)
        connection.execute(
            things.insert().returning(things.c.x).execution_options(insertmanyvalues_page_size=40), rows
        ).all()
        connection.execute(things.update().where(things.c.x == sa.bindparam("y")), [{"y": 1, "x": 2}, {"y": 2, "x": 3}])
    assert operations(reader) == {("CREATE", None): 1, ("INSERT", None): 1 + 3, ("UPDATE", None): 1}


def test_missing_server_is_a_failed_connection(reader: InMemoryMetricReader) -> None:
    engine = sa.create_engine("postgresql+psycopg://trust@127.0.0.1:1/postgres")
    with pytest.raises(sa.exc.OperationalError):
        engine.connect()
    assert values(reader, "db.client.connection.create_time", "error.type") == {("sqlalchemy.exc.OperationalError",): 1}


async def test_asyncpg_is_measured_the_same(port: int, reader: InMemoryMetricReader) -> None:
    pytest.importorskip("asyncpg")
    engine = create_async_engine(f"postgresql+asyncpg://trust@127.0.0.1:{port}/postgres")
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TEMPORARY TABLE a (x INTEGER PRIMARY KEY)"))
        await connection.execute(sa.text("INSERT INTO a VALUES (1)"))
    async with engine.connect() as connection:
        rows = await connection.stream(sa.text("SELECT generate_series(1, 5)"))
        assert len([row async for row in rows]) == 5
        with pytest.raises(sa.exc.IntegrityError):
            await connection.execute(sa.text("INSERT INTO a VALUES (1)"))
    assert operations(reader) == {
        ("CREATE", None): 1,
        ("INSERT", None): 1,
        ("SELECT", None): 1,
        ("INSERT", "sqlalchemy.exc.IntegrityError"): 1,
    }
    assert transactions(reader) == {("commit",): 1, ("rollback",): 1}
    await engine.dispose()


async def test_asyncpg_connection_error_has_its_reason(reader: InMemoryMetricReader) -> None:
    pytest.importorskip("asyncpg")
    engine = create_async_engine("postgresql+asyncpg://trust@127.0.0.1:1/postgres")
    with pytest.raises(ConnectionRefusedError):
        await engine.connect()
    assert values(reader, "db.client.connection.create_time", "error.type") == {("ConnectionRefusedError",): 1}
    await engine.dispose()


def created(reader: InMemoryMetricReader) -> dict[Any, float]:
    found = values(reader, "db.client.connection.create_time", "db.client.connection.pool.name", "error.type")
    return {error: number for (_, error), number in found.items()}


def _creator(port: int) -> Callable[[], Any]:
    psycopg = pytest.importorskip("psycopg")
    return lambda: psycopg.connect(host="127.0.0.1", port=port, user="trust", dbname="postgres")


POSTGRESQL = "postgresql+psycopg://trust@127.0.0.1:{port}/postgres"


@pytest.mark.parametrize(
    "options",
    [
        lambda port: {"creator": _creator(port)},
        lambda port: {"creator": _creator(port), "poolclass": NullPool},
        lambda port: {"creator": _creator(port), "poolclass": StaticPool},
        lambda port: {"pool": QueuePool(_creator(port))},
    ],
    ids=["creator", "NullPool", "StaticPool", "pool given"],
)
def test_connection_of_a_creator_is_recorded_once(
    port: int, reader: InMemoryMetricReader, options: Callable[[int], dict[str, Any]]
) -> None:
    engine = sa.create_engine(POSTGRESQL.format(port=port), **options(port))
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert created(reader) == {None: 1}
    engine.dispose()
    unreachable = sa.create_engine(POSTGRESQL.format(port=1), **options(1))
    for _ in range(3):
        with pytest.raises(sa.exc.OperationalError):
            unreachable.connect()
    assert created(reader) == {None: 1, "sqlalchemy.exc.OperationalError": 3}


def test_lost_connection_is_replaced_by_one_that_is_recorded(port: int, reader: InMemoryMetricReader) -> None:
    engine = sa.create_engine(POSTGRESQL.format(port=port), creator=_creator(port), pool_pre_ping=True)
    with engine.connect() as connection:
        backend = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
    with _creator(port)() as other:
        other.execute("SELECT pg_terminate_backend(%s)", [backend])
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT pg_backend_pid()")).scalar() != backend
    assert created(reader) == {None: 2}
    engine.dispose()


@pytest.mark.parametrize("options", [{}, {"poolclass": NullPool}, {"poolclass": AsyncAdaptedQueuePool}])
async def test_async_creators_are_recorded_once(
    port: int, reader: InMemoryMetricReader, options: dict[str, Any]
) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    wanted = port

    async def connect(*_arguments: Any, **_parameters: Any) -> Any:
        return await asyncpg.connect(host="127.0.0.1", port=wanted, user="trust", database="postgres", ssl=False)

    ways: list[dict[str, Any]] = [{"async_creator": connect}, {"connect_args": {"async_creator_fn": connect}}]
    for way in ways:
        wanted = port
        engine = create_async_engine(f"postgresql+asyncpg://trust@127.0.0.1:{port}/postgres", **way, **options)
        async with engine.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))
        await engine.dispose()
        wanted = 1
        with pytest.raises(ConnectionRefusedError):
            await engine.connect()
    assert created(reader) == {None: 2, "ConnectionRefusedError": 2}


async def test_async_creator_of_psycopg_is_recorded_once(port: int, reader: InMemoryMetricReader) -> None:
    psycopg = pytest.importorskip("psycopg")
    wanted = port

    async def connect(*_arguments: Any, **_parameters: Any) -> Any:
        return await psycopg.AsyncConnection.connect(host="127.0.0.1", port=wanted, user="trust", dbname="postgres")

    engine = create_async_engine(POSTGRESQL.format(port=port), async_creator=connect, pool_pre_ping=True)
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 1"))
    await engine.dispose()
    wanted = 1
    for _ in range(3):
        with pytest.raises(sa.exc.OperationalError):
            await engine.connect()
    assert created(reader) == {None: 1, "sqlalchemy.exc.OperationalError": 3}


def test_forked_process_records_its_own_connections(port: int, reader: InMemoryMetricReader) -> None:
    engine = sa.create_engine(POSTGRESQL.format(port=port), creator=_creator(port))
    with engine.connect():
        pass

    def connect(results: Any) -> None:
        engine.dispose(close=False)
        with engine.connect():
            pass
        results.send(created(reader))

    context = multiprocessing.get_context("fork")
    received, sent = context.Pipe(duplex=False)
    child = context.Process(target=connect, args=(sent,))
    child.start()
    assert received.poll(30)
    assert received.recv() == {None: 1}
    child.join()
    assert created(reader) == {None: 1}
    engine.dispose()
