"""Measures the duration and the errors of statements."""

from __future__ import annotations

from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Connection, Dialect, Engine, ExceptionContext

from trust_otel.instrumentation.sqlalchemy.names import Database, error_class, operation_name
from trust_otel.metrics.recorder import Recorder
from trust_otel.recording.fail_open import fail_open

_STARTED = "_trust_otel_started"


class Databases:
    """The database of each engine, by dialect, which engines that differ only in their options share."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Dialect, Database] = WeakKeyDictionary()

    def of(self, engine: Engine) -> Database:
        """The database that an engine connects to."""
        dialect = engine.dialect
        database = self._known.get(dialect)
        if database is None:
            database = self._known[dialect] = Database.of(dialect, engine.url)
        return database


class Statements:
    """Listeners of the execution of statements; each batch of a bulk insert counts as one."""

    def __init__(self, recorder: Recorder, databases: Databases) -> None:
        self._dropped = recorder.instruments.dropped
        self._record_operation = recorder.database.record_database_operation
        self._databases = databases

    @fail_open
    def before(
        self, conn: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        """Store the start time of a statement."""
        if context is not None:
            setattr(context, _STARTED, perf_counter())

    @fail_open
    def after(
        self, conn: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        """Record a successful statement."""
        self._record(conn.engine, context, statement, None)

    @fail_open
    def failed(self, exception_context: ExceptionContext) -> None:
        """Record a failed statement, and no failure to connect, commit or fetch: they have no running statement."""
        engine, statement = exception_context.engine, exception_context.statement
        if engine is not None and statement is not None:
            error = error_class(exception_context.original_exception, engine.dialect)
            self._record(engine, exception_context.execution_context, statement, error)

    def _record(self, engine: Engine, context: Any, statement: str, error: str | None) -> None:
        started = None if context is None else context.__dict__.pop(_STARTED, None)
        if started is None:
            return
        duration = perf_counter() - started
        database = self._databases.of(engine)
        self._record_operation(
            system=database.system,
            namespace=database.namespace,
            operation=operation_name(context, statement),
            duration=duration,
            error_type=error,
        )
