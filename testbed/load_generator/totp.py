"""Wrong time-based one-time passwords (RFC 6238)."""

from __future__ import annotations

import time

import pyotp


def wrong_code(secret: str) -> str:
    """Return a six-digit code that is not valid in any of the seven time steps around now."""
    totp = pyotp.TOTP(secret)
    now = int(time.time())
    valid = {totp.at(now, counter_offset=step) for step in range(-3, 4)}
    return next(code for code in map("{:06d}".format, range(8)) if code not in valid)
