"""Our one-time passwords against those of pyotp."""

from __future__ import annotations

import pyotp
import pytest

from testbed.load_generator import totp


@pytest.mark.parametrize("at", [0, 59, 1111111109, 1234567890, 2000000000])
def test_codes_are_those_that_an_app_shows(at: int) -> None:
    secret = pyotp.random_base32()
    assert totp.code(secret, at) == pyotp.TOTP(secret).at(at)


def test_a_wrong_code_is_wrong_for_every_clock_near_ours() -> None:
    for _ in range(200):
        secret = pyotp.random_base32()
        assert not pyotp.TOTP(secret).verify(totp.wrong_code(secret), valid_window=2)
