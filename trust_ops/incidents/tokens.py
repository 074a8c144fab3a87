"""Bearer tokens from a file, reloaded when it changes."""

from __future__ import annotations

import hmac
import logging
from hashlib import sha256
from pathlib import Path

from trust_ops.private_files import readable_by_others
from trust_otel.reloading_file import ReloadingFile

_logger = logging.getLogger(__name__)

_MIN_LENGTH = 16
_REMEDY = "create one with `openssl rand -hex 32 > FILE`"


class TokenFileError(ValueError):
    """A file without a valid token; the message names the file and a fix, never a token."""


class TokenFile:
    """The tokens of a file, one per line. During rotation, the old and the new token are both valid.

    Args:
        path: The file.

    Raises:
        TokenFileError: It cannot be read, or a token in it is too short.
    """

    def __init__(self, path: Path) -> None:
        self._file = ReloadingFile(path, _read_digests, initial=_read_digests(path))
        self._problem: str | None = None
        if readable_by_others(path):
            _logger.warning(
                "trust-otel: the tokens in %s are readable by every user of this machine; set its mode to 0600", path
            )

    def contains(self, token: str) -> bool:
        """Whether it is one of the tokens; compares in constant time."""
        self._read_if_changed()
        given = _digest(token)
        # Compare with all of them, so that the time does not reveal which one matched.
        return sum(hmac.compare_digest(given, digest) for digest in self._file.value) > 0

    def _read_if_changed(self) -> None:
        try:
            self._file.read_if_changed()
            self._problem = None
        except ValueError as error:
            if str(error) != self._problem:
                _logger.error(
                    "trust-otel: the token file cannot be reloaded, the previous tokens stay valid: %s", error
                )
            self._problem = str(error)


def read_tokens(path: Path) -> list[str]:
    """The tokens of a file. Raises TokenFileError."""
    try:
        tokens = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(f"{path} cannot be read ({type(error).__name__}): {_REMEDY}") from error
    if not tokens:
        raise TokenFileError(f"{path} contains no token: {_REMEDY}")
    if any(len(token) < _MIN_LENGTH for token in tokens):
        raise TokenFileError(f"{path} contains a token of fewer than {_MIN_LENGTH} characters: {_REMEDY}")
    return tokens


def _read_digests(path: Path) -> list[bytes]:
    return [_digest(token) for token in read_tokens(path)]


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()
