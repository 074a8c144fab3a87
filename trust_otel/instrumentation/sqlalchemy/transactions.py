"""Counts transactions: each COMMIT and ROLLBACK once, without savepoints and autocommit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy.engine import Connection, RootTransaction, Transaction

from trust_otel.instrumentation.sqlalchemy.statements import Databases
from trust_otel.metrics.recorder import Recorder
from trust_otel.recording.fail_open import fail_open

Outcome = Literal["commit", "rollback"]


class Transactions:
    """Replacements of the methods of `Transaction` that end one.

    Listeners of the events `commit` and `rollback` would cost several times as much, and run before the database
    responds. The dialect's methods are also called by the pool, where there is no transaction.

    A failed COMMIT counts as a rollback. So does the end of a transaction whose connection is lost: the database rolls
    it back.
    """

    def __init__(self, recorder: Recorder, databases: Databases) -> None:
        self._dropped = recorder.instruments.dropped
        self._record_transaction = recorder.database.record_database_transaction
        self._databases = databases
        self._stopped = False

    def stop(self) -> None:
        """Stop recording, also in a replacement that could not be removed."""
        self._stopped = True

    def measured_commit(self, original: Callable[..., None]) -> Callable[..., None]:
        """The replacement of `Transaction.commit`."""

        def commit(self: Transaction) -> None:
            connection = _connection_to_end(self)
            try:
                original(self)
            except BaseException:
                record(connection, "rollback")
                raise
            record(connection, "commit")

        record = self._record
        return commit

    def measured_rollback(self, original: Callable[..., None]) -> Callable[..., None]:
        """The replacement of `Transaction.rollback` and of `Transaction.close`, which rolls back what is not ended."""

        def rollback(self: Transaction) -> None:
            connection = _connection_to_end(self)
            try:
                original(self)
            finally:
                record(connection, "rollback")

        record = self._record
        return rollback

    @fail_open
    def _record(self, connection: Connection | None, outcome: Outcome) -> None:
        if connection is None or self._stopped or _autocommits(connection):
            return
        database = self._databases.of(connection.engine)
        self._record_transaction(system=database.system, namespace=database.namespace, outcome=outcome)


def _connection_to_end(transaction: Any) -> Connection | None:
    """The connection whose transaction is about to end; `None` at a savepoint, and where it has ended before."""
    return transaction.connection if isinstance(transaction, RootTransaction) and transaction.is_active else None


def _autocommits(connection: Connection) -> bool:
    level = connection.get_execution_options().get("isolation_level")
    if level is None:
        # Set by `create_engine(isolation_level=...)`; the public method would query the database.
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    return bool(level == "AUTOCOMMIT")
