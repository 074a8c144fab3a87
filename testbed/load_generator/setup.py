"""Setup before the traffic: accounts, logins, initial certificates and documents."""

from __future__ import annotations

import asyncio
import secrets
import time

import httpx

from testbed.load_generator import population
from testbed.load_generator.errors import LoadGeneratorError, NoResponseError, UnexpectedResponseError
from testbed.load_generator.http_client import json_of
from testbed.load_generator.operations import certificates, documents, logins, revocations, signatures
from testbed.load_generator.population import (
    ADDRESSES,
    ADMINISTRATOR,
    BLOCKED_ADDRESS,
    CERTIFICATE_TYPES,
    Machine,
    Person,
)
from testbed.load_generator.state import Account, MachineAccount, Operation, State
from trust_otel.semconv import metrics

_ADMIN_METRICS = (metrics.TRUST_AUTH_ATTEMPTS, metrics.TRUST_AUDIT_EVENTS)
# More of each type than the longest stream or list needs.
_INITIAL_CERTIFICATES = 8


async def set_up(state: State, admin_token: str) -> None:
    try:
        await _create_callers(state, admin_token)
        await _log_in_all(state)
        await _issue_initial_certificates(state)
        state.authority = await certificates.fetch_authority(state, ADMINISTRATOR)
    except (NoResponseError, UnexpectedResponseError) as error:
        raise LoadGeneratorError(f"setup of the service failed: {error}") from error


async def _create_callers(state: State, admin_token: str) -> None:
    for person in population.people():
        account = await create_account(state, admin_token, person)
        state.accounts.setdefault(person.role, []).append(account)
    for machine in population.machines():
        created = await _create_machine(state, admin_token, machine)
        state.machine_accounts[machine.role] = created
    await _put(state, admin_token, "/admin/blocklist/{address}", BLOCKED_ADDRESS, None)
    state.expected.audit("address.block", success=True)


async def create_account(state: State, admin_token: str, person: Person) -> Account:
    """Create an account with a random password."""
    password = secrets.token_urlsafe()
    wanted = {
        "password": password,
        "role": person.role,
        "country": person.country,
        "client": person.client,
        "totp": person.totp,
    }
    response = await _put(state, admin_token, "/admin/accounts/{name}", person.name, wanted)
    state.expected.audit("account.put", success=True)
    return Account(person, password, json_of(response)["totp_secret"])


async def _create_machine(state: State, admin_token: str, machine: Machine) -> MachineAccount:
    wanted = {"role": machine.role, "country": machine.country}
    response = await _put(state, admin_token, "/admin/machines/{name}", machine.name, wanted)
    state.expected.audit("machine.put", success=True)
    return MachineAccount(machine, json_of(response)["token"])


async def _put(state: State, admin_token: str, route: str, name: str, body: object) -> httpx.Response:
    folder, _, _ = route.partition("{")
    response = await state.http.send(
        "PUT",
        route,
        expect=(201, 204),
        affected=_ADMIN_METRICS,
        path=folder + name,
        address=ADMINISTRATOR,
        token=admin_token,
        body=body,
    )
    state.expected.authentication("token", success=True, country=population.country_of(ADMINISTRATOR))
    return response


async def _log_in_all(state: State) -> None:
    accounts = [account for accounts in state.accounts.values() for account in accounts]
    for number, account in enumerate(accounts):
        token = await logins.log_in(state, account, account.person.address(number))
        if token is None:
            raise LoadGeneratorError(f"the service rejected the login of {account.person.name}")
        account.token = token


async def _issue_initial_certificates(state: State) -> None:
    """Issue valid, revoked and short-lived certificates of every type."""
    for number in range(_INITIAL_CERTIFICATES):
        for certificate_type in CERTIFICATE_TYPES:
            issued = await certificates.issue(state, _setup_operation(number), certificate_type)
            if issued is not None:
                state.good.append(issued)
    for certificate_type in CERTIFICATE_TYPES:
        issued = await certificates.issue(state, _setup_operation(0), certificate_type)
        if issued is not None:
            await revocations.revoke(state, _setup_operation(0), issued)
        short_lived = await certificates.issue(state, _setup_operation(0), certificate_type, validity_seconds=1)
        if short_lived is not None:
            state.expired.append(short_lived)
    expired_at = time.monotonic() + 2
    for number in range(_INITIAL_CERTIFICATES):
        await documents.submit(state, _setup_operation(number))
        await signatures.sign(state, _setup_operation(number))
    await asyncio.sleep(max(0, expired_at - time.monotonic()))


def _setup_operation(number: int) -> Operation:
    """An operation without random values."""
    return Operation(
        kind="set up",
        pick=number,
        document_type=population.DOCUMENT_TYPES[number % len(population.DOCUMENT_TYPES)],
        country=population.COUNTRIES[number % len(population.COUNTRIES)],
        certificate_type=CERTIFICATE_TYPES[0],
        address=ADDRESSES[number],
        score=5,
        size=1,
    )
