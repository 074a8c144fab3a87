"""The request that is being answered, and what the service has said of it itself."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Final

# RFC 9110, section 11; RFC 7617 (Basic), 7616 (Digest), 6750 (Bearer), 9449 (DPoP), 4559 (Negotiate).
_METHODS_BY_SCHEME: Final = {
    "basic": "password",
    "digest": "password",
    "bearer": "token",
    "dpop": "token",
    "negotiate": "kerberos",
}


class Request:
    """A request, of HTTP or gRPC, from its start until its answer is complete.

    What the service records of it counts, and keeps the answer from counting for the same thing again.

    Attributes:
        ended: Whether its answer is complete. What still runs in its context, such as a background task, is no part
            of it.
        authentication_told: Whether the service recorded an attempt to authenticate, or a second factor.
        authorization_told: Whether the service recorded a decision about access.
        rate_limit_told: Whether the service recorded that a rate limit refused it.
        refusal_told: Whether the last thing that the service recorded was a reason to refuse it.
        matched_feeds: Reputation feeds for which a match was counted.
        client_name: Value of `trust.client.name`, which the service set.
    """

    # Shared by all requests until the service says something, so that they cost nothing.
    ended = False
    authentication_told = False
    authorization_told = False
    rate_limit_told = False
    refusal_told = False
    matched_feeds: tuple[str, ...] = ()
    client_name: str | None = None

    _client_address: str | None = None

    @property
    def client_address(self) -> str | None:
        """Address of the client, in its canonical form, looked up when it is first asked; `None` when nobody knows."""
        if self._client_address is None:
            self._client_address = self.find_client_address()
        return self._client_address

    def find_client_address(self) -> str | None:
        """Look the address of the client up."""
        return None

    def authentication_method(self) -> str | None:
        """Value of `trust.auth.method` for the credentials that came along; `None` when there were none."""
        return None


answering: Final[ContextVar[Request | None]] = ContextVar("trust_otel_request", default=None)
"""The request whose context this is, also after its end."""


OWN_METER: Final = "trust_otel"
"""Name of the meter of trust-otel."""

request_meters: Final[set[str]] = set()
"""Names of the meters that measure requests of other frameworks than Starlette and gRPC in this process."""


def stop_answering(token: Token[Request | None]) -> None:
    """Make the request before it the one that the context answers."""
    try:
        answering.reset(token)
    except ValueError:
        # A coroutine that nobody awaits any more is closed in another context, in which nothing was set.
        return


def current_request() -> Request | None:
    """The request that the current context answers; `None` outside of one, and after its end."""
    request = answering.get()
    return None if request is None or request.ended else request


def authentication_method(authorization: str) -> str | None:
    """Value of `trust.auth.method` for an `Authorization` header; `None` when no credentials are in it."""
    scheme, _, credentials = authorization.strip().partition(" ")
    method = _METHODS_BY_SCHEME.get(scheme.lower())
    if method is not None:
        return method if credentials else None
    # Some send a token without a scheme.
    return "_other" if scheme else None
