"""The state of the load generator: accounts, and what the service has issued so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from testbed.load_generator.expected_totals import ExpectedTotals
from testbed.load_generator.population import Machine, Person
from testbed.load_generator.web import Web

if TYPE_CHECKING:
    from testbed.load_generator.machines import Machines

_Item = TypeVar("_Item")

_MAX_REMEMBERED = 500


@dataclass(frozen=True)
class Operation:
    """One thing to do, with everything that rng decides about it.

    Attributes:
        kind: What is done.
        pick: Which of several, wherever there is a choice.
        document_type: Type of a document.
        country: Country of a document.
        certificate_type: Type of a certificate.
        address: Address that the caller has.
        score: How satisfied a customer is.
        size: How many messages a stream has.
    """

    kind: str
    pick: int
    document_type: str
    country: str
    certificate_type: str
    address: str
    score: int
    size: int


@dataclass
class Account:
    """A person, with what the service has given to it."""

    person: Person
    password: str
    totp_secret: str | None
    token: str = ""


@dataclass(frozen=True)
class MachineAccount:
    machine: Machine
    token: str


@dataclass(frozen=True)
class Issued:
    """A certificate of the service."""

    serial_number: str
    certificate_type: str
    certificate: str


@dataclass(frozen=True)
class Signed:
    """A document that the service has signed; texts in Base64."""

    content: str
    signature: str
    certificate: str


def _recent() -> deque[_Item]:
    return deque(maxlen=_MAX_REMEMBERED)


@dataclass
class State:
    web: Web
    expected: ExpectedTotals
    machines: Machines | None = None
    business: bool = True
    """Whether anybody hands in documents."""
    accounts: dict[str, list[Account]] = field(default_factory=dict)
    machine_accounts: dict[str, MachineAccount] = field(default_factory=dict)
    documents: deque[int] = field(default_factory=_recent)
    good: deque[Issued] = field(default_factory=_recent)
    expired: deque[Issued] = field(default_factory=_recent)
    revoked: deque[Issued] = field(default_factory=_recent)
    signed: deque[Signed] = field(default_factory=_recent)

    async def close(self) -> None:
        await self.web.close()
        if self.machines is not None:
            await self.machines.close()

    def account(self, role: str, operation: Operation) -> Account:
        return one_of(self.accounts[role], operation)


def one_of(items: Sequence[_Item], operation: Operation) -> _Item:
    return items[operation.pick % len(items)]
