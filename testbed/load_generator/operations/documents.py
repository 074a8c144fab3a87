"""People who have documents processed."""

from __future__ import annotations

import base64
from typing import Any

from testbed.load_generator.operations.act import Act
from testbed.load_generator.population import CURRENCIES, SILENT_COUNTRY
from testbed.load_generator.state import Account, Operation, World, one_of
from testbed.load_generator.web import json_of
from trust_otel.semconv import metrics

_READABLE = base64.b64encode(b"a document" * 50).decode()
_UNREADABLE = "?"

_READING = (metrics.TRUST_AUTHZ_DECISIONS,)
_PROCESSING = (
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_DOCUMENT_PROCESSING_DURATION,
    metrics.TRUST_SLA_EVENTS,
    metrics.TRUST_REVENUE_AMOUNT,
    metrics.TRUST_FEE_AMOUNT,
    metrics.TRUST_COST_AMOUNT,
)


async def submit(world: World, operation: Operation) -> None:
    if not world.business:
        return
    await _submit(world, operation, operation.country, _READABLE)


async def _submit_unreadable(world: World, operation: Operation) -> None:
    await _submit(world, operation, operation.country, _UNREADABLE)


async def _submit_to_silent_country(world: World, operation: Operation) -> None:
    await _submit(world, operation, SILENT_COUNTRY, _READABLE)


async def _submit(world: World, operation: Operation, country: str, content: str) -> None:
    answer = await world.web.send(
        "POST",
        "/documents",
        expect=(201, 503),
        touches=_PROCESSING,
        address=operation.address,
        token=world.account("clerk", operation).token,
        body=_submission(operation, country, content),
    )
    world.truth.authorization("document", granted=True)
    if answer.status_code == 503:
        world.truth.document(operation.document_type, country, "error", sla_met=False)
        return
    receipt = json_of(answer)
    outcome = "success" if receipt["readable"] else "failure"
    world.truth.document(operation.document_type, country, outcome, sla_met=receipt["sla_met"])
    if receipt["readable"]:
        _pay(world, receipt)
    world.documents.append(receipt["id"])


def _submission(operation: Operation, country: str, content: str) -> dict[str, str]:
    return {
        "document_type": operation.document_type,
        "country": country,
        "currency": CURRENCIES.get(country, "EUR"),
        "content": content,
    }


def _pay(world: World, receipt: dict[str, Any]) -> None:
    world.truth.money(
        revenue=receipt["price"],
        fee=receipt["fee"],
        cost=receipt["cost"],
        currency=receipt["currency"],
        country=receipt["country"],
        client=receipt["client"],
    )


async def _submit_malformed(world: World, operation: Operation) -> None:
    await world.web.send(
        "POST",
        "/documents",
        expect=(422,),
        touches=_PROCESSING,
        address=operation.address,
        token=world.account("clerk", operation).token,
        body={"document_type": "shopping list"},
    )
    # The service asks who it is before it looks at the body.
    world.truth.authorization("document", granted=True)


async def _submit_without_right(world: World, operation: Operation) -> None:
    await world.web.send(
        "POST",
        "/documents",
        expect=(403,),
        touches=_PROCESSING,
        address=operation.address,
        token=world.account("auditor", operation).token,
        body=_submission(operation, operation.country, _READABLE),
    )
    world.truth.authorization("document", granted=False)


async def _read(world: World, operation: Operation) -> None:
    account = world.account("operator", operation)
    await _show(world, operation, account, one_of(world.documents, operation), 200)


async def _read_missing(world: World, operation: Operation) -> None:
    await _show(world, operation, world.account("operator", operation), 0, 404)


async def _show(world: World, operation: Operation, account: Account, document: int, status: int) -> None:
    await world.web.send(
        "GET",
        "/documents/{document_id}",
        expect=(status,),
        touches=_READING,
        path=f"/documents/{document}",
        address=operation.address,
        token=account.token,
    )
    world.truth.authorization("document", granted=True)


async def _rate(world: World, operation: Operation) -> None:
    await world.web.send(
        "POST",
        "/documents/{document_id}/feedback",
        expect=(204,),
        touches=(metrics.TRUST_CUSTOMER_SATISFACTION,),
        path=f"/documents/{one_of(world.documents, operation)}/feedback",
        address=operation.address,
        body={"score": operation.score},
    )
    world.truth.satisfaction(operation.score)


async def _ask_prices(world: World, operation: Operation) -> None:
    await world.web.send("GET", "/documents/prices", expect=(200,), address=operation.address)


ACTS = {
    "document.submit": Act(20, submit),
    "document.submit.unreadable": Act(0.5, _submit_unreadable),
    "document.submit.silent_country": Act(0.2, _submit_to_silent_country, alarming=True),
    "document.submit.malformed": Act(0.5, _submit_malformed),
    "document.submit.denied": Act(0.5, _submit_without_right),
    "document.read": Act(8, _read),
    "document.read.missing": Act(1, _read_missing),
    "document.rate": Act(4, _rate),
    "document.prices": Act(3, _ask_prices),
}
