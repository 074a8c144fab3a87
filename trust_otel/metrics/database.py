"""Database operations, transactions and connection pools.

Source: OpenTelemetry semantic conventions 1.44, "Database client metrics".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from trust_otel.metrics.family import Family
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Instruments, Observations, PositionalLabels, Record, finite
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
        self._db_bound: dict[tuple[str, str, str | None, str | None], Record] = {}
        self._db_operations = instruments.histogram(DB_CLIENT_OPERATION_DURATION)
        self._db_slow_operations = instruments.counter(TRUST_DB_CLIENT_SLOW_OPERATIONS)
        self._db_transactions = PositionalLabels(
            instruments.counter(TRUST_DB_CLIENT_TRANSACTIONS),
            "db.system.name",
            "db.namespace",
            "trust.db.transaction.outcome",
        )
        self._db_timeouts = PositionalLabels(instruments.counter(DB_CLIENT_CONNECTION_TIMEOUTS), _POOL)
        self._db_create_time = PositionalLabels(
            instruments.histogram(DB_CLIENT_CONNECTION_CREATE_TIME), _POOL, "error.type"
        )
        self._db_wait_time = PositionalLabels(instruments.histogram(DB_CLIENT_CONNECTION_WAIT_TIME), _POOL)
        self._db_use_time = PositionalLabels(instruments.histogram(DB_CLIENT_CONNECTION_USE_TIME), _POOL)

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
        try:
            record = self._db_bound[system, operation, namespace, error_type]
        except Exception:  # not bound yet, or an unhashable value
            record = self.bind_database_operation(
                system=system, operation=operation, namespace=namespace, error_type=error_type
            )
        record(duration)

    def bind_database_operation(
        self, *, system: str, operation: str, namespace: str | None = None, error_type: str | None = None
    ) -> Record:
        """A function that records the seconds that statements of one kind took.

        Args:
            system: As in `record_database_operation`.
            operation: As in `record_database_operation`.
            namespace: As in `record_database_operation`.
            error_type: As in `record_database_operation`.
        """
        labels = {"db.system.name": system, "db.namespace": namespace, "db.operation.name": operation}
        record = self._db_operations.bind({**labels, "error.type": error_type})
        record_slow, slow_seconds = self._db_slow_operations.bind(labels), self._slow_seconds
        # Past the limit, only what is slow: what is bound anew for each statement would declare its series each time.
        declared = len(self._db_bound) >= self._instruments.limits.label_sets

        def record_duration(duration: float) -> None:
            nonlocal declared
            record(duration)
            if declared and type(duration) is float and duration < slow_seconds:
                return
            number = finite(duration)
            if number is None:
                return
            slow = number >= slow_seconds
            if slow or not declared:
                # Exported as 0 from the start, so that an alert sees the first slow one.
                declared = True
                record_slow(1 if slow else 0)

        if not declared:
            with suppress(Exception):  # an unhashable value
                self._db_bound[system, operation, namespace, error_type] = record_duration
        return record_duration

    def record_database_transaction(
        self, *, system: str, outcome: Literal["commit", "rollback"], namespace: str | None = None
    ) -> None:
        """Count the end of a transaction."""
        self._db_transactions(1, system, namespace, outcome)

    def record_connection_created(self, pool: str, *, duration: float, error_type: str | None = None) -> None:
        """Record the seconds that opening a connection took, or failed after."""
        self._db_create_time(duration, pool, error_type)

    def record_connection_wait(self, pool: str, *, duration: float) -> None:
        """Record the seconds until the pool gave a connection."""
        self._db_wait_time(duration, pool)

    def record_connection_use(self, pool: str, *, duration: float) -> None:
        """Record the seconds between borrowing and returning a connection."""
        self._db_use_time(duration, pool)

    def record_connection_timeout(self, pool: str) -> None:
        """Count a request for a connection that gave up waiting."""
        self._db_timeouts(1, pool)

    def declare_connection_pool(self, pool: str, *, system: str, namespace: str | None = None) -> None:
        """Export timeouts and both transaction outcomes as 0 from the start, so that an alert sees the first one."""
        self._db_timeouts(0, pool)
        for outcome in TRUST_DB_TRANSACTION_OUTCOME.members:
            self._db_transactions(0, system, namespace, outcome)

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
