"""Settings that hold a list: what each entry looks like, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

Network = IPv4Network | IPv6Network

CLIENT_ADDRESS_FORMS: Final = ("full", "truncated", "hashed", "off")

DETECTORS: Final = ("credential_stuffing", "password_spraying", "impossible_travel", "path_scanning", "mfa_fatigue")

CERTIFICATE_SCHEMES: Final = (
    "https",
    "tls",
    "tls+postgres",
    "crl+http",
    "crl+https",
    "ocsp+http",
    "ocsp+https",
    "kubernetes",
)

_ROOTED: Final = re.compile(r"/|[a-z0-9+]+://", re.IGNORECASE)
_NAMESPACE: Final = re.compile(r"[a-z0-9-]*/?")

_TYPES_BY_SCHEME: Final = {
    "http": "http",
    "https": "http",
    "postgresql": "database",
    "postgres": "database",
    "redis": "cache",
    "rediss": "cache",
    "grpc": "grpc",
    "grpcs": "grpc",
}
_DEPENDENCY_TYPES: Final = ("vault", "pki", "database", "cache", "http", "grpc")
_MOST_DEPENDENCIES: Final = 50

VAULT_HEALTH: Final = "/v1/sys/health"


class BadValueError(ValueError):
    """A value that a setting does not take; the message says what it takes."""


@dataclass(frozen=True)
class CertificateSource:
    """Where certificates are.

    Attributes:
        location: A path, a glob or a URL.
        name: Name of its certificates; `None` to take it from the file or address.
    """

    location: str
    name: str | None = None

    @property
    def scheme(self) -> str | None:
        """Scheme of a URL, `None` for files."""
        scheme, separator, _ = self.location.partition("://")
        return scheme.lower() if separator else None


@dataclass(frozen=True)
class Dependency:
    """Something that the service needs.

    Attributes:
        name: Value of `trust.dependency.name`.
        type: Value of `trust.dependency.type`.
        url: Where it is; may hold credentials, so it never appears in a label or a log.
    """

    name: str
    type: str
    url: str

    def __repr__(self) -> str:
        return f"Dependency({self.name!r}, {self.type!r})"


def certificate_sources(text: str) -> tuple[CertificateSource, ...]:
    """Sources of certificates, as `source` or `name=source`, separated by commas."""
    return tuple(_certificate_source(entry) for entry in _entries(text))


def _certificate_source(entry: str) -> CertificateSource:
    name, separator, location = entry.partition("=")
    # A path or URL may hold an equals sign of its own.
    named = separator and not set("/?*[") & set(name) and ("." not in name or _ROOTED.match(location.strip()))
    source = CertificateSource(location.strip(), name.strip()) if named else CertificateSource(entry)
    if source.scheme is not None and source.scheme not in CERTIFICATE_SCHEMES:
        raise BadValueError(f"use a path, or one of {', '.join(f'{scheme}://' for scheme in CERTIFICATE_SCHEMES)}")
    if not source.location or source.name == "":
        raise BadValueError("write each entry as `source` or `name=source`")
    if source.scheme == "kubernetes":
        if not _NAMESPACE.fullmatch(source.location.partition("://")[2]):
            raise BadValueError("write kubernetes:// with the name of a namespace, or with nothing for the pod's own")
    elif source.scheme is not None:
        _check_url(source.location)
    return source


def dependencies(text: str) -> tuple[Dependency, ...]:
    """Dependencies, as `name=url` or `name:type=url`, separated by commas."""
    found = tuple(_dependency(entry) for entry in _entries(text))
    _refuse_twice(dependency.name for dependency in found)
    if len(found) > _MOST_DEPENDENCIES:
        raise BadValueError(f"name at most {_MOST_DEPENDENCIES}, since each is checked on a thread of its own")
    return found


def _dependency(entry: str) -> Dependency:
    label, separator, url = entry.partition("=")
    name, _, explicit = (part.strip() for part in label.partition(":"))
    if not separator or not name:
        raise BadValueError("write each entry as `name=url`, such as vault=https://vault:8200/v1/sys/health")
    parts = urlsplit(_check_url(url.strip()))
    if parts.scheme not in _TYPES_BY_SCHEME:
        raise BadValueError(f"use one of {', '.join(f'{scheme}://' for scheme in _TYPES_BY_SCHEME)}")
    if explicit and explicit not in _DEPENDENCY_TYPES:
        raise BadValueError(f"the type after `{name}:` must be one of {', '.join(_DEPENDENCY_TYPES)}")
    _check_parts(parts)
    return Dependency(name, explicit or _dependency_type(name, parts.scheme, parts.path), url.strip())


def _check_parts(parts: SplitResult) -> None:
    url = parts.geturl()
    if not url.isascii() or not url.isprintable() or " " in url:
        raise BadValueError("write what is not ASCII in a URL, and blanks, as %xx")
    database = parts.path.strip("/")
    if parts.scheme in ("redis", "rediss") and (parts.query or (database and not database.isdigit())):
        raise BadValueError("a Redis URL holds user, password, host, port and the database's number, nothing else")
    if parts.scheme in ("grpc", "grpcs") and parts.port is None:
        raise BadValueError("a gRPC URL needs its port, such as grpc://peer:50051")


def _dependency_type(name: str, scheme: str, path: str) -> str:
    if scheme in ("http", "https"):
        if path.rstrip("/") == VAULT_HEALTH:
            return "vault"
        if name in ("vault", "pki"):
            return name
    return _TYPES_BY_SCHEME[scheme]


def networks(text: str) -> tuple[Network, ...]:
    """IPv4 and IPv6 networks or single addresses, separated by commas."""
    try:
        return tuple(ip_network(entry, strict=False) for entry in _entries(text))
    except ValueError as error:
        raise BadValueError("set it to addresses and networks such as 10.0.0.0/8,2001:db8::1") from error


def named_paths(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a name and a path, as `name=path`, separated by commas."""
    pairs = []
    for entry in _entries(text):
        name, _, path = (part.strip() for part in entry.partition("="))
        if not name or not path:
            raise BadValueError("write each entry as `name=path`, such as blocklist=/etc/blocklist.txt")
        pairs.append((name, path))
    _refuse_twice(name for name, _ in pairs)
    return tuple(pairs)


def detectors(text: str) -> frozenset[str]:
    """Names of detectors, separated by commas; `none` for none of them."""
    names = frozenset(_entries(text))
    if names == {"none"}:
        return frozenset()
    if not names or names - set(DETECTORS):
        raise BadValueError(f"set it to `none`, or to some of {', '.join(DETECTORS)}")
    return names


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadValueError("each URL needs a host, and a port from 1 to 65535 if any")
    return url


def _refuse_twice(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadValueError(f"the name {name!r} stands there twice")
        seen.add(name)
