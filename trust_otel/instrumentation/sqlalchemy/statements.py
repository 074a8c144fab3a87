"""Measures the duration and the errors of statements."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from time import perf_counter
from types import MethodType
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy.engine import Dialect, Engine

from trust_otel import forks
from trust_otel.instrumentation.sqlalchemy.names import Database, error_class, operation_name
from trust_otel.metrics.database import DatabaseMetrics
from trust_otel.metrics.recorder import Recorder
from trust_otel.patches import imitates
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Record

_REPLACED: Final = "_trust_otel_replaced"


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
    """Measures the methods with which a dialect executes statements; each batch of a bulk insert counts as one.

    They are replaced in the dialect object of each engine: listeners of SQLAlchemy's events cost several times as much,
    and replacements in classes would count twice where a method calls that of its base class.
    """

    def __init__(self, recorder: Recorder, databases: Databases) -> None:
        self._dropped = recorder.instruments.dropped
        self._database = recorder.database
        self._databases = databases
        # Reentrant: a garbage collection may run a finalizer that connects.
        self._lock = forks.released_in_child(threading.RLock())
        self._dialects: WeakSet[Dialect] = WeakSet()
        self._stopped = False

    @fail_open
    def measure(self, engine: Engine) -> None:
        """Measure the statements of an engine that has connected: what a dialect executes before is its own."""
        dialect = engine.dialect
        if _REPLACED in vars(dialect):
            return
        with self._lock:
            if _REPLACED in vars(dialect) or self._stopped:
                return
            operations = _Operations(self._database, self._databases.of(engine))
            replaced = {
                "do_execute": self._with_parameters(dialect.do_execute, operations),
                "do_executemany": self._with_parameters(dialect.do_executemany, operations),
                "do_execute_no_params": self._without_parameters(dialect.do_execute_no_params, operations),
            }
            setattr(dialect, _REPLACED, [_replace(dialect, name, measured) for name, measured in replaced.items()])
            self._dialects.add(dialect)

    def stop(self) -> None:
        """Restore the methods, except where another instrumentation wrapped a replacement, which records no more."""
        with self._lock:
            self._stopped = True
            for dialect in self._dialects:
                for restore in vars(dialect).pop(_REPLACED, ()):
                    restore()

    def _with_parameters(self, original: Callable[..., Any], operations: _Operations) -> Callable[..., Any]:
        def execute(dialect: Dialect, cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
            started = perf_counter()
            try:
                result = original(cursor, statement, parameters, context)
            except BaseException as error:
                self._failed(operations, dialect, context, statement, perf_counter() - started, error)
                raise
            duration = perf_counter() - started
            try:
                if context is not None and not self._stopped:
                    operations[operation_name(context, statement)](duration)
            except Exception:
                self._dropped.count("internal_error")
            return result

        return execute

    def _without_parameters(self, original: Callable[..., Any], operations: _Operations) -> Callable[..., Any]:
        def call(cursor: Any, statement: str, _parameters: Any, context: Any) -> Any:
            return original(cursor, statement, context)

        execute = self._with_parameters(call, operations)
        return lambda dialect, cursor, statement, context=None: execute(dialect, cursor, statement, None, context)

    @fail_open
    def _failed(
        self,
        operations: _Operations,
        dialect: Dialect,
        context: Any,
        statement: str,
        duration: float,
        error: BaseException,
    ) -> None:
        # A dialect sets this option where it expects an error, such as that of a table that does not exist.
        if context is None or self._stopped or context.execution_options.get("skip_user_error_events"):
            return
        operations.record_failure(operation_name(context, statement), duration, error_class(error, dialect))


def _replace(dialect: Dialect, name: str, measured: Callable[..., Any]) -> Callable[[], None]:
    """Replace a method of a dialect object; returns a function that restores it."""
    original, earlier = getattr(dialect, name), vars(dialect).get(name)
    # A method again, so that the dialect can be inspected and copied as before.
    replacement: Any = (
        MethodType(imitates(original.__func__)(measured), dialect)
        if hasattr(original, "__func__")
        else imitates(original)(partial(measured, dialect))
    )
    setattr(dialect, name, replacement)

    def restore() -> None:
        if vars(dialect).get(name) is not replacement:
            return
        if earlier is None:
            delattr(dialect, name)
        else:
            setattr(dialect, name, earlier)

    return restore


class _Operations(dict[str, Record]):
    """Records the durations of the successful statements of a database, by operation, of which there are few."""

    def __init__(self, metrics: DatabaseMetrics, database: Database) -> None:
        self._metrics = metrics
        self._database = database

    def __missing__(self, operation: str) -> Record:
        record = self[operation] = self._metrics.bind_database_operation(
            system=self._database.system, namespace=self._database.namespace, operation=operation
        )
        return record

    def record_failure(self, operation: str, duration: float, error: str) -> None:
        """Record the duration of a failed statement."""
        self._metrics.record_database_operation(
            system=self._database.system,
            namespace=self._database.namespace,
            operation=operation,
            duration=duration,
            error_type=error,
        )
