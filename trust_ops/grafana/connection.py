"""Connects to Grafana: URL, credentials and TLS."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from pathlib import Path

import httpx

from trust_ops.grafana.errors import GrafanaError
from trust_otel.log_safe import url_origin
from trust_otel.urls import parse_url

_SECONDS = 30.0


def connect(
    url: str, *, token_file: Path | None, user: str, password_file: Path | None, ca_file: Path | None
) -> httpx.Client:
    """A client that authenticates with a token, or else with user and password. Raises GrafanaError."""
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
        # Internal services are reached directly, not through a proxy from the environment, and without ~/.netrc.
        trust_env=False,
        verify=_verification(ca_file),
    )


def check_url(url: str) -> None:
    """Reject URLs that would send credentials unencrypted over a network. Raises GrafanaError."""
    parts = parse_url(url, ("http", "https"))
    if parts is not None and (parts.username or parts.password):
        raise GrafanaError("--url contains credentials; remove them and put the password into a file")
    if parts is None or parts.query or parts.fragment:
        raise GrafanaError("--url is not a URL of Grafana; use one such as https://grafana.example.com")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise GrafanaError(
            f"--url {url_origin(url)} would send the credentials unencrypted; use https, or a loopback address"
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
            f"{setting}: {path} cannot be read ({type(error).__name__}); use a file that you can read"
        ) from error
    if not secret:
        raise GrafanaError(f"{setting}: {path} is empty; write the secret into it")
    # Control characters, and non-ASCII characters in a header, cannot be sent.
    if not secret.isprintable() or (setting == "GRAFANA_TOKEN_FILE" and not secret.isascii()):
        raise GrafanaError(f"{setting}: {path} contains more than one line of text; it must contain only the secret")
    return secret


def _verification(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise GrafanaError(
            f"GRAFANA_CA_FILE: {ca_file} is not a file of certificates ({error}); use a readable PEM file"
        ) from error
