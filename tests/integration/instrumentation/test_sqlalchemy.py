"""Imports of the SQLAlchemy instrumentation."""

from __future__ import annotations

import subprocess
import sys


def test_sync_engines_need_no_greenlet() -> None:
    script = """
import sys
sys.modules["greenlet"] = None
import sqlalchemy
from trust_otel.instrumentation.sqlalchemy import SqlAlchemyInstrumentor
SqlAlchemyInstrumentor().instrument()
with sqlalchemy.create_engine("sqlite://").begin() as connection:
    print(connection.execute(sqlalchemy.text("SELECT 1")).scalar())
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("1\n", 0), ran.stderr
