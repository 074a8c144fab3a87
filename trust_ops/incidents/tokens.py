"""Tokens and other secrets from files, reloaded when they change."""

from __future__ import annotations

import hmac
import logging
from functools import partial
from hashlib import sha256
from pathlib import Path

from trust_ops.private_files import readable_by_others
from trust_otel.reloading_file import ReloadingFile

_logger = logging.getLogger(__name__)

_MIN_LENGTH = 16
_KIND = "token"
_REMEDY = "create one with `openssl rand -hex 32 > FILE`"


class TokenFileError(ValueError):
    """A file without a valid token; the message names the file and a fix, never a token."""


class SecretFile:
    """The secrets of a file, one per line. During rotation, the old and the new secret are both valid.

    Args:
        path: The file.
        kind: What its secrets are, for errors and the log.
        remedy: Where they are from, for errors.

    Raises:
        TokenFileError: It cannot be read, or a secret in it is too short.
    """

    def __init__(self, path: Path, kind: str = _KIND, remedy: str = _REMEDY) -> None:
        self._kind = kind
        read = partial(read_tokens, kind=kind, remedy=remedy)
        self._file = ReloadingFile(path, read, initial=read(path))
        self._problem: str | None = None
        if readable_by_others(path):
            _logger.warning(
                "trust-otel: the %ss in %s are readable by every user of this machine; set its mode to 0600", kind, path
            )

    def current(self) -> list[str]:
        """The secrets. If the file is invalid, the previous ones."""
        try:
            self._file.read_if_changed()
            self._problem = None
        except ValueError as error:
            if str(error) != self._problem:
                _logger.error(
                    "trust-otel: a file cannot be reloaded, the previous %ss stay valid: %s", self._kind, error
                )
            self._problem = str(error)
        return self._file.value


class TokenFile(SecretFile):
    """The bearer tokens of a file, one per line."""

    def contains(self, token: str) -> bool:
        """Whether it is one of the tokens; compares in constant time."""
        given = _digest(token)
        # Compare with all of them, so that the time does not reveal which one matched.
        return sum(hmac.compare_digest(given, _digest(each)) for each in self.current()) > 0


def read_tokens(path: Path, kind: str = _KIND, remedy: str = _REMEDY) -> list[str]:
    """The tokens, or other secrets, of a file. Raises TokenFileError."""
    try:
        tokens = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(f"{path} cannot be read ({type(error).__name__}): {remedy}") from error
    if not tokens:
        raise TokenFileError(f"{path} contains no {kind}: {remedy}")
    if any(len(token) < _MIN_LENGTH for token in tokens):
        raise TokenFileError(f"{path} contains a {kind} of fewer than {_MIN_LENGTH} characters: {remedy}")
    return tokens


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()
