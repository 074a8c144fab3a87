"""Wrong one-time passwords."""

from __future__ import annotations

import pyotp

from testbed.load_generator.totp import wrong_code


def test_a_wrong_code_is_wrong_for_every_clock_near_ours() -> None:
    for _ in range(200):
        secret = pyotp.random_base32()
        assert not pyotp.TOTP(secret).verify(wrong_code(secret), valid_window=2)
