"""Measures connection pools: creation, wait and use time of connections, timeouts, and the state of each pool."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import update_wrapper
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

from trust_otel import forks
from trust_otel.instrumentation.sqlalchemy.names import error_class
from trust_otel.instrumentation.sqlalchemy.statements import Databases, Statements
from trust_otel.metrics.database import PoolState
from trust_otel.metrics.recorder import Recorder
from trust_otel.recording.fail_open import fail_open

# The pool of a connection, and since when it is checked out; `None` when it is not.
_CHECKED_OUT: Final = "trust_otel_checked_out"
_NEVER: Final = (None, None)


class Pools:
    """Measures the requests for connections, and keeps the live pools of all engines that were asked for one."""

    def __init__(self, recorder: Recorder, databases: Databases, statements: Statements) -> None:
        self._dropped = recorder.instruments.dropped
        self._database = recorder.database
        self._databases = databases
        self._statements = statements
        self._lock = forks.released_in_child(threading.Lock())
        self._engines: WeakSet[Engine] = WeakSet()
        self._tracked: WeakKeyDictionary[Pool, _TrackedPool] = WeakKeyDictionary()
        # A connection that the service did not close is checked in during garbage collection, which may interrupt a
        # recording that holds a lock. So its use time is queued and recorded later.
        self._use_times: deque[tuple[str, float]] = deque()
        self._stopped = False

    def stop(self) -> None:
        """Stop recording, also in a replacement that another instrumentation wrapped."""
        self._stopped = True
        with self._lock:
            for pool in self._tracked:
                _MeasuredCreator.remove(pool)

    def measured_raw_connection(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The replacement of `Engine.raw_connection`, which every connection of an engine goes through."""
        begun, ended = self._begun, self._ended

        def raw_connection(self: Engine) -> Any:
            request = begun(self)
            try:
                connection = original(self)
            except BaseException as error:
                ended(request, error=error)
                raise
            ended(request, connection=connection)
            return connection

        return raw_connection

    @fail_open
    def checked_in(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Queue the use time of a connection that is checked in."""
        info: Any = record.record_info
        tracked, since = info.get(_CHECKED_OUT, _NEVER)
        if since is not None:
            info[_CHECKED_OUT] = (tracked, None)
            self._use_times.append((tracked.name, perf_counter() - since))

    def states(self) -> list[PoolState]:
        """The state of the pools now. A disposed pool is included while some of its connections are in use."""
        self._record_use_times()
        with self._lock:
            engines = list(self._engines)
        current = {self._track(engine): engine.pool for engine in engines}
        with self._lock:
            tracked = list(self._tracked.values())
        return [
            state for each in tracked if (state := each.state(current.get(each))).used or state.idle or each in current
        ]

    @fail_open
    def _begun(self, engine: Engine) -> _Request | None:
        if self._stopped:
            return None
        request = _Request(engine, self._track(engine))
        request.tracked.pending.add(request)
        return request

    @fail_open
    def _ended(self, request: _Request | None, *, connection: Any = None, error: BaseException | None = None) -> None:
        if request is None:
            return
        tracked, now = request.tracked, perf_counter()
        tracked.pending.discard(request)
        self._record_use_times()
        if error is None:
            self._statements.measure(request.engine)
            self._check_out(connection, tracked, now)
            self._database.record_connection_wait(tracked.name, duration=now - request.since)
        elif isinstance(error, PoolTimeoutError):
            self._database.record_connection_timeout(tracked.name)

    def _check_out(self, connection: Any, tracked: _TrackedPool, now: float) -> None:
        """Store when a connection is checked out; not when a pool returns the connection that a thread has already.

        A listener of the pool's `checkout` event would cost several times as much. There is no public attribute for
        the entry and the number of checkouts.
        """
        record: Any = getattr(connection, "_connection_record", None)
        if record is not None and getattr(connection, "_counter", 1) == 1:
            info = record.record_info
            if info.get(_CHECKED_OUT, _NEVER)[0] is not tracked:
                tracked.add(record)
            info[_CHECKED_OUT] = (tracked, now)

    def _record_use_times(self) -> None:
        while self._use_times:
            with suppress(IndexError):  # another thread was faster
                name, duration = self._use_times.popleft()
                self._database.record_connection_use(name, duration=duration)

    def _track(self, engine: Engine) -> _TrackedPool:
        # An engine made by `execution_options` uses the pool of its original, which may outlive it.
        engine = vars(engine).get("_proxied", engine)
        pool = engine.pool
        tracked = self._tracked.get(pool)
        if tracked is None:
            database = self._databases.of(engine)
            name = database.pool_name(pool)
            with self._lock:
                self._engines.add(engine)
                tracked = self._tracked.get(pool)
                if tracked is None:
                    tracked = self._tracked[pool] = _TrackedPool(name)
                    _MeasuredCreator.install(pool, self, name, engine.dialect)
            self._database.declare_connection_pool(name, system=database.system, namespace=database.namespace)
        return tracked

    @fail_open
    def created(self, pool: str, duration: float) -> None:
        """Record an opened connection."""
        if not self._stopped:
            self._database.record_connection_created(pool, duration=duration)

    @fail_open
    def failed(self, pool: str, duration: float, error: BaseException, dialect: Dialect) -> None:
        """Record a connection that could not be opened."""
        if not self._stopped:
            self._database.record_connection_created(pool, duration=duration, error_type=error_class(error, dialect))


class _MeasuredCreator:
    """The function that opens each connection of a pool.

    It opens all connections: those of a dialect, of `creator`, of a listener of `do_connect`, and those that replace a
    lost one. Events of SQLAlchemy cover only some of them. The pool has no public attribute for it.
    """

    def __init__(self, pools: Pools, pool: str, dialect: Dialect, original: Callable[..., Any]) -> None:
        update_wrapper(self, original)
        self._pools = pools
        self._pool = pool
        self._dialect = dialect
        self._original = original

    @staticmethod
    def install(pool: Any, pools: Pools, name: str, dialect: Dialect) -> None:
        """Measure the connections of a pool."""
        pool._invoke_creator = _MeasuredCreator(pools, name, dialect, pool._invoke_creator)

    @staticmethod
    def remove(pool: Any) -> None:
        """Restore the function, unless another instrumentation wrapped this one."""
        measured = pool._invoke_creator
        if type(measured) is _MeasuredCreator:
            pool._invoke_creator = measured._original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        since = perf_counter()
        try:
            connection = self._original(*args, **kwargs)
        except BaseException as error:
            self._pools.failed(self._pool, perf_counter() - since, error, self._dialect)
            raise
        self._pools.created(self._pool, perf_counter() - since)
        return connection


class _TrackedPool:
    """The connections and waiting requests of a pool."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending: set[_Request] = set()
        self._records: WeakSet[ConnectionPoolEntry] = WeakSet()
        self._lock = forks.released_in_child(threading.Lock())

    def add(self, record: ConnectionPoolEntry) -> None:
        """Add a connection."""
        with self._lock:
            self._records.add(record)

    def state(self, pool: Pool | None) -> PoolState:
        """The state now; a disposed pool (`None`) has no limits."""
        with self._lock:
            records = list(self._records)
        used = [record.in_use for record in records if record.dbapi_connection is not None]
        maximum, idle_maximum = (None, None) if pool is None else _limits(pool)
        return PoolState(
            self.name,
            idle=used.count(False),
            used=used.count(True),
            pending_requests=len(self.pending),
            max=maximum,
            idle_max=idle_maximum,
        )


class _Request:
    """A request for a connection, while it waits."""

    __slots__ = ("engine", "since", "tracked")

    def __init__(self, engine: Engine, tracked: _TrackedPool) -> None:
        self.engine = engine
        self.tracked = tracked
        self.since = perf_counter()


def _limits(pool: Pool) -> tuple[int | None, int | None]:
    """Maximum number of connections and of idle connections; `None` for no limit."""
    if isinstance(pool, QueuePool):
        size = pool.size()
        # No public attribute.
        overflow = getattr(pool, "_max_overflow", -1)
        maximum = size + overflow if overflow >= 0 else None
        return maximum, size or maximum
    if isinstance(pool, (StaticPool, AssertionPool)):
        return 1, 1
    if isinstance(pool, SingletonThreadPool):
        return None, pool.size
    return None, 0 if isinstance(pool, NullPool) else None
