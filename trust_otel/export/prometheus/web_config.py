"""TLS and users of the endpoint, from a web configuration file of Prometheus' exporter-toolkit.

Source: prometheus/exporter-toolkit, "Web configuration". What is not supported here is refused, so that no protection
that an operator configured is missing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trust_otel import forks
from trust_otel.recording.self_metrics import shown_name
from trust_otel.reloading_file import ReloadingFile, open_file

_logger = logging.getLogger(__name__)

SETTING: Final = "TRUST_OTEL_PROMETHEUS_WEB_CONFIG"

_MAX_BYTES: Final = 1_000_000

_INSTALL: Final = "pip install 'trust-otel[web-config]'"

_CLIENT_AUTH: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_HEADERS: Final = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
_BCRYPT_HASH: Final = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")

_Signature = tuple[int, int, int] | None


@dataclass(frozen=True)
class _Content:
    """What a file says.

    Attributes:
        tls: The context of the server; `None` without TLS.
        users: Hashes of their passwords; empty if everybody has access.
        headers: Headers of every answer.
        files: The files of the certificates as they were read.
    """

    tls: ssl.SSLContext | None = None
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    files: Mapping[Path, _Signature] = field(default_factory=dict)

    @property
    def files_changed(self) -> bool:
        """Whether a file of a certificate has changed."""
        return any(_signature(path) != known for path, known in self.files.items())


class WebConfig:
    """The content of a web configuration file, read again when it or a certificate changes.

    A change that is invalid is logged once, and the last valid content stays in use.

    Args:
        path: The file; paths in it are relative to its folder.

    Raises:
        ValueError: The file cannot be read, is invalid or needs a package; the message has the remedy and no secret.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = ReloadingFile(path, _read, _Content())
        self._file.read_if_changed()
        self._problem = ""
        self._lock = forks.released_in_child(threading.Lock())
        self._passwords = _Passwords()

    def tls_context(self) -> ssl.SSLContext | None:
        """The current context of the server; `None` without TLS."""
        return self._current().tls

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers of every answer."""
        return self._current().headers

    def authorizes(self, authorization: str) -> bool:
        """Whether a request has access.

        Args:
            authorization: Value of the header `Authorization`; empty for none.
        """
        users = self._current().users
        return not users or self._passwords.match(users, authorization)

    def _current(self) -> _Content:
        with self._lock:
            try:
                self._file.read_if_changed(force=self._file.value.files_changed)
                self._problem = ""
            except ValueError as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    _logger.error("trust-otel: %s is not reloaded: %s", SETTING, error)
            return self._file.value


class _Passwords:
    """Checks passwords; the last valid one of each user without its slow hash."""

    def __init__(self) -> None:
        self._valid: dict[str, bytes] = {}
        # One at a time: a hash takes tens of milliseconds of CPU, which anybody can ask for.
        self._lock = forks.released_in_child(threading.Lock())

    def match(self, users: Mapping[str, bytes], authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            name, separator, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return False
        if scheme.lower() != "basic" or not separator:
            return False
        # Unknown users take as long as known ones.
        expected = users.get(name, next(iter(users.values())))
        digest = hashlib.sha256(expected + password.encode()).digest()
        if name in users and hmac.compare_digest(self._valid.get(name, b""), digest):
            return True
        with self._lock:
            valid = _matches(password.encode(), expected) and name in users
        if valid:
            self._valid[name] = digest
        return valid


def _matches(password: bytes, expected: bytes) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(password, expected)
    except ValueError:  # longer than bcrypt accepts
        return False


def _read(path: Path) -> _Content:
    content = _mapping(_parsed(path), "the file", ("tls_server_config", "http_server_config", "basic_auth_users"))
    folder = path.parent
    tls, files = _tls(content.get("tls_server_config"), folder)
    return _Content(tls, _users(content.get("basic_auth_users")), _headers(content.get("http_server_config")), files)


def _parsed(path: Path) -> object:
    try:
        import yaml
    except ImportError:
        raise ValueError(f"reading the file needs PyYAML: {_INSTALL}") from None
    with open_file(path, _MAX_BYTES) as file:
        try:
            return yaml.safe_load(file)
        except yaml.YAMLError as error:
            # The message quotes the file.
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise ValueError(f"the file is not valid YAML{where}") from None


def _mapping(value: object, name: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a mapping")
    for key in value:
        if key not in keys:
            raise ValueError(f"{name} has the key {shown_name(key)}, which is not supported; use {', '.join(keys)}")
    return value


def _users(value: object) -> dict[str, bytes]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not value:
        raise ValueError("basic_auth_users must map names to bcrypt hashes")
    try:
        import bcrypt  # noqa: F401 - used at the first request
    except ImportError:
        raise ValueError(f"basic_auth_users needs the package bcrypt: {_INSTALL}") from None
    for position, hash_ in enumerate(value.values(), start=1):
        if not isinstance(hash_, str) or not _BCRYPT_HASH.fullmatch(hash_):
            raise ValueError(
                f"entry {position} of basic_auth_users is no bcrypt hash; make one with `htpasswd -nB USER`"
            )
    return {str(name): hash_.encode() for name, hash_ in value.items()}


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    # Clients choose HTTP/2 only where the server offers it.
    headers = _mapping(_mapping(value, "http_server_config", ("headers", "http2")).get("headers"), "headers", _HEADERS)
    for name, text in headers.items():
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise ValueError(f"the header {name} must be text that is valid in a header")
    return tuple(headers.items())


def _tls(value: object, folder: Path) -> tuple[ssl.SSLContext | None, dict[Path, _Signature]]:
    keys = ("cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version")
    given = _mapping(value, "tls_server_config", keys)
    if not given:
        return None, {}
    # Before they are read: a change meanwhile is read again.
    files = {_file(given, key, folder) for key in ("cert_file", "key_file")}
    if "client_ca_file" in given:
        files.add(_file(given, "client_ca_file", folder))
    signatures = {path: _signature(path) for path in files}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _choice(given, "min_version", _VERSIONS, "TLS12")
    context.maximum_version = _choice(given, "max_version", _VERSIONS, "TLS13")
    try:
        # An encrypted key would otherwise ask for its password on the terminal.
        context.load_cert_chain(_file(given, "cert_file", folder), _file(given, "key_file", folder), password="")
    except OSError as error:
        raise ValueError(
            f"cert_file and key_file are not usable ({_reason(error)}); set a PEM certificate and its unencrypted key"
        ) from error
    _verify_clients(context, given, folder)
    return context, signatures


def _verify_clients(context: ssl.SSLContext, given: Mapping[str, Any], folder: Path) -> None:
    context.verify_mode = _choice(given, "client_auth_type", _CLIENT_AUTH, "NoClientCert")
    if (context.verify_mode is ssl.CERT_NONE) == ("client_ca_file" in given):
        raise ValueError(
            "set client_ca_file and the client_auth_type VerifyClientCertIfGiven or RequireAndVerifyClientCert together"
        )
    if "client_ca_file" in given:
        try:
            context.load_verify_locations(_file(given, "client_ca_file", folder))
        except OSError as error:
            raise ValueError(f"client_ca_file is not usable ({_reason(error)}); set PEM certificates") from error


def _file(given: Mapping[str, Any], key: str, folder: Path) -> Path:
    value = given.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"tls_server_config needs {key}, the path of a file")
    return folder / value


def _choice(given: Mapping[str, Any], key: str, choices: Mapping[str, Any], default: str) -> Any:
    value = given.get(key, default)
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{key} must be one of {', '.join(choices)}")
    return choices[value]


def _reason(error: OSError) -> str:
    # Neither quotes the file.
    return getattr(error, "reason", None) or error.strerror or type(error).__name__


def _signature(path: Path) -> _Signature:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
