from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor


@pytest.fixture
def engine(instrumentor: SqlAlchemyInstrumentor, tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'trust.db'}")
    yield engine
    engine.dispose()


def test_commit_counts_while_the_connection_is_still_held(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
        connection.commit()
        assert recorded.transactions() == {"commit": 1}
        connection.execute(sa.text("SELECT 1"))
        connection.rollback()
        assert recorded.transactions() == {"commit": 1, "rollback": 1}
    assert recorded.transactions() == {"commit": 1, "rollback": 1}


def test_begin_block_commits_or_rolls_back_once(engine: sa.Engine, recorded: Any) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT 1"))
    with suppress(LookupError), engine.begin() as connection:
        connection.execute(sa.text("SELECT 1"))
        raise LookupError
    assert recorded.transactions() == {"commit": 1, "rollback": 1}


def test_connection_closed_in_a_transaction_rolls_back(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert recorded.transactions() == {"rollback": 1}


def test_connection_without_a_statement_has_no_transaction(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect():
        pass
    assert recorded.transactions() == {}


def test_session_commits_once(engine: sa.Engine, recorded: Any) -> None:
    with Session(engine) as session:
        session.execute(sa.text("SELECT 1"))
        session.commit()
    assert recorded.transactions() == {"commit": 1}


def test_savepoints_are_not_counted(engine: sa.Engine, recorded: Any) -> None:
    with engine.begin() as connection:
        with connection.begin_nested():
            connection.execute(sa.text("SELECT 1"))
        with pytest.raises(LookupError), connection.begin_nested():
            raise LookupError
    assert recorded.transactions() == {"commit": 1}
    operations = recorded.operations()
    assert operations["SAVEPOINT", None] == 2
    assert operations["RELEASE", None] == 1
    assert operations["ROLLBACK", None] == 1


@pytest.mark.parametrize("where", ["engine", "options", "connection"])
def test_autocommit_is_not_counted(
    instrumentor: SqlAlchemyInstrumentor, recorded: Any, tmp_path: Path, where: str
) -> None:
    url = f"sqlite:///{tmp_path / 'trust.db'}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT") if where == "engine" else sa.create_engine(url)
    used = engine.execution_options(isolation_level="AUTOCOMMIT") if where == "options" else engine
    with used.connect() as connection:
        if where == "connection":
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text("SELECT 1"))
        connection.commit()
    engine.dispose()
    assert recorded.transactions() == {}


@pytest.mark.parametrize("block", [True, False])
def test_failed_commit_counts_as_rollback(engine: sa.Engine, recorded: Any, block: bool) -> None:
    @sa.event.listens_for(engine, "connect")
    def check(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE a (id INTEGER PRIMARY KEY)"))
        connection.execute(sa.text("CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)"))
    insert = sa.text("INSERT INTO b VALUES (1)")
    with pytest.raises(sa.exc.IntegrityError):
        _run_in_block(engine, insert) if block else _run_and_commit(engine, insert)
    assert recorded.transactions() == {"commit": 1, "rollback": 1}


def test_transaction_ends_once_however_often_it_is_ended(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(sa.text("SELECT 1"))
        transaction.commit()
        with pytest.raises(sa.exc.InvalidRequestError):
            transaction.commit()
        transaction = connection.begin()
        transaction.close()
        transaction.close()
        transaction = connection.begin()
        transaction.rollback()
    assert recorded.transactions() == {"commit": 1, "rollback": 2}


def test_commit_that_a_listener_refuses_is_a_rollback(engine: sa.Engine, recorded: Any) -> None:
    @sa.event.listens_for(engine, "commit")
    def refuse(_connection: Any) -> None:
        raise LookupError

    with pytest.raises(LookupError), engine.begin() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert recorded.transactions() == {"rollback": 1}


def test_invalidated_connection_rolls_back(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
        connection.invalidate()
        connection.rollback()
    assert recorded.transactions() == {"rollback": 1}


def test_error_without_a_transaction_is_no_rollback(engine: sa.Engine, recorded: Any) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.StatementError):
        connection.execute(sa.text("SELECT :missing"), {"other": 1})
    assert recorded.transactions() == {}


def _run_in_block(engine: sa.Engine, statement: Any) -> None:
    with engine.begin() as connection:
        connection.execute(statement)


def _run_and_commit(engine: sa.Engine, statement: Any) -> None:
    with engine.connect() as connection:
        connection.execute(statement)
        connection.commit()
