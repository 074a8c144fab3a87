"""Processing of documents, and their prices."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Literal

from trust_otel import get_metrics

from .database import Database
from .tables import Document

metrics = get_metrics()

DocumentType = Literal["passport", "id_card", "residence_permit", "diploma"]
Currency = Literal["EUR", "USD", "CHF"]

SLA = "document_processing"
SLA_OBJECTIVE = 0.99
_SLA_SECONDS = 0.5

# Countries whose register does not respond.
_SILENT_REGISTRIES = frozenset({"IS"})


class RegistryUnavailableError(Exception):
    """The register of the issuing country does not respond."""


class Registers:
    """The registers of the issuing countries."""

    def __init__(self) -> None:
        self.seconds_to_answer = 0.0

    async def ask(self, country: str) -> None:
        await asyncio.sleep(self.seconds_to_answer)
        if country in _SILENT_REGISTRIES:
            raise RegistryUnavailableError(country)


@dataclass(frozen=True)
class Tariff:
    """Price, fee of the issuing country and cost of a document, in hundredths of the currency."""

    price: int
    fee: int
    cost: int


TARIFFS: dict[DocumentType, Tariff] = {
    "passport": Tariff(price=6000, fee=1250, cost=375),
    "id_card": Tariff(price=2850, fee=375, cost=150),
    "residence_permit": Tariff(price=10025, fee=2000, cost=450),
    "diploma": Tariff(price=1250, fee=25, cost=75),
}
_FREE = Tariff(price=0, fee=0, cost=0)


@dataclass(frozen=True)
class Processed:
    document: Document
    sla_met: bool


async def process(
    database: Database,
    registers: Registers,
    *,
    document_type: DocumentType,
    country: str,
    client: str,
    currency: Currency,
    content: str,
) -> Processed:
    """Read a document, compare it with the register of its country, store it and charge for it."""
    began = time.perf_counter()
    met = False
    try:
        with metrics.document_processing(document_type, country=country) as processing:
            digest = _digest(content)
            if digest is None:
                processing.fail("unreadable")
            else:
                await registers.ask(country)
            document = _priced(document_type, country, client, currency, digest)
            async with database.begin() as transaction:
                transaction.add(document)
        met = time.perf_counter() - began < _SLA_SECONDS
    finally:
        metrics.record_sla_event(SLA, met=met)
    if digest is not None:
        _charge(document, refunded=not met)
    return Processed(document, met)


def _digest(content: str) -> str | None:
    """Hash of the content; None if it cannot be read."""
    try:
        decoded = base64.b64decode(content, validate=True)
    except ValueError:
        return None
    return hashlib.sha256(decoded).hexdigest() if decoded else None


def _priced(document_type: DocumentType, country: str, client: str, currency: Currency, digest: str | None) -> Document:
    tariff = _FREE if digest is None else TARIFFS[document_type]
    return Document(
        document_type=document_type,
        country=country,
        client=client,
        digest=digest,
        currency=currency,
        price=tariff.price,
        fee=tariff.fee,
        cost=tariff.cost,
    )


def _charge(document: Document, *, refunded: bool) -> None:
    """Charge for a document; one that takes too long costs nothing."""
    where = {
        "currency": document.currency,
        "country": document.country,
        "client": document.client,
    }
    metrics.record_business_metric("revenue", document.price / 100, where)
    # Also 0: the first refund is then an increase.
    metrics.record_business_metric("refund", document.price / 100 if refunded else 0, where)
    metrics.record_business_metric("fee", document.fee / 100, where)
    metrics.record_business_metric("cost", document.cost / 100, where)
    # KPIs of this service, declared in business_metrics.toml.
    metrics.record_business_metric("documents_charged", 1, {"currency": document.currency, "country": document.country})
    metrics.record_business_metric("latest_price", document.price / 100, {"currency": document.currency})
