from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import AssertionPool, NullPool, QueuePool, SingletonThreadPool, StaticPool

from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor

POOL = "sqlite/trust"


@pytest.fixture
def url(instrumentor: SqlAlchemyInstrumentor, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'trust.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, poolclass=QueuePool, pool_size=2, max_overflow=1, pool_timeout=0.1)
    yield engine
    engine.dispose()


def held(idle: int, used: int, pool: str = POOL) -> dict[tuple[str, str], int]:
    return {(pool, "idle"): idle, (pool, "used"): used}


def test_connections_are_idle_or_used(engine: sa.Engine, recorded: Any) -> None:
    first, second = engine.connect(), engine.connect()
    assert recorded.connections() == held(0, 2)
    second.close()
    assert recorded.connections() == held(1, 1)
    first.close()
    assert recorded.connections() == held(2, 0)
    assert recorded.by_pool("max") == {POOL: 3}
    assert recorded.by_pool("idle.max") == {POOL: 2}
    assert recorded.by_pool("pending_requests") == {POOL: 0}


def test_overflow_connection_is_closed_at_checkin(engine: sa.Engine, recorded: Any) -> None:
    connections = [engine.connect() for _ in range(3)]
    assert recorded.connections() == held(0, 3)
    for connection in connections:
        connection.close()
    assert recorded.connections() == held(2, 0)


def test_detached_connection_is_not_counted(engine: sa.Engine, recorded: Any) -> None:
    connection = engine.connect()
    connection.detach()
    assert recorded.connections() == held(0, 0)
    connection.close()
    assert recorded.connections() == held(0, 0)
    with engine.connect():
        assert recorded.connections() == held(0, 1)


def test_invalidated_connection_is_not_counted(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect() as connection:
        connection.invalidate()
        assert recorded.connections() == held(0, 0)
    assert recorded.connections() == held(0, 0)
    with engine.connect():
        assert recorded.connections() == held(0, 1)
    assert recorded.created() == {None: 2}


def test_disposed_pool_counts_only_connections_in_use(engine: sa.Engine, recorded: Any) -> None:
    kept, returned = engine.connect(), engine.connect()
    returned.close()
    engine.dispose()
    assert recorded.connections() == held(0, 1)
    assert recorded.by_pool("max") == {POOL: 3}
    with engine.connect():
        assert recorded.connections() == held(0, 2)
        assert recorded.by_pool("max") == {POOL: 3}
    kept.close()
    gc.collect()
    assert recorded.connections() == held(1, 0)


def test_deleted_engine_has_no_series(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url)
    with engine.connect():
        pass
    assert recorded.connections() == held(1, 0)
    engine.dispose()
    del engine
    gc.collect()
    assert recorded.connections() == {}


def test_unclosed_connection_is_checked_in_by_garbage_collection(engine: sa.Engine, recorded: Any) -> None:
    engine.connect()
    gc.collect()
    assert recorded.connections() == held(1, 0)
    assert recorded.by_pool("use_time") == {POOL: 1}


def test_two_engines_of_one_database_are_summed(url: str, recorded: Any) -> None:
    engines = [sa.create_engine(url, pool_size=2, max_overflow=0) for _ in range(2)]
    with engines[0].connect(), engines[1].connect():
        assert recorded.connections() == held(0, 2)
        assert recorded.by_pool("max") == {POOL: 4}
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(
    ("pool", "options", "most", "most_idle", "idle_after"),
    [
        (NullPool, {}, {}, {POOL: 0}, 0),
        (StaticPool, {}, {POOL: 1}, {POOL: 1}, 1),
        (AssertionPool, {}, {POOL: 1}, {POOL: 1}, 1),
        (SingletonThreadPool, {"pool_size": 4}, {}, {POOL: 4}, 1),
        (QueuePool, {"pool_size": 3, "max_overflow": -1}, {}, {POOL: 3}, 1),
        (QueuePool, {"pool_size": 0}, {}, {}, 1),
        (QueuePool, {"pool_size": 3, "max_overflow": 0}, {POOL: 3}, {POOL: 3}, 1),
    ],
)
def test_limits_of_each_pool_class(
    url: str,
    recorded: Any,
    pool: Any,
    options: dict[str, int],
    most: dict[str, int],
    most_idle: dict[str, int],
    idle_after: int,
) -> None:
    engine = sa.create_engine(url, poolclass=pool, **options)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
        assert recorded.connections() == held(0, 1)
    assert recorded.by_pool("max") == most
    assert recorded.by_pool("idle.max") == most_idle
    gc.collect()
    assert recorded.connections() == held(idle_after, 0)
    engine.dispose()


def test_pool_logging_name_is_used(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url, pool_logging_name="orders")
    with engine.connect():
        pass
    engine.dispose()
    with engine.connect():
        pass
    assert recorded.connections() == held(1, 0, "orders")
    assert recorded.by_pool("use_time") == {"orders": 2}
    engine.dispose()


def test_wait_and_use_time_of_every_checkout(engine: sa.Engine, recorded: Any) -> None:
    for _ in range(5):
        with engine.connect():
            pass
    assert recorded.by_pool("wait_time") == {POOL: 5}
    assert recorded.by_pool("use_time") == {POOL: 5}
    assert recorded.created() == {None: 1}
    assert recorded.by_pool("timeouts") == {POOL: 0}


def test_connection_that_a_thread_gets_twice_is_used_once(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url, poolclass=SingletonThreadPool)
    first = engine.connect()
    time.sleep(0.05)
    second = engine.connect()
    assert second.connection.dbapi_connection is first.connection.dbapi_connection
    second.close()
    assert recorded.connections() == held(0, 1)
    first.close()
    assert recorded.by_pool("wait_time") == {POOL: 2}
    assert recorded.by_pool("use_time") == {POOL: 1}
    (point,) = recorded.points("db.client.connection.use_time")
    assert point.max >= 0.05
    engine.dispose()


def test_raw_connections_are_measured_too(engine: sa.Engine, recorded: Any) -> None:
    connection = engine.raw_connection()
    connection.cursor().execute("SELECT 1")
    connection.close()
    assert recorded.by_pool("wait_time") == recorded.by_pool("use_time") == {POOL: 1}


def test_wait_time_includes_waiting_for_a_free_connection(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, poolclass=QueuePool)
    connection = engine.connect()
    waiting = threading.Thread(target=lambda: engine.connect().close())
    waiting.start()
    deadline = time.monotonic() + 5
    while recorded.by_pool("pending_requests") != {POOL: 1} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorded.by_pool("pending_requests") == {POOL: 1}
    time.sleep(0.2)
    connection.close()
    waiting.join()
    assert recorded.by_pool("pending_requests") == {POOL: 0}
    (point,) = recorded.points("db.client.connection.wait_time")
    assert (point.count, point.max >= 0.2) == (2, True)
    (point,) = recorded.points("db.client.connection.use_time")
    assert (point.count, point.max >= 0.2) == (2, True)
    engine.dispose()


def test_request_that_times_out_is_counted(engine: sa.Engine, recorded: Any) -> None:
    connections = [engine.connect() for _ in range(3)]
    for _ in range(2):
        with pytest.raises(sa.exc.TimeoutError):
            engine.connect()
    assert recorded.by_pool("timeouts") == {POOL: 2}
    assert recorded.by_pool("wait_time") == {POOL: 3}
    assert recorded.by_pool("pending_requests") == {POOL: 0}
    for connection in connections:
        connection.close()


def test_failed_connection_is_recorded_with_its_error(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, tmp_path: Path
) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'nowhere' / 'trust.db'}")
    for _ in range(2):
        with pytest.raises(sa.exc.OperationalError):
            engine.connect()
    assert recorded.created() == {"sqlalchemy.exc.OperationalError": 2}
    assert recorded.by_pool("wait_time") == {}
    assert recorded.connections() == held(0, 0)


def test_other_exception_of_the_driver_keeps_its_class(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "do_connect")
    def refuse(*_arguments: Any) -> None:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        engine.connect()
    assert recorded.created() == {"ConnectionRefusedError": 1}


def test_listener_of_the_service_can_still_change_connection_arguments(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "do_connect")
    def change(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["timeout"] = 7

    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert recorded.created() == {None: 1}
    engine.dispose()


def test_create_time_excludes_listeners_of_the_service(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def prepare(_connection: Any, _record: Any) -> None:
        time.sleep(0.2)

    with engine.connect():
        pass
    (created,) = recorded.points("db.client.connection.create_time")
    (waited,) = recorded.points("db.client.connection.wait_time")
    assert created.sum < 0.1
    assert waited.sum >= 0.2
    engine.dispose()


def test_many_threads_leave_no_pending_requests(url: str, recorded: Any) -> None:
    engine = sa.create_engine(url, poolclass=QueuePool, pool_size=3, max_overflow=2)

    def work() -> None:
        for _ in range(50):
            with engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert sum(recorded.connections().values() or [0]) <= 5
    for thread in threads:
        thread.join()
    connections = recorded.connections()
    assert connections[POOL, "used"] == 0
    assert connections[POOL, "idle"] <= 3
    assert recorded.by_pool("wait_time") == recorded.by_pool("use_time") == {POOL: 400}
    assert recorded.operations() == {("SELECT", None): 400}
    engine.dispose()
