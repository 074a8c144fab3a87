"""All attacks that trust-otel detects, at once, and requests from an address on a threat feed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count

from testbed.load_generator import totp
from testbed.load_generator.errors import LoadGeneratorError, NoResponseError, UnexpectedResponseError
from testbed.load_generator.operations import logins
from testbed.load_generator.population import CLIENT_NAMES, Person
from testbed.load_generator.scenarios.scenario import Scenario, Target
from testbed.load_generator.setup import create_account
from testbed.load_generator.state import Account, State

STUFFING_ADDRESS = "203.0.113.20"
SCANNING_ADDRESS = "203.0.113.21"
GUESSING_ADDRESS = "203.0.113.22"
FAR_AWAY_ADDRESS = "198.18.0.9"


async def _attack(target: Target, seconds: float) -> None:
    state, until = target.state, time.monotonic() + seconds
    # Separate accounts, so that the logins of the normal traffic do not fail.
    victims = await _victims(target)
    await asyncio.gather(
        _repeat(until, 0.5, lambda step: _guess(state, _unknown_account(f"stolen-{step}"), STUFFING_ADDRESS)),
        _repeat(until, 0.5, lambda step: _guess(state, victims["sprayed"], _spraying_address(step))),
        _repeat(until, 1.5, lambda _: _guess(state, victims["guessed"], GUESSING_ADDRESS)),
        _repeat(until, 0.1, lambda step: _scan(state, step)),
        _repeat(until, 1, lambda _: _repeat_wrong_totp_code(state, victims["tired"])),
        _repeat(until, 15, lambda _: _log_in_from_two_countries(state, victims["travelling"])),
        _repeat(until, 5, lambda _: logins.request_from_listed_address(state)),
    )


async def _victims(target: Target) -> dict[str, Account]:
    wanted = {"sprayed": False, "guessed": False, "tired": True, "travelling": False}
    return {
        role: await create_account(target.state, target.admin_token, _person(role, totp=has_code))
        for role, has_code in wanted.items()
    }


def _person(role: str, *, totp: bool) -> Person:
    return Person(f"victim-{role}", "clerk", "DE", CLIENT_NAMES[0], totp)


def _unknown_account(name: str) -> Account:
    return Account(Person(name, "clerk", "DE", CLIENT_NAMES[0], totp=False), "", None)


async def _repeat(until: float, pause: float, attempt: Callable[[int], Awaitable[None]]) -> None:
    for step in count():
        if time.monotonic() >= until:
            return
        try:
            await attempt(step)
        except (NoResponseError, UnexpectedResponseError) as error:
            raise LoadGeneratorError(f"the attack fails: {error}") from error
        await asyncio.sleep(pause)


def _spraying_address(step: int) -> str:
    return f"198.19.{step // 250 % 250}.{step % 250 + 1}"


async def _guess(state: State, account: Account, address: str) -> None:
    await logins.submit_password(state, account, "not the password", address)


async def _scan(state: State, step: int) -> None:
    await state.http.send("GET", "", expect=(404,), path=f"/backup-{step}.zip", address=SCANNING_ADDRESS)


async def _repeat_wrong_totp_code(state: State, account: Account) -> None:
    """MFA fatigue: the password is correct, the TOTP code is wrong each time."""
    address = account.person.address(0)
    token = await logins.submit_password(state, account, account.password, address)
    if token is not None and account.totp_secret is not None:
        await logins.submit_totp_code(state, token, totp.wrong_code(account.totp_secret), address)


async def _log_in_from_two_countries(state: State, account: Account) -> None:
    await logins.submit_password(state, account, account.password, account.person.address(0))
    await logins.submit_password(state, account, account.password, FAR_AWAY_ADDRESS)


ATTACK = Scenario(
    "attack",
    "brute force, credential stuffing, password spraying, path scan, MFA fatigue, impossible travel",
    _attack,
)
