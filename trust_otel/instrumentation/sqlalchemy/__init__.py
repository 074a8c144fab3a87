"""Metrics of SQLAlchemy engines, sync and async. Spans come from the upstream instrumentation."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from sqlalchemy import event
from sqlalchemy.engine import Engine, Transaction
from sqlalchemy.pool import Pool

from trust_otel.instrumentation.sqlalchemy.pools import Pools
from trust_otel.instrumentation.sqlalchemy.statements import Databases, Statements
from trust_otel.instrumentation.sqlalchemy.transactions import Transactions
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.patches import Patches


class SqlAlchemyInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures every engine, including those created before.

    It listens to SQLAlchemy's events. Two public methods are patched, because no event marks the start of a request for
    a connection or a successful COMMIT.
    """

    _listening: list[tuple[Any, str, Callable[..., Any]]]
    _patches: Patches
    _pools: Pools

    def instrumentation_dependencies(self) -> Collection[str]:
        """Supported versions of the library."""
        return ("sqlalchemy >= 2.0, < 2.2",)

    def _instrument(self, **kwargs: Any) -> None:
        recorder = recorder_of(kwargs.get("metrics"))
        databases = Databases()
        statements, transactions = Statements(recorder, databases), Transactions(recorder, databases)
        pools = self._pools = Pools(recorder, databases)
        _observe(recorder, pools)
        self._patches = Patches()
        self._patches.replace(Engine, "raw_connection", pools.measured_raw_connection)
        self._patches.replace(Transaction, "commit", transactions.measured_commit)
        self._listening = [
            (Engine, "before_cursor_execute", statements.before),
            (Engine, "after_cursor_execute", statements.after),
            (Engine, "handle_error", statements.failed),
            (Engine, "commit", transactions.committing),
            (Engine, "commit_twophase", transactions.committing),
            (Engine, "rollback", transactions.rollback),
            (Engine, "rollback_twophase", transactions.rollback),
            (Engine, "do_connect", pools.connecting),
            # `first_connect` comes before `connect`, for the first connection of a pool only.
            (Pool, "first_connect", pools.connected),
            (Pool, "connect", pools.connected),
            (Pool, "checkout", pools.checked_out),
            (Pool, "checkin", pools.checked_in),
        ]
        for target, name, listener in self._listening:
            event.listen(target, name, listener)

    def _uninstrument(self, **kwargs: Any) -> None:
        for target, name, listener in self._listening:
            event.remove(target, name, listener)
        self._patches.restore()
        self._pools.stop()
        for recorder in _observed:
            _observed[recorder] = None


# Instruments cannot be removed, so each recorder registers one callback, which reads the current pools.
_observed: WeakKeyDictionary[Recorder, Pools | None] = WeakKeyDictionary()


def _observe(recorder: Recorder, pools: Pools) -> None:
    known = recorder in _observed
    _observed[recorder] = pools
    if not known:
        recorder.database.observe_connection_pools(lambda: current.states() if (current := _observed[recorder]) else ())
