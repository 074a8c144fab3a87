"""The database: SQLite or PostgreSQL, with serialized writers and automatic reconnection."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from trust_ops.incidents.tables import SCHEMA_VERSION, heartbeat, metadata, page_acknowledgements, schema
from trust_ops.private_files import private_folder

_logger = logging.getLogger(__name__)

_WAIT_SECONDS = 5
_STATEMENT_MILLISECONDS = 8_000

# Key of the advisory lock that serializes writers of all processes. Any number, as long as all use the same.
_WRITERS = 7_283_640_115

# Independent of SQLAlchemy's default drivers.
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}

_HOST = re.compile(r"[\w.-]+|[0-9a-fA-F:.]+")

_IMMEDIATE = "trust_otel_immediate"


class DatabaseUrlError(ValueError):
    """The URL is invalid or its database is not supported; the message suggests a fix."""


class DatabaseUnavailableError(RuntimeError):
    """A database operation failed; a retry may succeed.

    Attributes:
        reason: The message without addresses, names and paths, for unauthenticated clients.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class SchemaTooNewError(DatabaseUnavailableError):
    """The database schema belongs to a newer version of trust-otel."""


class Database:
    """Runs transactions. Connects with the first of them.

    Args:
        url: An SQLAlchemy URL, such as `sqlite:///incidents.db` or `postgresql://user:password@host/name`.

    Raises:
        DatabaseUrlError: The URL is invalid, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self._engine = _engine(self._url)
        self._writing = self._engine.execution_options(**{_IMMEDIATE: True})
        self._ready = False
        self._preparing = threading.Lock()
        self._file = Path(str(self._url.database)) if self._url.get_backend_name() == "sqlite" else None
        self._inode: tuple[int, int] | None = None

    def __str__(self) -> str:
        # Without user and options, which may hold a password; a malformed URL may have one in its host.
        backend, host, port = self._url.get_backend_name(), self._url.host, self._url.port
        if backend == "sqlite":
            return f"sqlite {self._url.database}"
        return f"{backend} at {host}{f':{port}' if port else ''}" if host and _HOST.fullmatch(host) else backend

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction. It and the statements in it raise DatabaseUnavailableError."""
        with self._errors():
            self._prepare()
            with self._engine.begin() as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """An exclusive write transaction: committed when the block ends, rolled back when it raises.

        It and the statements in it raise DatabaseUnavailableError.
        """
        with self._errors():
            self._prepare()
            with self._writing.begin() as connection:
                _await_turn(connection)
                yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # After an error, the tables may be missing or changed.
            self._ready = False
            raise DatabaseUnavailableError(_message(error), _reason(error)) from error
        except OSError as error:
            raise DatabaseUnavailableError(f"{type(error).__name__}: {error.strerror}") from error

    def _prepare(self) -> None:
        if self._ready and not self._replaced():
            return
        with self._preparing:
            if self._replaced():
                _logger.error(
                    "trust-otel: %s was deleted or replaced: its incidents are lost, a new file is created", self
                )
                self._engine.dispose()
                self._inode = None
            if self._file is not None:
                self._inode = _create_file(self._file)
            with self._engine.begin() as connection:
                there = _has_tables(connection)
            if not there:
                with self._writing.begin() as connection:
                    _await_turn(connection)
                    if not _has_tables(connection):
                        _create_tables(connection)
            self._ready = True

    def _replaced(self) -> bool:
        """Whether the path no longer leads to the open file, so that writes to it would be lost."""
        return self._file is not None and self._inode is not None and _inode(self._file) != self._inode


def _checked(text_of_url: str) -> URL:
    try:
        url = make_url(text_of_url)
    except (ArgumentError, ValueError) as error:
        # Without the URL, which may hold a password.
        raise DatabaseUrlError("invalid URL: use sqlite:///path or postgresql://user:password@host/name") from error
    backend = url.drivername.partition("+")[0]
    if backend not in _DRIVERS:
        # Without the scheme: in a malformed URL it may be part of a password.
        raise DatabaseUrlError("unsupported database: use sqlite:///path or postgresql://...")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise DatabaseUrlError("an in-memory database loses all incidents on restart: use sqlite:///path")
    return url.set(drivername=_DRIVERS[backend])


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    defaults = {
        "connect_timeout": _WAIT_SECONDS,
        "application_name": "trust-otel-incidents",
        "options": f"-c statement_timeout={_STATEMENT_MILLISECONDS}",
    }
    try:
        return create_engine(
            url,
            # Parameters hold personal data, and errors are logged.
            hide_parameters=True,
            pool_pre_ping=True,
            pool_timeout=_WAIT_SECONDS,
            connect_args={name: value for name, value in defaults.items() if name not in url.query},
        )
    except ImportError as error:
        raise DatabaseUrlError(f"its driver is not installed: pip install 'psycopg[binary]' ({error})") from error


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url, hide_parameters=True, pool_timeout=_WAIT_SECONDS, connect_args={"timeout": _WAIT_SECONDS}
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's implicit BEGIN comes too late for a consistent read.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that upgrades to a write may fail, because it has read an outdated snapshot.
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _await_turn(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS})


def _create_file(path: Path) -> tuple[int, int]:
    """Create the file with mode 0600, because it holds client addresses; returns device and inode."""
    if not path.parent.exists():
        private_folder(path.parent)
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        found = os.fstat(file)
        if os.name == "posix" and found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(file, 0o600)
    finally:
        os.close(file)
    return found.st_dev, found.st_ino


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _has_tables(connection: Connection) -> bool:
    inspector = inspect(connection)
    if not inspector.has_table(schema.name):
        return False
    version: Any = connection.execute(select(schema.c.version)).scalar_one()
    if version > SCHEMA_VERSION:
        raise SchemaTooNewError(
            f"the database has schema version {version}, this trust-otel supports {SCHEMA_VERSION}: upgrade "
            "trust-otel, or use another database"
        )
    # Older releases with the same schema version did not have them.
    return inspector.has_table(heartbeat.name) and inspector.has_table(page_acknowledgements.name)


def _create_tables(connection: Connection) -> None:
    is_new = not inspect(connection).has_table(schema.name)
    metadata.create_all(connection)
    if is_new:
        connection.execute(insert(schema).values(version=SCHEMA_VERSION))


def _cause(error: SQLAlchemyError) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _message(error: SQLAlchemyError) -> str:
    cause = _cause(error)
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else 'no reason given'}"


def _reason(error: SQLAlchemyError) -> str:
    # SQLite's messages are fixed. PostgreSQL's contain hosts and users, but the name of the error says enough.
    return _message(error) if isinstance(_cause(error), sqlite3.OperationalError) else type(_cause(error)).__name__
