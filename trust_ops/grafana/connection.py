"""Where Grafana is, and as whom it is asked."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from pathlib import Path

import httpx

from trust_ops.grafana.errors import GrafanaError
from trust_otel.shown import address_of
from trust_otel.urls import parts_of

_SECONDS = 30.0


def connect(
    url: str, *, token_file: Path | None, user: str, password_file: Path | None, ca_file: Path | None
) -> httpx.Client:
    """A client that is authenticated by the token, or else by user and password. Raises GrafanaError."""
    check_url(url)
    headers: dict[str, str] = {}
    authentication: httpx.BasicAuth | None = None
    if token_file is not None:
        headers["Authorization"] = f"Bearer {_secret(token_file, 'GRAFANA_TOKEN_FILE')}"
    elif password_file is not None:
        authentication = httpx.BasicAuth(user, _secret(password_file, "GRAFANA_ADMIN_PASSWORD_FILE"))
    else:
        raise GrafanaError(
            "no credentials: set GRAFANA_TOKEN_FILE to a file with the token of an administrator's service account, or "
            "GRAFANA_ADMIN_PASSWORD_FILE to one with the administrator's password"
        )
    return httpx.Client(
        base_url=url,
        headers=headers,
        auth=authentication,
        timeout=_SECONDS,
        # Own services are reached directly, not through the proxy of the environment; nor is ~/.netrc asked.
        trust_env=False,
        verify=_verification(ca_file),
    )


def check_url(url: str) -> None:
    """Refuses what would send credentials unencrypted over a network. Raises GrafanaError."""
    parts = parts_of(url, ("http", "https"))
    if parts is not None and (parts.username or parts.password):
        raise GrafanaError("--url holds a user or a password; leave them out, and put the password into a file")
    if parts is None or parts.query or parts.fragment:
        raise GrafanaError("--url is no address of Grafana; give one such as https://grafana.example.com")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise GrafanaError(
            f"--url {address_of(url)} would send the credentials unencrypted; use https, or a loopback address"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secret(path: Path, setting: str) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise GrafanaError(
            f"{setting}: {path} cannot be read ({type(error).__name__}); name a file that you may read"
        ) from error
    if not secret:
        raise GrafanaError(f"{setting}: {path} is empty; write the secret into it")
    # A control character, or in a header anything but ASCII, could not be sent.
    if not secret.isprintable() or (setting == "GRAFANA_TOKEN_FILE" and not secret.isascii()):
        raise GrafanaError(f"{setting}: {path} holds more than one line of text; write the secret alone into it")
    return secret


def _verification(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise GrafanaError(
            f"GRAFANA_CA_FILE: {ca_file} is no file of certificates ({error}); name a readable PEM file"
        ) from error
