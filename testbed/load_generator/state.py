"""The state of the load generator: accounts, certificates and documents so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from testbed.load_generator.expected_totals import ExpectedTotals
from testbed.load_generator.http_client import HttpClient
from testbed.load_generator.population import Machine, Person

if TYPE_CHECKING:
    from testbed.load_generator.grpc_client import GrpcClient

_Item = TypeVar("_Item")

_MAX_REMEMBERED = 500


@dataclass(frozen=True)
class Operation:
    """One operation with all its random values.

    Attributes:
        kind: Name of the operation type.
        pick: Random number that selects an account, certificate or document.
        document_type: Document type.
        country: Country of the document.
        certificate_type: Certificate type.
        address: Client address.
        score: Customer satisfaction, 1 to 5.
        size: Number of messages in a stream.
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
    """A person's account and session token."""

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
    """A certificate that the service issued."""

    serial_number: str
    certificate_type: str
    certificate: str


@dataclass(frozen=True)
class Signed:
    """A document that the service signed; content and signature in Base64."""

    content: str
    signature: str
    certificate: str


def _recent() -> deque[_Item]:
    return deque(maxlen=_MAX_REMEMBERED)


@dataclass
class State:
    http: HttpClient
    expected: ExpectedTotals
    grpc: GrpcClient | None = None
    business: bool = True
    """Whether documents are submitted."""
    authority: str = ""
    """Certificates of the service's authority (PEM)."""
    accounts: dict[str, list[Account]] = field(default_factory=dict)
    machine_accounts: dict[str, MachineAccount] = field(default_factory=dict)
    documents: deque[int] = field(default_factory=_recent)
    good: deque[Issued] = field(default_factory=_recent)
    expired: deque[Issued] = field(default_factory=_recent)
    revoked: deque[Issued] = field(default_factory=_recent)
    signed: deque[Signed] = field(default_factory=_recent)

    async def close(self) -> None:
        await self.http.close()
        if self.grpc is not None:
            await self.grpc.close()

    def account(self, role: str, operation: Operation) -> Account:
        return one_of(self.accounts[role], operation)


def one_of(items: Sequence[_Item], operation: Operation) -> _Item:
    return items[operation.pick % len(items)]
