from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from trust_otel.instrumentation.sqlalchemy.names import Database, keyword


@pytest.mark.parametrize(
    ("url", "system", "namespace"),
    [
        ("postgresql://user:secret@db.example.com/trust", "postgresql", "trust"),
        ("mysql://user:secret@db.example.com/trust", "mysql", "trust"),
        ("mariadb://user:secret@db.example.com/trust", "mariadb", "trust"),
        ("mssql://user:secret@db.example.com/trust", "microsoft.sql_server", "trust"),
        ("oracle://user:secret@db.example.com/trust", "oracle.db", "trust"),
        ("postgresql://user:secret@db.example.com", "postgresql", None),
        ("sqlite://", "sqlite", "memory"),
        ("sqlite:///:memory:", "sqlite", "memory"),
        ("sqlite:///file:shared?mode=memory&cache=shared&uri=true", "sqlite", "memory"),
        ("sqlite:////var/lib/service/trust.db", "sqlite", "trust"),
        ("sqlite:///file:relative/trust.sqlite3?uri=true", "sqlite", "trust"),
    ],
)
def test_database_is_named_by_system_and_namespace(url: str, system: str, namespace: str | None) -> None:
    parsed = make_url(url)
    dialect = parsed.get_dialect()()
    assert Database.of(dialect, parsed) == Database(system, namespace)


def test_unknown_system_is_other_sql() -> None:
    url = make_url("sqlite://")
    dialect = url.get_dialect()()
    dialect.name = "homegrown"
    assert Database.of(dialect, url).system == "other_sql"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select 1", "SELECT"),
        ("  \n\tInsert into t values (1)", "INSERT"),
        ("-- a comment\nUPDATE t SET x = 1", "UPDATE"),
        ("/* one */ /* two\nlines */ DELETE FROM t", "DELETE"),
        ("# a comment\nSELECT 1", "SELECT"),
        ("((SELECT 1) UNION (SELECT 2))", "SELECT"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "SELECT"),
        ("WITH a AS (SELECT ')' FROM b), c AS (SELECT 1) INSERT INTO t SELECT * FROM a", "INSERT"),
        ("WITH RECURSIVE a AS (/* ( */ SELECT 1) DELETE FROM t", "DELETE"),
        ("with", "_OTHER"),
        ("PRAGMA foreign_keys = ON", "PRAGMA"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("", "_OTHER"),
        ("12", "_OTHER"),
        ("/* never closed", "_OTHER"),
        ("SELECTED things", "_OTHER"),
        ("hunter2", "_OTHER"),
    ],
)
def test_keyword_of_the_main_statement(statement: str, expected: str) -> None:
    assert keyword(statement) == expected
