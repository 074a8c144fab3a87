"""Successful and failed logins, and requests with valid and invalid session tokens."""

from __future__ import annotations

import secrets

import pyotp

from testbed.load_generator import totp
from testbed.load_generator.http_client import json_of
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.population import (
    BLOCKED_ADDRESS,
    LISTED_ADDRESS,
    RATE_LIMITED_ADDRESS,
    REPUTATION_FEED,
    country_of,
)
from testbed.load_generator.state import Account, Operation, State
from trust_otel.semconv import metrics

# The service's rate limit allows a burst of ten.
_BURST = 15
_REPEATED_LOGINS = 12

_LOGIN_METRICS = (
    metrics.TRUST_AUTH_ATTEMPTS,
    metrics.TRUST_SESSION_ACTIVE,
    metrics.TRUST_SECURITY_RATE_LIMITED,
    metrics.TRUST_SECURITY_THREAT_MATCHES,
    metrics.TRUST_SECURITY_INCIDENTS,
)
_TOTP_METRICS = (metrics.TRUST_AUTH_MFA_CHALLENGES, metrics.TRUST_SESSION_ACTIVE)
_LISTED_METRICS = (metrics.TRUST_SECURITY_THREAT_MATCHES,)
_TOKEN_METRICS = (metrics.TRUST_AUTH_ATTEMPTS, metrics.TRUST_SECURITY_INCIDENTS)


async def log_in(state: State, account: Account, address: str) -> str | None:
    """Log in with password and, if the account has one, TOTP code. Returns None if the service rejects the login."""
    token = await submit_password(state, account, account.password, address)
    if token is not None and account.totp_secret is not None:
        await submit_totp_code(state, token, pyotp.TOTP(account.totp_secret).now(), address)
    return token


async def submit_password(state: State, account: Account, password: str, address: str) -> str | None:
    """Session token, still to be confirmed by a TOTP code if the account has one. None if the service rejects it."""
    person = account.person
    response = await _post_login(state, person.name, password, address)
    if response is None:
        return None
    status, token = response
    state.expected.authentication("password", success=status == 200, country=country_of(address))
    if status == 200 and account.totp_secret is None:
        state.expected.session(+1)
    return token


async def _post_login(state: State, name: str, password: str, address: str) -> tuple[int, str | None] | None:
    """Status and token; None if the service did not check the password."""
    response = await state.http.send(
        "POST",
        "/login",
        expect=(200, 401, 403, 429),
        affected=_LOGIN_METRICS,
        address=address,
        body={"name": name, "password": password},
    )
    if response.status_code == 403:
        state.expected.threat("blocklist")
        state.expected.incident("blocked_address", "info")
        return None
    if response.status_code == 429:
        state.expected.rate_limited("login")
        return None
    return response.status_code, json_of(response).get("token")


async def submit_totp_code(state: State, token: str, code: str, address: str) -> None:
    response = await state.http.send(
        "POST",
        "/login/totp",
        expect=(204, 401),
        affected=_TOTP_METRICS,
        address=address,
        token=token,
        body={"code": code},
    )
    success = response.status_code == 204
    state.expected.second_factor(success=success)
    if success:
        state.expected.session(+1)


async def _log_out(state: State, token: str, address: str) -> None:
    await state.http.send(
        "POST",
        "/logout",
        expect=(204,),
        affected=(metrics.TRUST_SESSION_ACTIVE,),
        address=address,
        token=token,
    )
    state.expected.session(-1)


def _account_with(state: State, operation: Operation, *, totp: bool) -> Account:
    candidates = [
        account for accounts in state.accounts.values() for account in accounts if account.person.totp is totp
    ]
    return candidates[operation.pick % len(candidates)]


async def _log_in_and_out(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=False)
    token = await log_in(state, account, account.person.address(operation.pick))
    if token is not None:
        await _log_out(state, token, account.person.address(operation.pick))


async def _log_in_and_out_with_totp(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=True)
    token = await log_in(state, account, account.person.address(operation.pick))
    if token is not None:
        await _log_out(state, token, account.person.address(operation.pick))


async def _stay_logged_in(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=False)
    await log_in(state, account, account.person.address(operation.pick))


