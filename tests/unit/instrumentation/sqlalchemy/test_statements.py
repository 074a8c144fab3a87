from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor
from trust_otel.metrics import recorder_of

table = sa.Table(
    "things", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String, unique=True)
)


@pytest.fixture
def engine(instrumentor: SqlAlchemyInstrumentor, tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'trust.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def things(engine: sa.Engine) -> sa.Table:
    with engine.begin() as connection:
        table.create(connection)
    return table


def test_each_statement_is_counted_once_by_its_operation(engine: sa.Engine, things: sa.Table, recorded: Any) -> None:
    before = recorded.operations()
    with engine.begin() as connection:
        connection.execute(things.insert(), {"name": "a"})
        connection.execute(things.update().values(name="b"))
        assert connection.execute(sa.select(things.c.name)).scalar() == "b"
        assert connection.execute(sa.text("/* raw */ select count(*) from things")).scalar() == 1
        connection.exec_driver_sql("DELETE FROM things")
        connection.execute(sa.select(things).union(sa.select(things)))
    assert recorded.operations() == {
        **before,
        ("INSERT", None): 1,
        ("UPDATE", None): 1,
        ("SELECT", None): 3,
        ("DELETE", None): 1,
    }
    assert before == {("CREATE", None): 1}
    assert recorded.databases() == {("sqlite", "trust")}


def test_common_table_expression_counts_as_its_main_statement(
    engine: sa.Engine, things: sa.Table, recorded: Any
) -> None:
    source = sa.select(sa.literal("x").label("name")).cte("source")
    with engine.begin() as connection:
        connection.execute(things.insert().from_select(["name"], sa.select(source.c.name)))
        connection.execute(sa.select(source))
        connection.execute(sa.text("WITH s AS (SELECT 'y' AS name) INSERT INTO things (name) SELECT name FROM s"))
    assert recorded.operations() == {("CREATE", None): 1, ("INSERT", None): 2, ("SELECT", None): 1}


def test_executemany_is_one_operation(engine: sa.Engine, things: sa.Table, recorded: Any) -> None:
    with engine.begin() as connection:
        connection.execute(things.insert(), [{"name": str(number)} for number in range(100)])
    assert recorded.operations()["INSERT", None] == 1


def test_bulk_insert_with_returning_is_an_operation_per_batch(
    engine: sa.Engine, things: sa.Table, recorded: Any
) -> None:
    if not engine.dialect.insert_returning:
        pytest.skip("this SQLite returns nothing from an insert")
    with engine.begin() as connection:
        rows = [{"name": str(number)} for number in range(100)]
        statement = things.insert().returning(things.c.id).execution_options(insertmanyvalues_page_size=40)
        assert len(connection.execute(statement, rows).all()) == 100
    assert recorded.operations()["INSERT", None] == 3


def test_streamed_rows_are_one_operation(engine: sa.Engine, things: sa.Table, recorded: Any) -> None:
    with engine.begin() as connection:
        connection.execute(things.insert(), [{"name": str(number)} for number in range(50)])
    with engine.connect() as connection:
        rows = connection.execution_options(stream_results=True, yield_per=10).execute(sa.select(things))
        assert sum(len(part) for part in rows.partitions()) == 50
    assert recorded.operations()["SELECT", None] == 1


def test_orm_is_measured(engine: sa.Engine, recorded: Any) -> None:
    class Base(DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "orm_things"
        id: Mapped[int] = mapped_column(primary_key=True)

    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Thing(), Thing()])
        session.commit()
        assert len(session.scalars(sa.select(Thing)).all()) == 2
    operations = recorded.operations()
    assert operations["SELECT", None] == 1
    assert ("INSERT", None) in operations
    assert recorded.transactions() == {"commit": 2, "rollback": 1}


def test_failed_statement_has_the_class_of_its_exception(engine: sa.Engine, things: sa.Table, recorded: Any) -> None:
    with engine.begin() as connection:
        connection.execute(things.insert(), {"name": "a"})
        with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
            connection.execute(things.insert(), {"name": "a"})
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("SELECT * FROM nowhere"))
    operations = recorded.operations()
    assert operations["INSERT", None] == 1
    assert operations["INSERT", "sqlalchemy.exc.IntegrityError"] == 1
    assert operations["SELECT", "sqlalchemy.exc.OperationalError"] == 1


def test_statement_that_never_reaches_the_database_is_not_counted(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.StatementError):
        connection.execute(sa.text("SELECT :missing"), {"other": 1})
    assert recorded.operations() == {}


def test_no_statement_text_or_address_is_recorded(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, tmp_path: Path
) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'trust.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT 'secret@example.com'"))
    with pytest.raises(sa.exc.OperationalError), engine.connect() as connection:
        connection.execute(sa.text("hunter2"))
    engine.dispose()
    data = recorded._reader.get_metrics_data().to_json()
    assert "secret" not in data
    assert "hunter2" not in data
    assert str(tmp_path) not in data


def test_engine_created_before_is_measured(metrics: Any, recorded: Any) -> None:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    instrumentor = SqlAlchemyInstrumentor()
    instrumentor.instrument(metrics=metrics)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    finally:
        instrumentor.uninstrument()
    assert recorded.operations() == {("SELECT", None): 1}
    assert recorded.databases() == {("sqlite", "memory")}
    engine.dispose()


def test_engine_with_options_is_the_same_database(engine: sa.Engine, recorded: Any) -> None:
    with engine.execution_options(logging_token="a").connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("SELECT 1"))
    assert recorded.operations() == {("SELECT", None): 2}
    assert recorded.by_pool("max") == {"sqlite/trust": 15}


def test_uninstrument_removes_everything(metrics: Any, recorded: Any, tmp_path: Path) -> None:
    before = (sa.Engine.__dict__["raw_connection"], sa.engine.Transaction.__dict__["commit"])
    instrumentor = SqlAlchemyInstrumentor()
    instrumentor.instrument(metrics=metrics)
    instrumentor.uninstrument()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'trust.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT 1"))
    with pytest.raises(sa.exc.OperationalError), engine.connect() as connection:
        connection.execute(sa.text("SELECT * FROM nowhere"))
    engine.dispose()
    assert recorded.operations() == recorded.transactions() == recorded.connections() == recorded.created() == {}
    assert (sa.Engine.__dict__["raw_connection"], sa.engine.Transaction.__dict__["commit"]) == before


def test_instrument_works_again_after_uninstrument(metrics: Any, recorded: Any, tmp_path: Path) -> None:
    instrumentor = SqlAlchemyInstrumentor()
    for _ in range(2):
        instrumentor.instrument(metrics=metrics)
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'trust.db'}")
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
            assert recorded.connections() == {("sqlite/trust", "idle"): 0, ("sqlite/trust", "used"): 1}
        engine.dispose()
        instrumentor.uninstrument()
    assert recorded.operations() == {("SELECT", None): 2}


def test_failure_of_a_listener_does_not_reach_the_service(
    engine: sa.Engine, instrumentor: Any, metrics: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_labels: Any) -> None:
        raise RuntimeError("broken")

    for name in ("bind_database_operation", "record_database_transaction", "record_connection_wait"):
        monkeypatch.setattr(recorder_of(metrics).database, name, broken)
    instrumentor.uninstrument()
    instrumentor.instrument(metrics=metrics)
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    recorded.expected_loss = {"internal_error": 3}
