"""Invalid one-time passwords."""

from __future__ import annotations

import pyotp

from testbed.load_generator.totp import wrong_code


def test_wrong_code_is_invalid_in_all_nearby_time_steps() -> None:
    for _ in range(200):
        secret = pyotp.random_base32()
        assert not pyotp.TOTP(secret).verify(wrong_code(secret), valid_window=2)
