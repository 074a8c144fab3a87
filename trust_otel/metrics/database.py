"""Database operations, transactions and connection pools.

Source: OpenTelemetry semantic conventions 1.44, "Database client metrics".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, Observations, finite
from trust_otel.semconv.attributes import TRUST_DB_TRANSACTION_OUTCOME
from trust_otel.semconv.metrics import (
    DB_CLIENT_CONNECTION_COUNT,
    DB_CLIENT_CONNECTION_CREATE_TIME,
    DB_CLIENT_CONNECTION_IDLE_MAX,
    DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    DB_CLIENT_CONNECTION_TIMEOUTS,
    DB_CLIENT_CONNECTION_USE_TIME,
    DB_CLIENT_CONNECTION_WAIT_TIME,
    DB_CLIENT_OPERATION_DURATION,
    TRUST_DB_CLIENT_SLOW_OPERATIONS,
    TRUST_DB_CLIENT_TRANSACTIONS,
)

_POOL = "db.client.connection.pool.name"


@dataclass(frozen=True)
class PoolState:
    """What a connection pool holds now; a bound is `None` when the pool has none."""

    name: str
    idle: int
    used: int
    pending_requests: int
    max: int | None = None
    idle_max: int | None = None


class DatabaseMetrics(Family):
    """Operations, transactions and connection pools."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self._slow_seconds = instruments.limits.slow_seconds
        self._db_declared: set[tuple[str, str | None, str]] = set()
        self._db_operations = instruments.histogram(DB_CLIENT_OPERATION_DURATION)
        self._db_slow_operations = instruments.counter(TRUST_DB_CLIENT_SLOW_OPERATIONS)
        self._db_transactions = instruments.counter(TRUST_DB_CLIENT_TRANSACTIONS)
        self._db_timeouts = instruments.counter(DB_CLIENT_CONNECTION_TIMEOUTS)
        self._db_create_time = instruments.histogram(DB_CLIENT_CONNECTION_CREATE_TIME)
        self._db_wait_time = instruments.histogram(DB_CLIENT_CONNECTION_WAIT_TIME)
        self._db_use_time = instruments.histogram(DB_CLIENT_CONNECTION_USE_TIME)

    @fail_open
    def record_database_operation(
        self,
        *,
        system: str,
        operation: str,
        duration: float,
        namespace: str | None = None,
        error_type: str | None = None,
    ) -> None:
        """Record a statement.

        Args:
            system: Such as `postgresql`.
            operation: First keyword of the statement, such as `SELECT`; never the statement.
            duration: Seconds.
            namespace: Name of the database.
            error_type: Class of the exception, if one was raised.
        """
        labels = {"db.system.name": system, "db.namespace": namespace, "db.operation.name": operation}
        self._db_operations(duration, {**labels, "error.type": error_type})
        if finite(duration) is None:
            return
        slow = duration >= self._slow_seconds
        kind = (system, namespace, operation)
        if slow or (kind not in self._db_declared and len(self._db_declared) < self._instruments.limits.label_sets):
            # Exported as 0 from the start, so that an alert sees the first slow one.
            self._db_declared.add(kind)
            self._db_slow_operations(1 if slow else 0, labels)

    def record_database_transaction(
        self, *, system: str, outcome: Literal["commit", "rollback"], namespace: str | None = None
    ) -> None:
        """Count the end of a transaction."""
        self._db_transactions(
            1, {"db.system.name": system, "db.namespace": namespace, "trust.db.transaction.outcome": outcome}
        )

    def record_connection_created(self, pool: str, *, duration: float, error_type: str | None = None) -> None:
        """Record the seconds that opening a connection took, or failed after."""
        self._db_create_time(duration, {_POOL: pool, "error.type": error_type})

    def record_connection_wait(self, pool: str, *, duration: float) -> None:
        """Record the seconds until the pool gave a connection."""
        self._db_wait_time(duration, {_POOL: pool})

    def record_connection_use(self, pool: str, *, duration: float) -> None:
        """Record the seconds between borrowing and returning a connection."""
        self._db_use_time(duration, {_POOL: pool})

    def record_connection_timeout(self, pool: str) -> None:
        """Count a request for a connection that gave up waiting."""
        self._db_timeouts(1, {_POOL: pool})

    def declare_connection_pool(self, pool: str, *, system: str, namespace: str | None = None) -> None:
        """Export timeouts and both transaction outcomes as 0 from the start, so that an alert sees the first one."""
        self._db_timeouts(0, {_POOL: pool})
        for outcome in TRUST_DB_TRANSACTION_OUTCOME.members:
            self._db_transactions(
                0, {"db.system.name": system, "db.namespace": namespace, "trust.db.transaction.outcome": outcome}
            )

    def observe_connection_pools(self, pools: Callable[[], Iterable[PoolState]]) -> None:
        """Read the state of the pools at each collection."""

        def by_state() -> Iterable[tuple[float, Mapping[str, object]]]:
            for pool in pools():
                yield pool.idle, {_POOL: pool.name, "db.client.connection.state": "idle"}
                yield pool.used, {_POOL: pool.name, "db.client.connection.state": "used"}

        def each(number: Callable[[PoolState], int | None]) -> Observations:
            return lambda: [(amount, {_POOL: pool.name}) for pool in pools() if (amount := number(pool)) is not None]

        self._instruments.observe(DB_CLIENT_CONNECTION_COUNT, by_state)
        self._instruments.observe(DB_CLIENT_CONNECTION_MAX, each(lambda pool: pool.max))
        self._instruments.observe(DB_CLIENT_CONNECTION_IDLE_MAX, each(lambda pool: pool.idle_max))
        self._instruments.observe(DB_CLIENT_CONNECTION_PENDING_REQUESTS, each(lambda pool: pool.pending_requests))
