"""Hashing of passwords and tokens."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets

# Cheap, so that one core can run a load test. A production service needs 2**15 or more.
_COST = 2**10


def hash_password(password: str) -> str:
    salt = os.urandom(16)
    return f"{salt.hex()}${_scrypt(password, salt).hex()}"


def password_matches(password: str, password_hash: str) -> bool:
    salt, _, expected = password_hash.partition("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(expected))


def new_token() -> str:
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """A plain hash is sufficient, because tokens are random."""
    return hashlib.sha256(token.encode()).hexdigest()


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=8, p=1)
