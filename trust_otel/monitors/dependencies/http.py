"""Probe over HTTP: a GET request. Redirects are not followed, and bodies are not read."""

from __future__ import annotations

from base64 import b64encode
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from trust_otel.monitors import tls
from trust_otel.monitors.dependencies import errors
from trust_otel.setting_lists import VAULT_HEALTH, Dependency

_VAULT_UP: Final = frozenset((429, 472, 473))
"""Standby, disaster recovery secondary, performance standby."""


async def probe(dependency: Dependency, _seconds: float) -> str | None:
    """Send a GET. Up means 2xx or 3xx, and for Vault also the statuses of healthy standby nodes."""
    parts = urlsplit(dependency.url)
    context = tls.context("http") if parts.scheme == "https" else None
    proxy = _proxy(parts)
    if context is not None and proxy is not None:
        # httpcore takes the name for the TLS handshake behind a proxy from the URL.
        parts = _without_dot(parts)
    # The TLS handshake with a proxy would take this name as well.
    extensions = {"sni_hostname": tls.server_name(parts.hostname or "")} if proxy is None else {}
    target, headers = _target(parts, dependency.type), _headers(parts)
    async with (
        httpcore.AsyncConnectionPool(context, proxy) as pool,
        pool.stream("GET", target, headers=headers, extensions=extensions) as response,
    ):
        types = [value for name, value in response.headers if name.lower() == b"content-type"]
        json = any(value.startswith(b"application/json") for value in types)
        return _error_type(dependency.type, response.status, json=json)


def _error_type(dependency_type: str, status: int, *, json: bool) -> str | None:
    if 200 <= status < 400:
        return None
    if dependency_type == "vault":
        if status in _VAULT_UP:
            return None
        # Vault, /sys/health. A gateway in front of it may return 501 and 503 as well, but not as JSON.
        if json and status in (501, 503):
            return errors.UNINITIALIZED if status == 501 else errors.SEALED
    return str(status)


def _target(parts: SplitResult, dependency_type: str) -> str:
    """The URL without credentials; for Vault without a path, with the path of the health endpoint."""
    path = parts.path
    if dependency_type == "vault" and path in ("", "/"):
        path = VAULT_HEALTH
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, fragment="").geturl()


def _without_dot(parts: SplitResult) -> SplitResult:
    user, at, address = parts.netloc.rpartition("@")
    host, colon, port = address.partition(":")
    return parts._replace(netloc=f"{user}{at}{tls.server_name(host)}{colon}{port}")


def _headers(parts: SplitResult) -> dict[bytes | str, bytes | str]:
    headers: dict[bytes | str, bytes | str] = {"User-Agent": "trust-otel-probe", "Accept": "*/*", "Connection": "close"}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
    return headers


def _proxy(parts: SplitResult) -> httpcore.Proxy | None:
    """The proxy from the environment, as for the requests of the service itself."""
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    address = proxies.get(parts.scheme) or proxies.get("all")
    if not address:
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    auth = None if proxy.username is None else (unquote(proxy.username), unquote(proxy.password or ""))
    return httpcore.Proxy(proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl(), auth)
