"""People who log in, or try to."""

from __future__ import annotations

import secrets

import pyotp

from testbed.load_generator import totp
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.population import (
    BLOCKED_ADDRESS,
    IMPATIENT_ADDRESS,
    LISTED_ADDRESS,
    REPUTATION_FEED,
    country_of,
)
from testbed.load_generator.state import Account, Operation, State
from testbed.load_generator.web import json_of
from trust_otel.semconv import metrics

# More than the ten that the service lets through at once.
_BURST = 15

_LOGIN = (
    metrics.TRUST_AUTH_ATTEMPTS,
    metrics.TRUST_SESSION_ACTIVE,
    metrics.TRUST_SECURITY_RATE_LIMITED,
    metrics.TRUST_SECURITY_THREAT_MATCHES,
    metrics.TRUST_SECURITY_INCIDENTS,
)
_SECOND_FACTOR = (metrics.TRUST_AUTH_MFA_CHALLENGES, metrics.TRUST_SESSION_ACTIVE)
_LISTED = (metrics.TRUST_SECURITY_THREAT_MATCHES,)
_TOKEN = (metrics.TRUST_AUTH_ATTEMPTS, metrics.TRUST_SECURITY_INCIDENTS)


async def log_in(state: State, account: Account, address: str) -> str | None:
    """Log in with everything that the account needs; None when the service refuses."""
    token = await give_password(state, account, account.password, address)
    if token is not None and account.totp_secret is not None:
        await give_code(state, token, pyotp.TOTP(account.totp_secret).now(), address)
    return token


async def give_password(state: State, account: Account, password: str, address: str) -> str | None:
    """Token of the session, which may wait for a code; None when the service refuses."""
    person = account.person
    answer = await _ask_to_log_in(state, person.name, password, address)
    if answer is None:
        return None
    status, token = answer
    state.expected.authentication("password", success=status == 200, country=country_of(address))
    if status == 200 and account.totp_secret is None:
        state.expected.session(+1)
    return token


async def _ask_to_log_in(state: State, name: str, password: str, address: str) -> tuple[int, str | None] | None:
    """Status and token; None when the service did not look at the password."""
    answer = await state.web.send(
        "POST",
        "/login",
        expect=(200, 401, 403, 429),
        touches=_LOGIN,
        address=address,
        body={"name": name, "password": password},
    )
    if answer.status_code == 403:
        state.expected.threat("blocklist")
        state.expected.incident("blocked_address", "info")
        return None
    if answer.status_code == 429:
        state.expected.rate_limited("login")
        return None
    return answer.status_code, json_of(answer).get("token")


async def give_code(state: State, token: str, code: str, address: str) -> None:
    answer = await state.web.send(
        "POST",
        "/login/totp",
        expect=(204, 401),
        touches=_SECOND_FACTOR,
        address=address,
        token=token,
        body={"code": code},
    )
    success = answer.status_code == 204
    state.expected.second_factor(success=success)
    if success:
        state.expected.session(+1)


async def _log_out(state: State, token: str, address: str) -> None:
    await state.web.send(
        "POST",
        "/logout",
        expect=(204,),
        touches=(metrics.TRUST_SESSION_ACTIVE,),
        address=address,
        token=token,
    )
    state.expected.session(-1)


def _someone(state: State, operation: Operation, *, totp: bool) -> Account:
    candidates = [
        account for accounts in state.accounts.values() for account in accounts if account.person.totp is totp
    ]
    return candidates[operation.pick % len(candidates)]


async def _come_and_go(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=False)
    token = await log_in(state, account, account.person.address(operation.pick))
    if token is not None:
        await _log_out(state, token, account.person.address(operation.pick))


async def _come_and_go_with_code(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=True)
    token = await log_in(state, account, account.person.address(operation.pick))
    if token is not None:
        await _log_out(state, token, account.person.address(operation.pick))


async def _come_and_stay(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=False)
    await log_in(state, account, account.person.address(operation.pick))


async def _mistype_code(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=True)
    token = await give_password(state, account, account.password, account.person.address(operation.pick))
    if token is not None and account.totp_secret is not None:
        await give_code(state, token, totp.wrong_code(account.totp_secret), account.person.address(operation.pick))


async def _mistype_password(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=False)
    await give_password(state, account, "not the password", account.person.address(operation.pick))


async def _try_name(state: State, operation: Operation) -> None:
    name = f"nobody-{operation.pick}"
    if await _ask_to_log_in(state, name, "not the password", operation.address) is not None:
        state.expected.authentication("password", success=False, country=country_of(operation.address))


async def _try_often(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=False)
    for attempt in range(_BURST):
        await give_password(state, account, f"guess {attempt}", IMPATIENT_ADDRESS)


async def _come_from_blocked_address(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=False)
    await give_password(state, account, account.password, BLOCKED_ADDRESS)


async def visit_from_listed_address(state: State) -> None:
    """Ask for something harmless, from an address of ill repute."""
    await state.web.send("GET", "/documents/prices", expect=(200,), touches=_LISTED, address=LISTED_ADDRESS)
    state.expected.threat(REPUTATION_FEED)


async def _come_from_listed_address(state: State, _operation: Operation) -> None:
    await visit_from_listed_address(state)


async def _look_at_profile(state: State, operation: Operation) -> None:
    account = state.account("clerk", operation)
    await state.web.send("GET", "/me", expect=(200,), address=operation.address, token=account.token)


async def _forget_to_log_in(state: State, operation: Operation) -> None:
    await state.web.send("GET", "/me", expect=(401,), touches=(metrics.TRUST_AUTH_ATTEMPTS,), address=operation.address)
    # Nobody says so but trust-otel, which sees the answer.
    state.expected.authentication("none", success=False, country=country_of(operation.address))


async def _invent_token(state: State, operation: Operation) -> None:
    token = secrets.token_urlsafe()
    await _show_token(state, token, operation.address)


async def _replay_token(state: State, operation: Operation) -> None:
    account = _someone(state, operation, totp=False)
    address = account.person.address(operation.pick)
    token = await log_in(state, account, address)
    if token is None:
        return
    await _log_out(state, token, address)
    await _show_token(state, token, address)
    state.expected.incident("session_replay", "warning")


async def _show_token(state: State, token: str, address: str) -> None:
    await state.web.send("GET", "/me", expect=(401,), touches=_TOKEN, address=address, token=token)
    state.expected.authentication("token", success=False, country=country_of(address))


OPERATION_TYPES = {
    "login": OperationType(4, _come_and_go),
    "login.totp": OperationType(2, _come_and_go_with_code),
    "login.stay": OperationType(0.5, _come_and_stay),
    "login.wrong_code": OperationType(0.5, _mistype_code),
    "login.wrong_password": OperationType(2, _mistype_password),
    "login.unknown_name": OperationType(0.5, _try_name),
    "login.burst": OperationType(0.2, _try_often, alarming=True),
    "login.blocked": OperationType(0.2, _come_from_blocked_address, alarming=True),
    "prices.listed": OperationType(0.2, _come_from_listed_address, alarming=True),
    "profile": OperationType(4, _look_at_profile),
    "profile.anonymous": OperationType(0.5, _forget_to_log_in),
    "profile.invented_token": OperationType(0.3, _invent_token, alarming=True),
    "profile.replayed_token": OperationType(0.2, _replay_token, alarming=True),
}
