"""Runs the receiver: database, HTTP interface, and what goes on beside them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from textwrap import indent
from typing import Any

import uvicorn

from trust_ops.incidents.acknowledgement import Desk
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerUrlError
from trust_ops.incidents.alertmanager_poller import SECONDS, Watch
from trust_ops.incidents.api import App
from trust_ops.incidents.connections import AUTHORIZED, WAITING, ConnectionLimits, Connections, open_files, protocol
from trust_ops.incidents.database import Database, DatabaseAwayError, DatabaseUrlError, SchemaTooNewError
from trust_ops.incidents.store import Store
from trust_ops.incidents.tokens import TokenFile, TokenFileError
from trust_otel.background import Periodic
from trust_otel.text import visible_text

_logger = logging.getLogger(__name__)

_RETENTION_SECONDS = 3600.0
_BACKLOG = 256
_REPEAT_SECONDS = 60.0


class OptionsError(ValueError):
    """The receiver cannot run with these options; the message names one, and the remedy."""


@dataclass(frozen=True)
class Options:
    """How the receiver runs.

    Attributes:
        database: SQLAlchemy URL.
        host: Address to listen on.
        port: Port to listen on.
        token_file: Tokens of those who deliver.
        operator_token_file: Tokens of those who read and acknowledge.
        alertmanagers: Addresses of the members of one cluster; none to make no silences.
        keep: How long a resolved incident is kept.
    """

    database: str
    host: str
    port: int
    token_file: Path
    operator_token_file: Path
    alertmanagers: Sequence[str]
    keep: timedelta


def serve(options: Options) -> None:
    """Run until a signal ends it.

    Raises:
        OptionsError: An option, or the database belongs to a newer version.
    """
    _log_to_stderr()
    try:
        deliver, operate = TokenFile(options.token_file), TokenFile(options.operator_token_file)
        database = Database(options.database)
        alertmanager = Alertmanager(options.alertmanagers) if options.alertmanagers else None
        store = Store(database)
        _look_at(store, database)
    except TokenFileError as error:
        raise OptionsError(f"a token file: {error}") from error
    except AlertmanagerUrlError as error:
        raise OptionsError(f"--alertmanager: {error}") from error
    except (DatabaseUrlError, SchemaTooNewError) as error:
        raise OptionsError(f"--database: {error}") from error
    desk = Desk(store, alertmanager)
    state = _watched(store, alertmanager, desk)
    Periodic("trust-otel-incidents-keep", _RETENTION_SECONDS, lambda: _forget(store, options.keep)).start()
    files = open_files()
    connections = Connections(waiting=min(WAITING, files // 4), authorized=min(AUTHORIZED, files // 4))
    uvicorn.run(
        ConnectionLimits(App(store, desk, deliver, operate, state).asgi(), connections),
        host=options.host,
        port=options.port,
        http=protocol(connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # As many connections are accepted at a time, up to three times before any of them is read.
        backlog=min(_BACKLOG, files // 8),
        timeout_graceful_shutdown=10,
    )


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It logs addresses with the password in them.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_OnceAMinute())


class _OneLine(logging.Formatter):
    """A line for each record, whatever is in it; the lines of a traceback are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that it overrides
        return visible_text(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that it overrides
        return indent(visible_text(super().formatException(ei), keep="\n"), "    ")


class _OnceAMinute(logging.Filter):
    """Passes each text once a minute: a line for each malformed request, which needs no token, would fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_at: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (str(record.msg), record.exc_info[0] if record.exc_info else None)
        if record.created - self._logged_at.get(kind, 0.0) < _REPEAT_SECONDS:
            return False
        self._logged_at[kind] = record.created
        return True


def _look_at(store: Store, database: Database) -> None:
    try:
        store.check()
    except SchemaTooNewError:
        raise
    except DatabaseAwayError as error:
        _logger.error("trust-otel: %s is away, deliveries are refused until it is back: %s", database, error)
    else:
        _logger.info("trust-otel: incidents are kept in %s", database)


def _watched(store: Store, alertmanager: Alertmanager | None, desk: Desk) -> Callable[[], str]:
    if alertmanager is None:
        _logger.warning(
            "trust-otel: no Alertmanager is set: acknowledging silences nothing, and an alert that is silenced there "
            "stays open here"
        )
        return lambda: "not set"
    watch = Watch(store, alertmanager, desk)
    Periodic("trust-otel-incidents-watch", SECONDS, watch.look).start()
    return lambda: watch.state


def _forget(store: Store, keep: timedelta) -> None:
    try:
        forgotten = store.forget(keep)
    except DatabaseAwayError as error:
        _logger.error("trust-otel: old incidents are not deleted, the database is away: %s", error)
        return
    if forgotten:
        _logger.info("trust-otel: %d incidents were older than %d days and are deleted", forgotten, keep.days)
