"""Time-based one-time passwords (RFC 6238), as an authenticator app computes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import time

_STEP_SECONDS = 30


def code(secret: str, at: float | None = None) -> str:
    step = int((time.time() if at is None else at) // _STEP_SECONDS)
    return _code(secret, step)


def wrong_code(secret: str) -> str:
    """A code that no clock near ours would take."""
    now = int(time.time() // _STEP_SECONDS)
    right = {_code(secret, step) for step in range(now - 3, now + 4)}
    return next(c for c in (f"{n:06d}" for n in range(8)) if c not in right)


def _code(secret: str, step: int) -> str:
    # SHA-1 is what the authenticator apps have agreed on.
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
