"""Connections: opening them, waiting for one, holding one, and what the pools hold when metrics are collected."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import (
    AssertionPool,
    ConnectionPoolEntry,
    NullPool,
    Pool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

from trust_otel.instrumentation.sqlalchemy.names import error_class
from trust_otel.instrumentation.sqlalchemy.statements import Databases
from trust_otel.metrics.database import PoolState
from trust_otel.metrics.recorder import Recorder
from trust_otel.recording.fail_open import fail_open

_BORROWED: Final = "trust_otel_borrowed"


class Pools:
    """Listens to pools and knows those of every engine that was asked for a connection, as long as they live."""

    def __init__(self, recorder: Recorder, databases: Databases) -> None:
        self._dropped = recorder.instruments.dropped
        self._database = recorder.database
        self._databases = databases
        self._lock = threading.Lock()
        self._engines: WeakSet[Engine] = WeakSet()
        self._watched: WeakKeyDictionary[Pool, _Watched] = WeakKeyDictionary()
        # A connection that nobody returned comes back within a garbage collection, which may have interrupted a
        # recording and its lock. So what is seen then is put aside.
        self._returned: deque[tuple[str, float]] = deque()
        self._stopped = False

    def stop(self) -> None:
        """Record nothing more, should something still lead here."""
        self._stopped = True

    def measured_raw_connection(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """What stands in for `Engine.raw_connection`, through which every connection of an engine comes."""
        pools = self

        def raw_connection(self: Engine) -> Any:
            request = _Request()
            pools._begin(request, self)
            token = _requested.set(request)
            try:
                connection = original(self)
            except BaseException as error:
                pools._failed(request, error)
                raise
            finally:
                _requested.reset(token)
                pools._end(request)
            pools._succeeded(request)
            return connection

        return raw_connection

    @fail_open
    def connecting(self, dialect: Dialect, record: Any, arguments: Any, parameters: Any) -> None:
        """Note that a connection is about to be opened."""
        request = _requested.get()
        if request is not None:
            request.connecting_since = perf_counter()

    @fail_open
    def connected(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Record that a connection was opened."""
        request = _requested.get()
        if request is None or request.watched is None or request.connecting_since is None:
            return
        duration = perf_counter() - request.connecting_since
        request.connecting_since = None
        self._database.record_connection_created(request.watched.name, duration=duration)

    @fail_open
    def borrowed(self, connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        """Note that a connection leaves the pool."""
        request = _requested.get()
        if request is not None and request.watched is not None:
            request.watched.add(record)
            if record.record_info is not None:
                record.record_info[_BORROWED] = (request.watched.name, perf_counter())

    @fail_open
    def returned(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Note that a connection comes back."""
        borrowed = record.record_info.pop(_BORROWED, None) if record.record_info else None
        if borrowed is not None:
            name, since = borrowed
            self._returned.append((name, perf_counter() - since))

    def states(self) -> list[PoolState]:
        """What the pools hold now. A pool that its engine disposed of counts while connections of it are in use."""
        self._record_returned()
        with self._lock:
            engines = list(self._engines)
        current = {self._watch(engine): engine.pool for engine in engines}
        with self._lock:
            watched = list(self._watched.values())
        return [
            state for each in watched if (state := each.state(current.get(each))).used or state.idle or each in current
        ]

    @fail_open
    def _begin(self, request: _Request, engine: Engine) -> None:
        request.dialect = engine.dialect
        if not self._stopped:
            request.watched = self._watch(engine)
            request.watched.pending.add(request)

    @fail_open
    def _end(self, request: _Request) -> None:
        if request.watched is not None:
            request.watched.pending.discard(request)
        self._record_returned()

    @fail_open
    def _succeeded(self, request: _Request) -> None:
        if request.watched is not None:
            self._database.record_connection_wait(request.watched.name, duration=perf_counter() - request.since)

    @fail_open
    def _failed(self, request: _Request, error: BaseException) -> None:
        if request.watched is None or request.dialect is None:
            return
        if isinstance(error, PoolTimeoutError):
            self._database.record_connection_timeout(request.watched.name)
        elif request.connecting_since is not None:
            self._database.record_connection_created(
                request.watched.name,
                duration=perf_counter() - request.connecting_since,
                error_type=error_class(error, request.dialect),
            )

    def _record_returned(self) -> None:
        while True:
            try:
                name, duration = self._returned.popleft()
            except IndexError:
                return
            self._database.record_connection_use(name, duration=duration)

    def _watch(self, engine: Engine) -> _Watched:
        # An engine made by `execution_options` has its origin's pool, and may be gone before it.
        engine = getattr(engine, "_proxied", engine)
        pool = engine.pool
        watched = self._watched.get(pool)
        if watched is None:
            database = self._databases.of(engine)
            name = database.pool_name(pool)
            with self._lock:
                self._engines.add(engine)
                watched = self._watched.setdefault(pool, _Watched(name))
            self._database.declare_connection_pool(name, system=database.system, namespace=database.namespace)
        return watched


class _Watched:
    """A pool's connections, of which each tells whether it is open and in use."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending: set[_Request] = set()
        self._records: WeakSet[ConnectionPoolEntry] = WeakSet()
        self._lock = threading.Lock()

    def add(self, record: ConnectionPoolEntry) -> None:
        """Note a connection of the pool."""
        with self._lock:
            self._records.add(record)

    def state(self, pool: Pool | None) -> PoolState:
        """What the pool holds; without a pool, it is no longer its engine's, and has no bounds."""
        with self._lock:
            records = list(self._records)
        used = [record.in_use for record in records if record.dbapi_connection is not None]
        most, most_idle = (None, None) if pool is None else _bounds(pool)
        return PoolState(
            self.name,
            idle=used.count(False),
            used=used.count(True),
            pending_requests=len(self.pending),
            max=most,
            idle_max=most_idle,
        )


class _Request:
    """A request for a connection, until there is one."""

    __slots__ = ("connecting_since", "dialect", "since", "watched")

    def __init__(self) -> None:
        self.dialect: Dialect | None = None
        self.since = perf_counter()
        self.watched: _Watched | None = None
        self.connecting_since: float | None = None


_requested: ContextVar[_Request | None] = ContextVar("trust_otel_requested", default=None)


def _bounds(pool: Pool) -> tuple[int | None, int | None]:
    """Most connections and most idle connections of a pool."""
    if isinstance(pool, QueuePool):
        size = pool.size()
        # No public way leads to it.
        overflow = getattr(pool, "_max_overflow", -1)
        most = size + overflow if overflow >= 0 else None
        return most, size or most
    if isinstance(pool, (StaticPool, AssertionPool)):
        return 1, 1
    if isinstance(pool, SingletonThreadPool):
        return None, pool.size
    return None, 0 if isinstance(pool, NullPool) else None