async def _log_in_too_often(state: State, operation: Operation) -> None:
    """Few requests over the rate limit, too few for an alert."""
    account = _account_with(state, operation, totp=False)
    address = account.person.address(operation.pick)
    for _ in range(_REPEATED_LOGINS):
        token = await log_in(state, account, address)
        if token is not None:
            await _log_out(state, token, address)


async def _submit_wrong_totp_code(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=True)
    token = await submit_password(state, account, account.password, account.person.address(operation.pick))
    if token is not None and account.totp_secret is not None:
        await submit_totp_code(
            state, token, totp.wrong_code(account.totp_secret), account.person.address(operation.pick)
        )


async def _submit_wrong_password(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=False)
    await submit_password(state, account, "not the password", account.person.address(operation.pick))


async def _try_unknown_name(state: State, operation: Operation) -> None:
    name = f"nobody-{operation.pick}"
    if await _post_login(state, name, "not the password", operation.address) is not None:
        state.expected.authentication("password", success=False, country=country_of(operation.address))


async def _exceed_rate_limit(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=False)
    for attempt in range(_BURST):
        await submit_password(state, account, f"guess {attempt}", RATE_LIMITED_ADDRESS)


async def _log_in_from_blocked_address(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=False)
    await submit_password(state, account, account.password, BLOCKED_ADDRESS)


async def request_from_listed_address(state: State) -> None:
    """A harmless request from an address on a threat feed."""
    await state.http.send("GET", "/documents/prices", expect=(200,), affected=_LISTED_METRICS, address=LISTED_ADDRESS)
    state.expected.threat(REPUTATION_FEED)


async def _request_from_listed_address(state: State, _operation: Operation) -> None:
    await request_from_listed_address(state)


async def _get_profile(state: State, operation: Operation) -> None:
    account = state.account("clerk", operation)
    await state.http.send("GET", "/me", expect=(200,), address=operation.address, token=account.token)


async def _request_without_token(state: State, operation: Operation) -> None:
    await state.http.send(
        "GET", "/me", expect=(401,), affected=(metrics.TRUST_AUTH_ATTEMPTS,), address=operation.address
    )
    # Recorded by trust-otel from the response, not by the service.
    state.expected.authentication("none", success=False, country=country_of(operation.address))


async def _request_with_invented_token(state: State, operation: Operation) -> None:
    token = secrets.token_urlsafe()
    await _request_with_rejected_token(state, token, operation.address)


async def _replay_token(state: State, operation: Operation) -> None:
    account = _account_with(state, operation, totp=False)
    address = account.person.address(operation.pick)
    token = await log_in(state, account, address)
    if token is None:
        return
    await _log_out(state, token, address)
    await _request_with_rejected_token(state, token, address)
    state.expected.incident("session_replay", "warning")


async def _request_with_rejected_token(state: State, token: str, address: str) -> None:
    await state.http.send("GET", "/me", expect=(401,), affected=_TOKEN_METRICS, address=address, token=token)
    state.expected.authentication("token", success=False, country=country_of(address))


OPERATION_TYPES = {
    "login": OperationType(4, _log_in_and_out),
    "login.totp": OperationType(2, _log_in_and_out_with_totp),
    "login.stay": OperationType(0.5, _stay_logged_in),
    # At 20 operations per second, far fewer than 50 rejected requests in 5 minutes.
    "login.too_often": OperationType(0.05, _log_in_too_often),
    # At 20 operations per second, an account refuses fewer than 5 codes in 10 minutes, and an address has fewer than 50
    # failed logins in an hour.
    "login.wrong_code": OperationType(0.02, _submit_wrong_totp_code),
    "login.wrong_password": OperationType(0.5, _submit_wrong_password),
    "login.unknown_name": OperationType(0.5, _try_unknown_name),
    "login.burst": OperationType(0.2, _exceed_rate_limit, may_alert=True),
    "login.blocked": OperationType(0.2, _log_in_from_blocked_address, may_alert=True),
    "prices.listed": OperationType(0.2, _request_from_listed_address, may_alert=True),
    "profile": OperationType(4, _get_profile),
    "profile.anonymous": OperationType(0.5, _request_without_token),
    "profile.invented_token": OperationType(0.3, _request_with_invented_token, may_alert=True),
    "profile.replayed_token": OperationType(0.2, _replay_token, may_alert=True),
}
