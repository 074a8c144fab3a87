"""Sessions of users, in memory."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trust_otel import get_metrics

from .credentials import hash_token, new_token
from .tables import Account

metrics = get_metrics()

_SESSION_SECONDS = 12 * 3600
_SECOND_FACTOR_SECONDS = 120


@dataclass
class Session:
    """A session. If the account has a second factor, it is valid only after confirmation."""

    account: Account
    expires_at: float
    confirmed: bool = False
    ended: bool = False


class Sessions:
    def __init__(self) -> None:
        self._by_token: dict[str, Session] = {}

    def open(self, account: Account) -> str:
        """Create a session, to be confirmed if the account has a second factor; returns its token."""
        token = new_token()
        session = Session(account, time.time() + _SECOND_FACTOR_SECONDS)
        self._by_token[hash_token(token)] = session
        if account.totp_secret is None:
            self.confirm(session)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, including ended sessions; None if unknown or expired."""
        session = self._by_token.get(hash_token(token))
        return session if session is not None and session.expires_at > time.time() else None

    def confirm(self, session: Session) -> None:
        session.confirmed = True
        session.expires_at = time.time() + _SESSION_SECONDS
        metrics.session_started()

    def end(self, session: Session) -> None:
        if session.confirmed and not session.ended:
            metrics.session_ended()
        session.ended = True

    def forget_expired(self) -> None:
        now = time.time()
        for token_hash, session in list(self._by_token.items()):
            if session.expires_at <= now:
                self.end(session)
                del self._by_token[token_hash]
