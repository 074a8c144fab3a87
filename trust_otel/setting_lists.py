"""Parses settings that are lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from trust_otel.semconv.attributes import TRUST_CERTIFICATE_KIND, TRUST_TRUST_LIST_TYPE
from trust_otel.urls import parse_url, with_ascii_host

Network = IPv4Network | IPv6Network

_Entry = TypeVar("_Entry")

CLIENT_ADDRESS_FORMS: Final = ("full", "truncated", "hashed", "off")

DETECTORS: Final = ("credential_stuffing", "password_spraying", "impossible_travel", "path_scanning", "mfa_fatigue")

EVENT_KINDS: Final = ("security", "audit", "compliance")

CERTIFICATE_KINDS: Final = tuple(map(str, TRUST_CERTIFICATE_KIND.members))

LEAD_DAYS: Final = "root=365,csca=365,issuing_ca=180,signer=90,tsa=90,ocsp_responder=30,tls=30"
"""The default of the days before their expiry at which certificates are due for renewal, by kind."""

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

# Not a path: a URL without slashes, libpq keywords, or a URL with credentials.
_NOT_A_PATH: Final = re.compile(r"[a-z][a-z0-9+]+:|[^/]*[@\s]", re.IGNORECASE)
# A relative path contains no character of a URL or of credentials, unless it starts with "./".
_FIXED_PATH: Final = re.compile(r"/|\.\.?/|~|[a-z]:[\\/]", re.IGNORECASE)
_RELATIVE_PATH: Final = re.compile(r"[\w.+][\w./+-]*")
_NAME: Final = re.compile(r"\w[\w.-]{0,127}")
_NOT_IN_SOURCE_NAME: Final = re.compile(r"[@:;&%]")
_HEADER: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+")
# The SDK drops a header whose value contains another character.
_HEADER_VALUE: Final = re.compile(r"[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")

_MOST_DAYS: Final = 36_500

_MOST_METHODS: Final = 50  # each multiplies the number of series

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
_MAX_DEPENDENCIES: Final = 50
_MAX_TIME_SERVERS: Final = 10
_NTP_PORT: Final = 123
_MAX_TRUST_LISTS: Final = 20
_TRUST_LIST_TYPES: Final = tuple(map(str, TRUST_TRUST_LIST_TYPE.members))

VAULT_HEALTH: Final = "/v1/sys/health"


class BadValueError(ValueError):
    """An invalid value of a setting; the message describes the valid ones."""


@dataclass(frozen=True)
class CertificateSource:
    """A source of certificates.

    Attributes:
        location: A path, a glob or a URL.
        name: Name of the certificates; `None` to derive it from the file or host.
    """

    location: str
    name: str | None = None

    @property
    def scheme(self) -> str | None:
        """Scheme of a URL; `None` for a file."""
        scheme, separator, _ = self.location.partition("://")
        return scheme.lower() if separator else None


@dataclass(frozen=True)
class Dependency:
    """A dependency of the service.

    Attributes:
        name: Value of `trust.dependency.name`.
        type: Value of `trust.dependency.type`.
        url: URL; may contain credentials, so it is never in a label or a log.
    """

    name: str
    type: str
    url: str

    def __repr__(self) -> str:
        return f"Dependency({self.name!r}, {self.type!r})"


@dataclass(frozen=True)
class TimeServer:
    """A time server.

    Attributes:
        name: Value of `trust.clock.server`.
        host: Its host name or address.
        port: Its UDP port.
    """

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class TrustList:
    """A list of trust anchors.

    Attributes:
        name: Value of `trust.trust_list.name`.
        type: Value of `trust.trust_list.type`.
        location: A path, or an HTTP or HTTPS URL; may contain credentials, so it is never in a label or a log.
    """

    name: str
    type: str
    location: str

    def __repr__(self) -> str:
        return f"TrustList({self.name!r}, {self.type!r})"


def certificate_sources(text: str) -> tuple[CertificateSource, ...]:
    """Sources of certificates, as `source` or `name=source`, separated by commas."""
    return _parsed(text, _certificate_source)


def _certificate_source(entry: str) -> CertificateSource:
    name, separator, location = entry.partition("=")
    # A path or URL may contain an equals sign.
    named = separator and not set("/?*[") & set(name) and ("." not in name or _ROOTED.match(location.strip()))
    source = CertificateSource(location.strip(), name.strip()) if named else CertificateSource(entry)
    if source.scheme is not None and source.scheme not in CERTIFICATE_SCHEMES:
        raise BadValueError(f"use a path, or one of {', '.join(f'{scheme}://' for scheme in CERTIFICATE_SCHEMES)}")
    if not source.location or source.name == "":
        raise BadValueError("write each entry as `source` or `name=source`")
    # The name becomes a label value; it must not be credentials of an entry without a name.
    if source.name is not None and _NOT_IN_SOURCE_NAME.search(source.name):
        raise BadValueError("the name before the `=` contains a character that is not allowed")
    if source.scheme is None and _NOT_A_PATH.match(source.location):
        raise BadValueError("write a path (./... if it contains such characters) or a URL with ://")
    if source.scheme == "kubernetes":
        if not _NAMESPACE.fullmatch(source.location.partition("://")[2]):
            raise BadValueError("write kubernetes://namespace, or kubernetes:// for the namespace of the pod")
    elif source.scheme is not None:
        _check_url(source.location)
    return source


def lead_days(text: str) -> tuple[tuple[str, int], ...]:
    """Days by kind of certificate, as `kind=days`, separated by commas; a kind that is not listed has its default."""
    given = _parsed(text, _lead_days)
    _refuse_duplicates(kind for kind, _ in given)
    return tuple({**dict(_parsed(LEAD_DAYS, _lead_days)), **dict(given)}.items())


def _lead_days(entry: str) -> tuple[str, int]:
    kind, _, days = (part.strip() for part in entry.partition("="))
    if kind not in CERTIFICATE_KINDS:
        raise BadValueError(f"write each entry as `kind=days`, with one of {', '.join(CERTIFICATE_KINDS)}")
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:9]) <= _MOST_DAYS):
        raise BadValueError(f"write a whole number of days from 1 to {_MOST_DAYS} after the `=`")
    return kind, int(days)


def dependencies(text: str) -> tuple[Dependency, ...]:
    """Dependencies, as `name=url` or `name:type=url`, separated by commas."""
    found = _parsed(text, _dependency)
    _refuse_duplicates(dependency.name for dependency in found)
    if len(found) > _MAX_DEPENDENCIES:
        raise BadValueError(f"use at most {_MAX_DEPENDENCIES}: each is checked in its own thread")
    return found


def _dependency(entry: str) -> Dependency:
    label, separator, url = entry.partition("=")
    name, _, explicit = (part.strip() for part in label.partition(":"))
    # The name becomes a label value; it must not be credentials of an entry without a name.
    if not separator or not _NAME.fullmatch(name):
        raise BadValueError("write each entry as `name=url`, such as vault=https://vault:8200/v1/sys/health")
    if explicit and explicit not in _DEPENDENCY_TYPES:
        raise BadValueError(f"the type between the name and `=` must be one of {', '.join(_DEPENDENCY_TYPES)}")
    url = _check_url(url.strip())
    parts = urlsplit(url)
    if parts.scheme not in _TYPES_BY_SCHEME:
        raise BadValueError(f"use one of {', '.join(f'{scheme}://' for scheme in _TYPES_BY_SCHEME)}")
    _check_parts(parts)
    return Dependency(name, explicit or _dependency_type(name, parts.scheme, parts.path), url)


def _check_parts(parts: SplitResult) -> None:
    url = parts.geturl()
    if not url.isascii() or not url.isprintable() or " " in url:
        raise BadValueError("write spaces and non-ASCII characters in a URL as %xx")
    database = parts.path.strip("/")
    if parts.scheme in ("redis", "rediss") and (parts.query or (database and not database.isdigit())):
        raise BadValueError("a Redis URL may only contain user, password, host, port and the number of the database")
    if parts.scheme in ("grpc", "grpcs") and parts.port is None:
        raise BadValueError("a gRPC URL needs a port, such as grpc://peer:50051")


def _dependency_type(name: str, scheme: str, path: str) -> str:
    if scheme in ("http", "https"):
        if path.rstrip("/") == VAULT_HEALTH:
            return "vault"
        if name in ("vault", "pki"):
            return name
    return _TYPES_BY_SCHEME[scheme]


def time_servers(text: str) -> tuple[TimeServer, ...]:
    """Time servers, as `host`, `host:port` or `name=host:port`, separated by commas."""
    found = _parsed(text, _time_server)
    _refuse_duplicates(server.name for server in found)
    if len(found) > _MAX_TIME_SERVERS:
        raise BadValueError(f"use at most {_MAX_TIME_SERVERS}: one after the other is asked")
    return found


def _time_server(entry: str) -> TimeServer:
    name, separator, address = (part.strip() for part in entry.rpartition("="))
    parts = parse_url(f"ntp://{address}")
    if parts is None or parts.netloc != address or "@" in address or not parts.hostname:
        raise BadValueError("write each entry as `host`, `host:port` or `name=host:port`, such as ntp.example.com")
    # The name becomes a label value; it must not be credentials of an entry without a name.
    if separator and not _NAME.fullmatch(name):
        raise BadValueError("the name before the `=` contains a character that is not allowed")
    return TimeServer(name or address, parts.hostname, parts.port or _NTP_PORT)


def trust_lists(text: str) -> tuple[TrustList, ...]:
    """Lists of trust anchors, as `name=type+path` or `name=type+url`, separated by commas."""
    found = _parsed(text, _trust_list)
    _refuse_duplicates(trust_list.name for trust_list in found)
    if len(found) > _MAX_TRUST_LISTS:
        raise BadValueError(f"use at most {_MAX_TRUST_LISTS}: one after the other is read")
    return found


def _trust_list(entry: str) -> TrustList:
    name, _, rest = (part.strip() for part in entry.partition("="))
    kind, _, location = (part.strip() for part in rest.partition("+"))
    # The name becomes a label value; it must not be credentials of an entry without a name.
    if not _NAME.fullmatch(name) or not location:
        raise BadValueError("write each entry as `name=type+path` or `name=type+url`, such as eu=etsi+https://...")
    if kind not in _TRUST_LIST_TYPES:
        raise BadValueError(f"the type between `=` and `+` must be one of {', '.join(_TRUST_LIST_TYPES)}")
    if "://" not in location:
        return TrustList(name, kind, path(location))
    url = _check_url(location)
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadValueError("use a path, http:// or https://")
    return TrustList(name, kind, url)


def networks(text: str) -> tuple[Network, ...]:
    """IPv4 and IPv6 networks or single addresses, separated by commas."""
    try:
        return tuple(ip_network(entry, strict=False) for entry in _entries(text))
    except ValueError as error:
        raise BadValueError("set it to addresses and networks such as 10.0.0.0/8,2001:db8::1") from error


def detectors(text: str) -> frozenset[str]:
    """Names of detectors, separated by commas; `none` for no detector."""
    return _some_of(text, DETECTORS)


def event_kinds(text: str) -> frozenset[str]:
    """Kinds of events, separated by commas; `none` for no event."""
    return _some_of(text, EVENT_KINDS)


def _some_of(text: str, choices: tuple[str, ...]) -> frozenset[str]:
    names = frozenset(_entries(text))
    if names == {"none"}:
        return frozenset()
    if not names or names - set(choices):
        raise BadValueError(f"set it to `none`, or to some of {', '.join(choices)}")
    return names


def headers(text: str) -> tuple[str, ...]:
    """Headers of OTLP requests, as `name=value`, separated by commas."""
    return _parsed(text, _header)


def usable_headers(text: str) -> str:
    """The valid headers of a list."""
    return _usable(text, _header)


def _header(entry: str) -> str:
    name, separator, value = (part.strip() for part in entry.partition("="))
    if not separator or not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
        raise BadValueError("write each header as `name=value`, with commas, semicolons, quotes and backslashes as %xx")
    if not unquote(value).isprintable():
        raise BadValueError("the value contains a character that cannot be sent")
    return entry


def http_methods(text: str) -> frozenset[str]:
    """Names of HTTP methods, separated by commas; upper and lower case differ."""
    methods = frozenset(_entries(text))
    if not methods or len(methods) > _MOST_METHODS or not all(map(_HEADER.fullmatch, methods)):
        raise BadValueError(f"set it to at most {_MOST_METHODS} names of methods, such as GET,HEAD,POST,PROPFIND")
    return methods


def url_patterns(text: str) -> str:
    """Regular expressions that are searched in URLs, separated by commas, without empty ones, which match all URLs."""
    good: list[str] = []
    for position, entry in enumerate(_entries(text), start=1):
        if problem := _pattern_problem([*good, entry]):
            raise BadValueError(f"entry {position} is not a regular expression: {problem}")
        good.append(entry)
    return ",".join(good)


def usable_url_patterns(text: str) -> str:
    """The valid patterns of a list."""
    good: list[str] = []
    for entry in _entries(text):
        if not _pattern_problem([*good, entry]):
            good.append(entry)
    return ",".join(good)


def _pattern_problem(patterns: Iterable[str]) -> str | None:
    try:
        re.compile("|".join(patterns))  # as the instrumentations do
    except (re.error, RecursionError, OverflowError) as error:
        return str(getattr(error, "msg", "too large"))
    return None


def resource_attributes(text: str) -> tuple[str, ...]:
    """Attributes of the resource, as `key=value`, separated by commas."""
    return _parsed(text, _resource_attribute)


def usable_resource_attributes(text: str) -> str:
    """The valid attributes of a list."""
    return _usable(text, _resource_attribute)


def _resource_attribute(entry: str) -> str:
    key, separator, _ = entry.partition("=")
    if not separator or not key.strip():
        raise BadValueError("write each attribute as `key=value`, with a comma in a value as %2C")
    return entry


def path(text: str) -> str:
    """The path of a file."""
    if "://" in text or not text.isprintable() or not (_FIXED_PATH.match(text) or _RELATIVE_PATH.fullmatch(text)):
        raise BadValueError("set it to the path of a file, not to a URL or to the content of the file")
    return text


def named_paths(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a name and a path, as `name=path`, separated by commas."""
    pairs = _parsed(text, _named_path)
    _refuse_duplicates(name for name, _ in pairs)
    return pairs


