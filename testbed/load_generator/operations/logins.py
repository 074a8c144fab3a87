"""People who log in, or try to."""

from __future__ import annotations

import secrets

from testbed.load_generator import totp
from testbed.load_generator.operations.act import Act
from testbed.load_generator.population import (
    BLOCKED_ADDRESS,
    IMPATIENT_ADDRESS,
    LISTED_ADDRESS,
    REPUTATION_FEED,
    country_of,
)
from testbed.load_generator.state import Account, Operation, World
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


async def log_in(world: World, account: Account, address: str) -> str | None:
    """Log in with everything that the account needs; None when the service refuses."""
    token = await give_password(world, account, account.password, address)
    if token is not None and account.totp_secret is not None:
        await give_code(world, token, totp.code(account.totp_secret), address)
    return token


async def give_password(world: World, account: Account, password: str, address: str) -> str | None:
    """Token of the session, which may wait for a code; None when the service refuses."""
    person = account.person
    answer = await _ask_to_log_in(world, person.name, password, address)
    if answer is None:
        return None
    status, token = answer
    world.truth.authentication("password", success=status == 200, country=country_of(address))
    if status == 200 and account.totp_secret is None:
        world.truth.session(+1)
    return token


async def _ask_to_log_in(world: World, name: str, password: str, address: str) -> tuple[int, str | None] | None:
    """Status and token; None when the service did not look at the password."""
    answer = await world.web.send(
        "POST",
        "/login",
        expect=(200, 401, 403, 429),
        touches=_LOGIN,
        address=address,
        body={"name": name, "password": password},
    )
    if answer.status_code == 403:
        world.truth.threat("blocklist")
        world.truth.incident("blocked_address", "info")
        return None
    if answer.status_code == 429:
        world.truth.rate_limited("login")
        return None
    return answer.status_code, json_of(answer).get("token")


async def give_code(world: World, token: str, code: str, address: str) -> None:
    answer = await world.web.send(
        "POST",
        "/login/totp",
        expect=(204, 401),
        touches=_SECOND_FACTOR,
        address=address,
        token=token,
        body={"code": code},
    )
    success = answer.status_code == 204
    world.truth.second_factor(success=success)
    if success:
        world.truth.session(+1)


async def _log_out(world: World, token: str, address: str) -> None:
    await world.web.send(
        "POST",
        "/logout",
        expect=(204,),
        touches=(metrics.TRUST_SESSION_ACTIVE,),
        address=address,
        token=token,
    )
    world.truth.session(-1)


def _someone(world: World, operation: Operation, *, totp: bool) -> Account:
    candidates = [
        account for accounts in world.accounts.values() for account in accounts if account.person.totp is totp
    ]
    return candidates[operation.pick % len(candidates)]


async def _come_and_go(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=False)
    token = await log_in(world, account, account.person.address(operation.pick))
    if token is not None:
        await _log_out(world, token, account.person.address(operation.pick))


async def _come_and_go_with_code(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=True)
    token = await log_in(world, account, account.person.address(operation.pick))
    if token is not None:
        await _log_out(world, token, account.person.address(operation.pick))


async def _come_and_stay(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=False)
    await log_in(world, account, account.person.address(operation.pick))


async def _mistype_code(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=True)
    token = await give_password(world, account, account.password, account.person.address(operation.pick))
    if token is not None and account.totp_secret is not None:
        await give_code(world, token, totp.wrong_code(account.totp_secret), account.person.address(operation.pick))


async def _mistype_password(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=False)
    await give_password(world, account, "not the password", account.person.address(operation.pick))


async def _try_name(world: World, operation: Operation) -> None:
    name = f"nobody-{operation.pick}"
    if await _ask_to_log_in(world, name, "not the password", operation.address) is not None:
        world.truth.authentication("password", success=False, country=country_of(operation.address))


async def _try_often(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=False)
    for attempt in range(_BURST):
        await give_password(world, account, f"guess {attempt}", IMPATIENT_ADDRESS)


async def _come_from_blocked_address(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=False)
    await give_password(world, account, account.password, BLOCKED_ADDRESS)


async def visit_from_listed_address(world: World) -> None:
    """Ask for something harmless, from an address of ill repute."""
    await world.web.send("GET", "/documents/prices", expect=(200,), touches=_LISTED, address=LISTED_ADDRESS)
    world.truth.threat(REPUTATION_FEED)


async def _come_from_listed_address(world: World, _operation: Operation) -> None:
    await visit_from_listed_address(world)


async def _look_at_profile(world: World, operation: Operation) -> None:
    account = world.account("clerk", operation)
    await world.web.send("GET", "/me", expect=(200,), address=operation.address, token=account.token)


async def _forget_to_log_in(world: World, operation: Operation) -> None:
    await world.web.send("GET", "/me", expect=(401,), touches=(metrics.TRUST_AUTH_ATTEMPTS,), address=operation.address)
    # Nobody says so but trust-otel, which sees the answer.
    world.truth.authentication("none", success=False, country=country_of(operation.address))


async def _invent_token(world: World, operation: Operation) -> None:
    token = secrets.token_urlsafe()
    await _show_token(world, token, operation.address)


async def _replay_token(world: World, operation: Operation) -> None:
    account = _someone(world, operation, totp=False)
    address = account.person.address(operation.pick)
    token = await log_in(world, account, address)
    if token is None:
        return
    await _log_out(world, token, address)
    await _show_token(world, token, address)
    world.truth.incident("session_replay", "warning")


async def _show_token(world: World, token: str, address: str) -> None:
    await world.web.send("GET", "/me", expect=(401,), touches=_TOKEN, address=address, token=token)
    world.truth.authentication("token", success=False, country=country_of(address))


ACTS = {
    "login": Act(4, _come_and_go),
    "login.totp": Act(2, _come_and_go_with_code),
    "login.stay": Act(0.5, _come_and_stay),
    "login.wrong_code": Act(0.5, _mistype_code),
    "login.wrong_password": Act(2, _mistype_password),
    "login.unknown_name": Act(0.5, _try_name),
    "login.burst": Act(0.2, _try_often, alarming=True),
    "login.blocked": Act(0.2, _come_from_blocked_address, alarming=True),
    "prices.listed": Act(0.2, _come_from_listed_address, alarming=True),
    "profile": Act(4, _look_at_profile),
    "profile.anonymous": Act(0.5, _forget_to_log_in),
    "profile.invented_token": Act(0.3, _invent_token, alarming=True),
    "profile.replayed_token": Act(0.2, _replay_token, alarming=True),
}
