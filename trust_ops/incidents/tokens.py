"""Bearer tokens, read from a file and again when it changes."""

from __future__ import annotations

import hmac
import logging
from hashlib import sha256
from pathlib import Path

from trust_ops.private_files import readable_by_others
from trust_otel.watched_file import WatchedFile

_logger = logging.getLogger(__name__)

_SHORTEST = 16
_REMEDY = "write one with `openssl rand -hex 32 > FILE`"


class TokenFileError(ValueError):
    """A file without a usable token; the message names file and remedy, never a token."""


class TokenFile:
    """The tokens of a file, one a line: a token can be replaced while both the old and the new one hold.

    Args:
        path: The file.

    Raises:
        TokenFileError: It cannot be read, or a token in it is too short to keep anybody out.
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path)
        self._digests = [_digest(token) for token in read_tokens(path)]
        self._file.changed()
        if readable_by_others(path):
            _logger.warning(
                "trust-otel: every user of this machine can read the tokens in %s; set its mode to 0600", path
            )

    def holds(self, token: str) -> bool:
        """Whether it is one of the tokens; takes equally long whichever character differs."""
        self._read_if_changed()
        given = _digest(token)
        # Every one of them, so that the time does not tell which.
        return sum(hmac.compare_digest(given, digest) for digest in self._digests) > 0

    def _read_if_changed(self) -> None:
        try:
            if self._file.changed():
                self._digests = [_digest(token) for token in read_tokens(self._file.path)]
        except (OSError, TokenFileError) as error:
            _logger.error("trust-otel: the tokens read before stay in force: %s", error)


def read_tokens(path: Path) -> list[str]:
    """The tokens of a file. Raises TokenFileError."""
    try:
        tokens = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(f"{path} cannot be read ({type(error).__name__}): {_REMEDY}") from error
    if not tokens:
        raise TokenFileError(f"{path} holds no token: {_REMEDY}")
    if any(len(token) < _SHORTEST for token in tokens):
        raise TokenFileError(f"{path} holds a token of fewer than {_SHORTEST} characters: {_REMEDY}")
    return tokens


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()
