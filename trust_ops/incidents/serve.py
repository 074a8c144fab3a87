"""Runs the receiver: database, HTTP API and background tasks."""

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

from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerUrlError
from trust_ops.incidents.alertmanager_poller import SECONDS, AlertmanagerPoller
from trust_ops.incidents.api import App, PagerDuty
from trust_ops.incidents.connections import AUTHORIZED, WAITING, ConnectionLimits, Connections, open_files, protocol
from trust_ops.incidents.database import Database, DatabaseUnavailableError, DatabaseUrlError, SchemaTooNewError
from trust_ops.incidents.pagerduty import SigningSecrets
from trust_ops.incidents.pagerduty_events import PagerDutyEvents
from trust_ops.incidents.store import Store
from trust_ops.incidents.tokens import TokenFile, TokenFileError
from trust_otel.background import Periodic
from trust_otel.text import visible_text

_logger = logging.getLogger(__name__)

_RETENTION_SECONDS = 3600.0
_BACKLOG = 256
_REPEAT_SECONDS = 60.0


class OptionsError(ValueError):
    """An invalid option; the message names it and suggests a fix."""


@dataclass(frozen=True)
class Options:
    """Options of the receiver.

    Attributes:
        database: SQLAlchemy URL.
        host: Address to listen on.
        port: Port to listen on.
        token_file: Tokens for Alertmanager's webhook.
        operator_token_file: Tokens of the operators.
        pagerduty_secret_file: Signing secrets of PagerDuty's webhooks; `None` to reject them.
        alertmanagers: URLs of the members of one cluster; none to create no silences.
        keep: Retention of resolved incidents.
    """

    database: str
    host: str
    port: int
    token_file: Path
    operator_token_file: Path
    pagerduty_secret_file: Path | None
    alertmanagers: Sequence[str]
    keep: timedelta


def serve(options: Options) -> None:
    """Run until stopped by a signal.

    Raises:
        OptionsError: An option is invalid, or the database belongs to a newer version.
    """
    _log_to_stderr()
    try:
        deliver, operate = TokenFile(options.token_file), TokenFile(options.operator_token_file)
        secrets = _signing_secrets(options.pagerduty_secret_file)
        database = Database(options.database)
        alertmanager = Alertmanager(options.alertmanagers) if options.alertmanagers else None
        store = Store(database)
        _check_database(store, database)
    except TokenFileError as error:
        raise OptionsError(f"token file: {error}") from error
    except AlertmanagerUrlError as error:
        raise OptionsError(f"--alertmanager: {error}") from error
    except (DatabaseUrlError, SchemaTooNewError) as error:
        raise OptionsError(f"--database: {error}") from error
    acknowledgements = Acknowledgements(store, alertmanager)
    pagerduty = PagerDuty(secrets, PagerDutyEvents(store, acknowledgements)) if secrets else None
    state = _start_polling(store, alertmanager, acknowledgements)
    Periodic("trust-otel-incidents-retention", _RETENTION_SECONDS, lambda: _delete_old(store, options.keep)).start()
    files = open_files()
    connections = Connections(waiting=min(WAITING, files // 4), authorized=min(AUTHORIZED, files // 4))
    uvicorn.run(
        ConnectionLimits(App(store, acknowledgements, deliver, operate, state, pagerduty).asgi(), connections),
        host=options.host,
        port=options.port,
        http=protocol(connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # This many connections are accepted at once, up to three times before any of them is read.
        backlog=min(_BACKLOG, files // 8),
        timeout_graceful_shutdown=10,
    )


def _signing_secrets(path: Path | None) -> SigningSecrets | None:
    try:
        return None if path is None else SigningSecrets(path)
    except TokenFileError as error:
        raise OptionsError(f"--pagerduty-secret-file: {error}") from error


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_SingleLineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It logs URLs including passwords.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name in ("uvicorn.error", "asyncio", "trust_ops.incidents.pagerduty"):
        logging.getLogger(name).addFilter(_RateLimit())


class _SingleLineFormatter(logging.Formatter):
    """Formats each record as one line; the lines of a traceback are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that it overrides
        return visible_text(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that it overrides
        return indent(visible_text(super().formatException(ei), keep="\n"), "    ")


class _RateLimit(logging.Filter):
    """Passes each message once a minute: unauthenticated requests must not be able to fill the disk with log lines."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_at: dict[tuple[str, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (str(record.msg), record.exc_info[0] if record.exc_info else None)
        if record.created - self._logged_at.get(kind, 0.0) < _REPEAT_SECONDS:
            return False
        self._logged_at[kind] = record.created
        return True


def _check_database(store: Store, database: Database) -> None:
    try:
        store.check()
    except SchemaTooNewError:
        raise
    except DatabaseUnavailableError as error:
        _logger.error("trust-otel: %s is unavailable, notifications are rejected until it is back: %s", database, error)
    else:
        _logger.info("trust-otel: incidents are stored in %s", database)


def _start_polling(
    store: Store, alertmanager: Alertmanager | None, acknowledgements: Acknowledgements
) -> Callable[[], str]:
    if alertmanager is None:
        _logger.warning(
            "trust-otel: no Alertmanager is configured: acknowledging creates no silence, and alerts that are silenced "
            "in Alertmanager stay open"
        )
        return lambda: "not configured"
    poller = AlertmanagerPoller(store, alertmanager, acknowledgements)
    Periodic("trust-otel-incidents-poller", SECONDS, poller.poll).start()
    return lambda: poller.state


def _delete_old(store: Store, keep: timedelta) -> None:
    try:
        deleted = store.delete_resolved(keep)
    except DatabaseUnavailableError as error:
        _logger.error("trust-otel: old incidents are not deleted, the database is unavailable: %s", error)
        return
    if deleted:
        _logger.info("trust-otel: deleted %d incidents that were resolved more than %d days ago", deleted, keep.days)
