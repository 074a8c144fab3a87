"""Login with a password and, if the account has one, a second factor."""

from __future__ import annotations

import pyotp
from starlette.concurrency import run_in_threadpool

from trust_otel import get_metrics

from .credentials import hash_password, new_token, password_matches
from .database import Database
from .sessions import Session, Sessions
from .tables import Account

metrics = get_metrics()

# Compared for unknown accounts, so that the response takes as long as for existing ones.
_NOBODY = hash_password(new_token())


async def check_password(database: Database, name: str, password: str) -> Account | None:
    async with database.begin() as transaction:
        account = await transaction.get(Account, name)
    known = account.password_hash if account is not None else _NOBODY
    matches = await run_in_threadpool(password_matches, password, known)
    success = matches and account is not None
    metrics.record_auth_attempt(method="password", success=success, account=name)
    return account if success else None


def check_code(sessions: Sessions, session: Session, code: str) -> bool:
    """Confirm the session if the code is correct; otherwise end it, so that each password check allows one attempt."""
    # One step earlier or later is accepted, because of clock skew.
    success = pyotp.TOTP(session.account.totp_secret or "").verify(code, valid_window=1)
    metrics.record_mfa_challenge(method="totp", success=success, account=session.account.name)
    if success:
        sessions.confirm(session)
    else:
        sessions.end(session)
    return success
