"""Label values for a database, a pool, a statement and an error: never an address, a user or a statement."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import exc
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.pool import Pool

from trust_otel.metrics.operation import error_type
from trust_otel.semconv.attributes import DB_OPERATION_NAME

# Dialects whose name differs from `db.system.name` of the semantic conventions.
_SYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mssql": "microsoft.sql_server",
        "oracle": "oracle.db",
        "redshift": "aws.redshift",
        "spanner": "gcp.spanner",
        "spanner+spanner": "gcp.spanner",
        "db2": "ibm.db2",
        "ibm_db_sa": "ibm.db2",
        "hana": "sap.hana",
        "firebird": "firebirdsql",
        "teradatasql": "teradata",
    }
)
_KNOWN_SYSTEMS: Final = frozenset(
    {"postgresql", "sqlite", "mysql", "mariadb", "cockroachdb", "clickhouse", "hive", "trino"} | set(_SYSTEMS.values())
)
_OPERATIONS: Final = frozenset(DB_OPERATION_NAME.members)
_MAIN_VERBS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_OTHER: Final = str(DB_OPERATION_NAME.other)

_COMMENT: Final = r"--[^\n]*|\#[^\n]*|/\*.*?\*/"
_FIRST_WORD: Final = re.compile(rf"(?:[\s(;]|{_COMMENT})*([A-Za-z]+)", re.DOTALL)
_TOKEN: Final = re.compile(rf"'[^']*'|\"[^\"]*\"|`[^`]*`|{_COMMENT}|[()]|[A-Za-z_]\w*", re.DOTALL)
# Long enough for the comments and common table expressions of a hand-written statement.
_PARSED_LENGTH: Final = 20_000


@dataclass(frozen=True)
class Database:
    """A database, as in labels."""

    system: str
    namespace: str | None

    @staticmethod
    def of(dialect: Dialect, url: URL) -> Database:
        """The database at a URL."""
        system = _SYSTEMS.get(dialect.name, dialect.name if dialect.name in _KNOWN_SYSTEMS else "other_sql")
        return Database(system, _sqlite_namespace(url) if system == "sqlite" else url.database or None)

    def pool_name(self, pool: Pool) -> str:
        """The `pool_logging_name` of the service, or `system/namespace`."""
        given = getattr(pool, "logging_name", None)  # unset without `pool_logging_name`
        return str(given) if given else f"{self.system}/{self.namespace}" if self.namespace else self.system


def operation_name(context: Any, statement: str) -> str:
    """Value of `db.operation.name`."""
    if context.isinsert:
        return "INSERT"
    if context.isupdate:
        return "UPDATE"
    if context.isdelete:
        return "DELETE"
    compiled = context.compiled
    if compiled is not None and not context.is_text and getattr(compiled.statement, "is_select", False):
        return "SELECT"
    return keyword(statement[:_PARSED_LENGTH])


@lru_cache(maxsize=512)
def keyword(statement: str) -> str:
    """The first keyword of a statement; after common table expressions, the keyword of the main statement."""
    match = _FIRST_WORD.match(statement)
    word = match.group(1).upper() if match else ""
    if word == "WITH":
        word = _main_verb(statement)
    return word if word in _OPERATIONS else _OTHER


def error_class(error: BaseException, dialect: Dialect) -> str:
    """Value of `error.type`: for an exception of the driver, SQLAlchemy's class, the same for every driver."""
    # A module that replaces the driver may have no `Error`.
    if isinstance(error, getattr(dialect.dbapi, "Error", ())):
        for kind in type(error).__mro__:
            wrapper = getattr(exc, kind.__name__, None)
            if isinstance(wrapper, type) and issubclass(wrapper, exc.DBAPIError):
                return f"{wrapper.__module__}.{wrapper.__name__}"
    return error_type(error)


def _main_verb(statement: str) -> str:
    depth = 0
    for part in _TOKEN.findall(statement):
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        elif depth == 0 and part.upper() in _MAIN_VERBS:
            return str(part).upper()
    return _OTHER


def _sqlite_namespace(url: URL) -> str:
    database = url.database or ":memory:"
    if ":memory:" in database or "mode=memory" in database or url.query.get("mode") == "memory":
        return "memory"
    return PurePath(database.removeprefix("file:").partition("?")[0]).stem
