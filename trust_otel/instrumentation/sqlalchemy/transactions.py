"""Counts transactions: each COMMIT and ROLLBACK once, without savepoints and autocommit."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal

from sqlalchemy.engine import Connection, Transaction

from trust_otel.instrumentation.sqlalchemy.statements import Databases
from trust_otel.metrics.recorder import Recorder
from trust_otel.recording.fail_open import fail_open

Outcome = Literal["commit", "rollback"]

# Connections with a commit event during the current `Transaction.commit`.
_committing: ContextVar[list[Connection] | None] = ContextVar("trust_otel_committing", default=None)


class Transactions:
    """Listeners of the end of transactions.

    SQLAlchemy's commit event comes before the COMMIT is sent. So a commit is counted when `Transaction.commit` returns;
    a failed COMMIT counts as a rollback, with or without a rollback event.
    """

    def __init__(self, recorder: Recorder, databases: Databases) -> None:
        self._dropped = recorder.instruments.dropped
        self._record_transaction = recorder.database.record_database_transaction
        self._databases = databases

    def measured_commit(self, original: Callable[..., None]) -> Callable[..., None]:
        """The replacement of `Transaction.commit`."""
        record = self._record

        def commit(self: Transaction) -> None:
            pending: list[Connection] = []
            token = _committing.set(pending)
            outcome: Outcome = "rollback"
            try:
                original(self)
                outcome = "commit"
            finally:
                _committing.reset(token)
                for connection in pending:
                    record(connection, outcome)

        return commit

    @fail_open
    def committing(self, conn: Connection, *_two_phase: Any) -> None:
        """Store a COMMIT that is about to be sent."""
        pending = _committing.get()
        if pending is None:
            self._record(conn, "commit")
        else:
            pending.append(conn)

    @fail_open
    def rollback(self, conn: Connection, *_two_phase: Any) -> None:
        """Record a ROLLBACK, also of a lost connection, for which the database does it."""
        pending = _committing.get()
        if pending and conn in pending:
            pending.remove(conn)
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
        # Set by `create_engine(isolation_level=...)`; the public method would query the database.
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    return bool(level == "AUTOCOMMIT")
