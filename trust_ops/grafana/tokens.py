"""Creates tokens of service accounts."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from trust_ops.grafana.client import Grafana, ServiceAccount
from trust_ops.grafana.errors import GrafanaError

# The maximum that grafana.ini allows.
LONGEST: Final = timedelta(days=90)
SHORTEST: Final = timedelta(minutes=1)


def write_token(grafana: Grafana, name: str, lifetime: timedelta, path: Path, now: datetime) -> list[str]:
    """Create a token of a service account and write it to a file with mode 0600.

    An existing file is replaced atomically. Returns the names of the account's other valid tokens.

    Raises:
        GrafanaError: The account does not exist, Grafana rejects the request, or the file cannot be written.
    """
    account = _account(grafana, name)
    others = [token.name for token in grafana.tokens(account.id) if not token.expired]
    # Unique: Grafana does not allow reusing the names of expired tokens.
    token_name = f"{name}-{now:%Y%m%dT%H%M%S%fZ}"
    _write(path, lambda: grafana.create_token(account.id, token_name, int(lifetime.total_seconds())))
    return others


def _account(grafana: Grafana, name: str) -> ServiceAccount:
    for account in grafana.service_accounts():
        if account.name == name:
            if account.disabled:
                raise GrafanaError(f"service account {name!r} is disabled; enable it in Grafana first")
            return account
    raise GrafanaError(
        f"Grafana has no service account {name!r}; `trust-otel grafana access` creates those of access.yml"
    )


def _write(path: Path, make: Callable[[], str]) -> None:
    # The file first: a token that cannot be written would be valid but unknown.
    try:
        handle, temporary = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise GrafanaError(f"--output {path} cannot be written ({error.strerror}); choose another folder") from error
    try:
        # mkstemp creates it with mode 0600.
        with open(handle, "w", encoding="utf-8") as file:
            file.write(f"{make()}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise GrafanaError(
            f"--output {path} cannot be written ({error.strerror}); delete the new token in Grafana and choose another"
        ) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
