"""The types of variables and settings, and their validation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from trust_otel.setting_lists import BadValueError
from trust_otel.urls import parse_url

# Reserved for examples by RFC 2606: a value copied from a page must not be deployed.
_EXAMPLE = re.compile(r"(^|\.)(example(\.(com|net|org))?|invalid)$", re.IGNORECASE)
# Without braces, which would start a template.
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`|~-]+"
_ADDRESS = re.compile(rf"{_LOCAL}(?:\.{_LOCAL})*@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)")
_NAMED_ADDRESS = re.compile(r"[A-Za-z0-9 ._-]+ <(.+)>")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
# The characters of RFC 3986, without those with a meaning in templates, YAML or shells.
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]+")
_INSIDE = re.compile(r"(^|\.)(localhost|svc|local|internal)$", re.IGNORECASE)

# An identifier of Protocol Buffers.
_METHOD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

_MAX_LENGTH = 200


@dataclass(frozen=True)
class Kind:
    """The type of a variable.

    Attributes:
        name: Its name in the table of variables.
        parse: Normalizes a value; raises BadValueError, which never shows the value.
        secret: Whether the value is written only to a file of its own.
        shown: Whether an error may show an invalid value; not if it could be a secret by mistake.
    """

    name: str
    parse: Callable[[str], str]
    secret: bool = False
    shown: bool = False


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise BadValueError("use a single line without leading or trailing spaces and without control characters")
    return text


def _host_port(text: str) -> str:
    host, _, port = _printable(text).rpartition(":")
    if not _HOST.fullmatch(host) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadValueError("use host:port, such as smtp.your-company.com:587")
    _refuse_example(host)
    return text


def _address(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise BadValueError("use an address such as security@your-company.com")
    _refuse_example(match[1])
    return text


def _sender(text: str) -> str:
    named = _NAMED_ADDRESS.fullmatch(_printable(text))
    _address(named[1] if named else text)
    return text


def _addresses(text: str) -> str:
    return ", ".join(dict.fromkeys(_address(part.strip()) for part in _printable(text).split(",")))


def base_url(text: str) -> str:
    """An address without a slash at the end. Raises BadValueError."""
    url = _url(text, "use an address such as https://grafana.your-company.com")
    if "@" in urlsplit(url).netloc:
        raise BadValueError("remove the user and password: everybody who sees a link would see them")
    if {"?", "#"} & set(url):
        raise BadValueError("remove the query or fragment (from `?` or `#` on)")
    return url.rstrip("/")


def _slack_url(text: str) -> str:
    return _encrypted(_url(text, "use the https:// URL of an incoming webhook"), inside=False)


def _webhook_url(text: str) -> str:
    return _encrypted(_url(text, "use an https:// URL"), inside=True)


def _pagerduty_url(text: str) -> str:
    return _encrypted(_url(text, "use the URL of PagerDuty's Events API v2"), inside=False)


def _url(text: str, remedy: str) -> str:
    parts = parse_url(_printable(text), ("http", "https"))
    if parts is None or not _URL.fullmatch(text):
        raise BadValueError(remedy)
    _refuse_example(parts.hostname or "")
    return text


def _encrypted(url: str, *, inside: bool) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or _loopback(host) or (inside and _cannot_be_public(host)):
        return url
    raise BadValueError("use https://; plain http:// would show the secret to the network")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cannot_be_public(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or bool(_INSIDE.search(host))


def _refuse_example(host: str) -> None:
    if _EXAMPLE.search(host.rstrip(".")):
        raise BadValueError("it is an example address; use your own")


def _key(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{32}", text):
        raise BadValueError("use the integration key of the PagerDuty service: 32 letters and digits")
    if len(set(text)) == 1:
        raise BadValueError("it is an example key; use your own")
    return text


def _secret(text: str) -> str:
    # Alertmanager removes spaces at the start and end of the file.
    return _printable(text)


def _text(text: str) -> str:
    if len(_printable(text)) > _MAX_LENGTH:
        raise BadValueError(f"use at most {_MAX_LENGTH} characters")
    return text


def time_zone(text: str) -> str:
    """The name of a time zone. Raises BadValueError."""
    # A slim container may have no time zone data; then Alertmanager validates the value.
    known = available_timezones()
    if text != "UTC" and known and text not in known:
        raise BadValueError("use the name of a time zone, such as Europe/Berlin")
    return text


def method_name(text: str) -> str:
    """The beginning of the name of a gRPC method. Raises BadValueError."""
    if not _METHOD_NAME.fullmatch(text):
        raise BadValueError("use the beginning of a method name, without its service, such as Sign")
    return text


def _path(text: str) -> str:
    if not _printable(text).startswith("/"):
        raise BadValueError("use the absolute path, as Alertmanager sees it")
    return text


HOST_PORT = Kind("host:port", _host_port)
SENDER = Kind("address", _sender, shown=True)
EMAILS = Kind("addresses, with commas", _addresses, shown=True)
PAGERDUTY_URL = Kind("URL", _pagerduty_url)
SLACK_URL = Kind("secret URL", _slack_url, secret=True)
WEBHOOK_URL = Kind("secret URL", _webhook_url, secret=True)
KEY = Kind("key", _key, secret=True)
SECRET = Kind("secret", _secret, secret=True)
TEXT = Kind("text", _text)
PATH = Kind("path", _path)