def _named_path(entry: str) -> tuple[str, str]:
    name, _, file = (part.strip() for part in entry.partition("="))
    if not _NAME.fullmatch(name) or not file:
        raise BadValueError("write each entry as `name=path`, such as blocklist=/etc/blocklist.txt")
    return name, path(file)


def _parsed(text: str, parse: Callable[[str], _Entry]) -> tuple[_Entry, ...]:
    """Parse each entry of a list; an error has only the position of the entry, whose text may contain a secret."""
    found = []
    for position, entry in enumerate(_entries(text), start=1):
        try:
            found.append(parse(entry))
        except BadValueError as error:
            raise BadValueError(f"entry {position}: {error}") from None
    return tuple(found)


def _usable(text: str, parse: Callable[[str], object]) -> str:
    good = []
    for entry in _entries(text):
        with suppress(BadValueError):
            parse(entry)
            good.append(entry)
    return ",".join(good)


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _check_url(url: str) -> str:
    """The URL, whose host has only ASCII characters."""
    parts = parse_url(url)
    if parts is None:
        raise BadValueError("each URL needs a host, and a port from 1 to 65535 if any")
    # With a slash in the password, a part of it would be parsed as the host.
    if "@" in parts.path:
        raise BadValueError("in a URL, write a slash in user or password, and an @ in the path, as %xx")
    converted = with_ascii_host(parts)
    if converted is None:
        raise BadValueError("write an international host name with its A-labels, such as xn--bcher-kva.example")
    return url if converted is parts else converted.geturl()


def _refuse_duplicates(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if name in seen:
            raise BadValueError(f"entry {position}: its name is a duplicate of an earlier entry")
        seen.add(name)
