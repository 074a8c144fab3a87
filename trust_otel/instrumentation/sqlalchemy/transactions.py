"""Transactions: each real COMMIT and ROLLBACK, once. Savepoints and autocommit are none."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal

from sqlalchemy.engine import Connection, Transaction

from trust_otel.instrumentation.sqlalchemy.statements import Databases
from trust_otel.metrics.recorder import Recorder
from trust_otel.recording.fail_open import fail_open

Outcome = Literal["commit", "rollback"]

# Connections whose COMMIT was announced within the running `Transaction.commit`.
_committing: ContextVar[list[Connection] | None] = ContextVar("trust_otel_committing", default=None)


class Transactions:
    """Listens to the ends of transactions.

    The event of a commit comes before the database has agreed to it. So it counts when `Transaction.commit` returns; a
    COMMIT that fails is a rollback, whether SQLAlchemy announces it as one or not.
    """

    def __init__(self, recorder: Recorder, databases: Databases) -> None:
        self._dropped = recorder.instruments.dropped
        self._record_transaction = recorder.database.record_database_transaction
        self._databases = databases

    def measured_commit(self, original: Callable[..., None]) -> Callable[..., None]:
        """What stands in for `Transaction.commit`."""
        record = self._record

        def commit(self: Transaction) -> None:
            announced: list[Connection] = []
            token = _committing.set(announced)
            outcome: Outcome = "rollback"
            try:
                original(self)
                outcome = "commit"
            finally:
                _committing.reset(token)
                for connection in announced:
                    record(connection, outcome)

        return commit

    @fail_open
    def commit_announced(self, conn: Connection, *_two_phase: Any) -> None:
        """Note a COMMIT that is about to be sent."""
        announced = _committing.get()
        if announced is None:
            self._record(conn, "commit")
        else:
            announced.append(conn)

    @fail_open
    def rollback(self, conn: Connection, *_two_phase: Any) -> None:
        """Record a ROLLBACK; that of a lost connection is done by the database."""
        announced = _committing.get()
        if announced and conn in announced:
            announced.remove(conn)
        self._record(conn, "rollback")

    @fail_open
    def _record(self, connection: Connection, outcome: Outcome) -> None:
        if _autocommits(connection):
            return
        database = self._databases.of(connection.engine)
        self._record_transaction(system=database.system, namespace=database.namespace, outcome=outcome)


def _autocommits(connection: Connection) -> bool:
    level = connection.get_execution_options().get("isolation_level")
    if level is None:
        # Where `create_engine(isolation_level=...)` leaves it; asking in public would ask the database.
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    return bool(level == "AUTOCOMMIT")
