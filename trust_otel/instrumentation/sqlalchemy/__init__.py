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

    Public methods are replaced where each statement or transaction passes; it listens to SQLAlchemy's events only where
    they are rare, because they cost more.
    """

    _checked_in: Callable[..., None]
    _patches: Patches
    _measuring: tuple[Statements, Transactions, Pools]

    def instrumentation_dependencies(self) -> Collection[str]:
        """Supported versions of the library."""
        return ("sqlalchemy >= 2.0, < 2.2",)

    def _instrument(self, **kwargs: Any) -> None:
        recorder = recorder_of(kwargs.get("metrics"))
        databases = Databases()
        statements, transactions = Statements(recorder, databases), Transactions(recorder, databases)
        pools = Pools(recorder, databases, statements)
        _observe(recorder, pools)
        self._patches = Patches()
        self._patches.replace(Engine, "raw_connection", pools.measured_raw_connection)
        self._patches.replace(Transaction, "commit", transactions.measured_commit)
        for name in ("rollback", "close"):
            self._patches.replace(Transaction, name, transactions.measured_rollback)
        self._measuring = (statements, transactions, pools)
        self._checked_in = pools.checked_in
        event.listen(Pool, "checkin", self._checked_in)

    def _uninstrument(self, **kwargs: Any) -> None:
        event.remove(Pool, "checkin", self._checked_in)
        self._patches.restore()
        for measuring in self._measuring:
            measuring.stop()
        for recorder in _observed:
            _observed[recorder] = None


# Instruments cannot be removed, so each recorder registers one callback, which reads the current pools.
_observed: WeakKeyDictionary[Recorder, Pools | None] = WeakKeyDictionary()


def _observe(recorder: Recorder, pools: Pools) -> None:
    known = recorder in _observed
    _observed[recorder] = pools
    if not known:
        recorder.database.observe_connection_pools(lambda: current.states() if (current := _observed[recorder]) else ())
