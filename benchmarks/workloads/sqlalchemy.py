"""Statements of an SQLAlchemy engine on SQLite in memory, which is the fastest database."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from benchmarks.workloads import Round, calls


def prepare(_variant: str, case: str) -> Round:
    """A round of statements or transactions."""
    engine = create_engine("sqlite://")
    query = text("select 1")
    connection = engine.connect()

    def execute() -> None:
        connection.execute(query).close()

    def transaction() -> None:
        with engine.begin() as connection:
            connection.execute(query).close()

    return calls({"execute": execute, "transaction": transaction}[case])
