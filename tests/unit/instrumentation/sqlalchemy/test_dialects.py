"""The methods of dialects through which statements are measured."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import wrapt
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import StaticPool

from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor

METHODS = ("do_execute", "do_executemany", "do_execute_no_params")

every_method = pytest.mark.parametrize("name", METHODS)


class OwnDialect(SQLiteDialect_pysqlite):
    """A dialect that adds to the methods of its base class."""

    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """Execute, as this dialect does."""
        super().do_execute(cursor, statement, parameters, context)

    def do_executemany(self, cursor: Any, query: Any, rows: Any, context: Any = None) -> None:
        """Execute with many rows, with parameters named otherwise."""
        super().do_executemany(cursor, query, rows, context)


registry.register("owndialect", __name__, "OwnDialect")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'trust.db'}"


@pytest.fixture
def make_engine(url: str) -> Iterator[Callable[..., sa.Engine]]:
    engines: list[sa.Engine] = []

    def make(url: str = url, **options: Any) -> sa.Engine:
        engines.append(sa.create_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


def select(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))


def inspected(method: Any) -> tuple[Any, ...]:
    return (
        method.__name__,
        method.__qualname__,
        method.__module__,
        method.__doc__,
        method.__self__,
        inspect.ismethod(method),
        inspect.signature(method),
        inspect.getfullargspec(method),
        inspect.unwrap(method.__func__),
    )


def failure(method: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[str, str]:
    try:
        method(*arguments, **named)
    except Exception as error:
        return type(error).__name__, str(error)
    pytest.fail("no error")


@every_method
@pytest.mark.parametrize("scheme", ["sqlite", "owndialect"])
def test_measured_method_looks_and_fails_like_the_original(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any, scheme: str, name: str
) -> None:
    engine = make_engine(f"{scheme}://", poolclass=StaticPool)
    original = getattr(engine.dialect, name)
    looks = inspected(original)
    wrong = ((), (5,), (5,) * 9)
    failures = [failure(original, *arguments) for arguments in wrong] + [failure(original, 5, 5, 5, unheard_of=5)]
    select(engine)
    measured = getattr(engine.dialect, name)
    assert measured is not original
    assert inspected(measured) == looks
    if name != "do_executemany" or scheme == "sqlite":
        assert [failure(measured, *arguments) for arguments in wrong] + [
            failure(measured, 5, 5, 5, unheard_of=5)
        ] == failures


def test_result_and_exception_of_a_dialect_pass_unchanged(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    engine = make_engine()
    raised = LookupError("from the dialect")
    cause = ValueError("its cause")

    def execute(cursor: Any, statement: str, parameters: Any, context: Any = None) -> str:
        if statement == "fail":
            raise raised from cause
        return "a result"

    engine.dialect.do_execute = execute
    select_one = sa.text("SELECT 1")
    with engine.connect() as connection:
        connection.execute(select_one)
        assert engine.dialect.do_execute is not execute
        assert inspect.signature(engine.dialect.do_execute) == inspect.signature(execute)
        assert engine.dialect.do_execute(None, "SELECT 1", ()) == "a result"
        with pytest.raises(LookupError) as caught:
            connection.exec_driver_sql("fail")
    assert caught.value is raised
    assert (caught.value.__cause__, caught.value.__context__) == (cause, None)
    assert recorded.operations() == {("SELECT", None): 1, ("_OTHER", "LookupError"): 1}


def test_call_without_a_context_is_not_counted(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    engine = make_engine()
    select(engine)
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        engine.dialect.do_execute(cursor, "SELECT 1", ())
        engine.dialect.do_execute_no_params(cursor, "SELECT 1")
    assert recorded.operations() == {("SELECT", None): 1}


def test_subclass_of_a_dialect_counts_once(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    # The other engine has a dialect of the base class.
    select(make_engine("sqlite://", poolclass=StaticPool))
    engine = make_engine("owndialect://", poolclass=StaticPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
        connection.execute(sa.text("INSERT INTO t VALUES (:x)"), [{"x": 1}, {"x": 2}])
        connection.execution_options(no_parameters=True).exec_driver_sql("DELETE FROM t")
    assert recorded.operations() == {
        ("SELECT", None): 1,
        ("CREATE", None): 1,
        ("INSERT", None): 1,
        ("DELETE", None): 1,
    }


def test_statements_of_the_dialect_itself_are_not_counted(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def initialize(self: OwnDialect, connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA user_version")

    monkeypatch.setattr(OwnDialect, "initialize", initialize)
    select(make_engine("owndialect://", poolclass=StaticPool))
    assert recorded.operations() == {("SELECT", None): 1}


def test_engines_that_share_a_pool_are_both_measured(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    first = make_engine()
    select(first)
    select(make_engine(pool=first.pool))
    assert recorded.operations() == {("SELECT", None): 2}


def test_connections_of_a_creator_are_measured(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any, tmp_path: Path
) -> None:
    select(make_engine(creator=lambda: sqlite3.connect(tmp_path / "trust.db")))
    assert recorded.operations() == {("SELECT", None): 1}
    assert recorded.transactions() == {"rollback": 1}


def test_error_changed_by_a_listener_is_the_error_of_the_driver(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    engine = make_engine()

    @sa.event.listens_for(engine, "handle_error")
    def change(context: Any) -> None:
        raise LookupError("changed") from context.original_exception

    with engine.connect() as connection, pytest.raises(LookupError, match="changed"):
        connection.execute(sa.text("SELECT * FROM nowhere"))
    assert recorded.operations() == {("SELECT", "sqlalchemy.exc.OperationalError"): 1}


def test_error_that_a_dialect_expects_is_not_counted(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    with make_engine().connect() as connection:
        quiet = connection.execution_options(skip_user_error_events=True)
        with pytest.raises(sa.exc.OperationalError):
            quiet.exec_driver_sql("SELECT * FROM nowhere")
    assert recorded.operations() == {}


def test_failed_fetch_is_not_a_failed_statement(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    engine = make_engine()
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT 1 UNION ALL SELECT abs(-9223372036854775807 - 1)")
        with pytest.raises(sa.exc.OperationalError):
            rows.all()
    assert recorded.operations() == {("SELECT", None): 1}


def test_attempts_of_a_listener_that_repeats_statements_are_counted(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    engine = make_engine()

    @sa.event.listens_for(engine, "do_execute")
    def repeat(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        if "nowhere" in statement:
            with pytest.raises(engine.dialect.dbapi.Error):
                context.dialect.do_execute(cursor, statement, parameters, context)
        context.dialect.do_execute(cursor, "SELECT 1", (), context)
        return True

    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT * FROM nowhere")).scalar() == 1
    assert recorded.operations() == {("SELECT", "sqlalchemy.exc.OperationalError"): 1, ("SELECT", None): 1}


def test_spans_and_comments_of_the_upstream_instrumentation_work_beside(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any
) -> None:
    upstream = pytest.importorskip("opentelemetry.instrumentation.sqlalchemy").SQLAlchemyInstrumentor()
    spans, sent = InMemorySpanExporter(), []
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    engine = make_engine()

    upstream.instrument(engine=engine, tracer_provider=tracers, enable_commenter=True, skip_dep_check=True)
    original = engine.dialect.do_execute

    def execute(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        sent.append(statement)
        original(cursor, statement, parameters, context)

    try:
        engine.dialect.do_execute = execute
        select(engine)
        with pytest.raises(sa.exc.OperationalError), engine.connect() as connection:
            connection.execute(sa.text("SELECT * FROM nowhere"))
    finally:
        upstream.uninstrument()
    assert recorded.operations() == {("SELECT", None): 1, ("SELECT", "sqlalchemy.exc.OperationalError"): 1}
    assert [span.status.is_ok for span in spans.get_finished_spans() if span.name != "connect"] == [True, False]
    assert all("db_driver" in statement for statement in sent)


@every_method
def test_uninstrument_restores_the_methods(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any, name: str
) -> None:
    engine, earlier = make_engine(), make_engine()
    theirs = partial(getattr(earlier.dialect, name))
    setattr(earlier.dialect, name, theirs)
    select(engine)
    with earlier.connect():
        pass
    assert name in vars(engine.dialect)
    assert getattr(earlier.dialect, name) is not theirs
    instrumentor.uninstrument()
    assert name not in vars(engine.dialect)
    assert getattr(earlier.dialect, name) is theirs
    assert not [each for each in vars(engine.dialect) if "trust_otel" in each]


def test_later_wrapper_stays_and_nothing_is_recorded(
    instrumentor: SqlAlchemyInstrumentor, metrics: Any, recorded: Any, make_engine: Any
) -> None:
    calls: list[str] = []

    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        calls.append(args[1])
        return wrapped(*args, **kwargs)

    engine = make_engine()
    select(engine)
    wrapt.wrap_function_wrapper(engine.dialect, "do_execute", call)
    theirs = engine.dialect.do_execute
    instrumentor.uninstrument()
    select(engine)
    assert engine.dialect.do_execute is theirs
    assert recorded.operations() == {("SELECT", None): 1}
    instrumentor.instrument(metrics=metrics)
    select(engine)
    select(engine)
    assert recorded.operations() == {("SELECT", None): 3}
    assert calls == ["SELECT 1"] * 3


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda dialect: pickle.loads(pickle.dumps(dialect))])
def test_dialect_is_copied_like_one_that_is_not_measured(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, make_engine: Any, copied: Any
) -> None:
    engine = make_engine()

    def outcome() -> str:
        try:
            return type(copied(engine.dialect)).__name__
        except Exception as error:
            return repr(error)

    before = outcome()
    select(engine)
    assert outcome() == before


def test_measured_engine_is_collected(instrumentor: SqlAlchemyInstrumentor, recorded: Any, url: str) -> None:
    engine = sa.create_engine(url)
    select(engine)
    dialect = weakref.ref(engine.dialect)
    engine.dispose()
    del engine
    gc.collect()
    assert dialect() is None
