"""Operations of people who submit documents for processing."""

from __future__ import annotations

import base64
from typing import Any

from testbed.load_generator.http_client import json_of
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.population import CURRENCIES, UNRESPONSIVE_COUNTRY
from testbed.load_generator.state import Account, Operation, State, one_of
from trust_otel.semconv import metrics

_READABLE = base64.b64encode(b"a document" * 50).decode()
_UNREADABLE = "?"

_READ_METRICS = (metrics.TRUST_AUTHZ_DECISIONS,)
_PROCESSING_METRICS = (
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_DOCUMENT_PROCESSING_DURATION,
    metrics.TRUST_SLA_EVENTS,
    metrics.TRUST_REVENUE_AMOUNT,
    metrics.TRUST_REFUND_AMOUNT,
    metrics.TRUST_FEE_AMOUNT,
    metrics.TRUST_COST_AMOUNT,
)


async def submit(state: State, operation: Operation) -> None:
    if not state.business:
        return
    await _submit(state, operation, operation.country, _READABLE)


async def _submit_unreadable(state: State, operation: Operation) -> None:
    await _submit(state, operation, operation.country, _UNREADABLE)


async def _submit_to_unresponsive_country(state: State, operation: Operation) -> None:
    await _submit(state, operation, UNRESPONSIVE_COUNTRY, _READABLE)


async def _submit(state: State, operation: Operation, country: str, content: str) -> None:
    response = await state.http.send(
        "POST",
        "/documents",
        expect=(201, 503),
        affected=_PROCESSING_METRICS,
        address=operation.address,
        token=state.account("clerk", operation).token,
        body=_submission(operation, country, content),
    )
    state.expected.authorization("document", granted=True)
    if response.status_code == 503:
        state.expected.document(operation.document_type, country, "error", sla_met=False)
        return
    receipt = json_of(response)
    outcome = "success" if receipt["readable"] else "failure"
    state.expected.document(operation.document_type, country, outcome, sla_met=receipt["sla_met"])
    if receipt["readable"]:
        _pay(state, receipt)
    state.documents.append(receipt["id"])


def _submission(operation: Operation, country: str, content: str) -> dict[str, str]:
    return {
        "document_type": operation.document_type,
        "country": country,
        "currency": CURRENCIES.get(country, "EUR"),
        "content": content,
    }


def _pay(state: State, receipt: dict[str, Any]) -> None:
    state.expected.money(
        revenue=receipt["price"],
        refund=0 if receipt["sla_met"] else receipt["price"],
        fee=receipt["fee"],
        cost=receipt["cost"],
        currency=receipt["currency"],
        country=receipt["country"],
        client=receipt["client"],
    )


async def _submit_malformed(state: State, operation: Operation) -> None:
    await state.http.send(
        "POST",
        "/documents",
        expect=(422,),
        affected=_PROCESSING_METRICS,
        address=operation.address,
        token=state.account("clerk", operation).token,
        body={"document_type": "shopping list"},
    )
    # The service checks authorization before it validates the body.
    state.expected.authorization("document", granted=True)


async def _submit_without_permission(state: State, operation: Operation) -> None:
    await state.http.send(
        "POST",
        "/documents",
        expect=(403,),
        affected=_PROCESSING_METRICS,
        address=operation.address,
        token=state.account("auditor", operation).token,
        body=_submission(operation, operation.country, _READABLE),
    )
    state.expected.authorization("document", granted=False)


async def _read(state: State, operation: Operation) -> None:
    account = state.account("operator", operation)
    await _show(state, operation, account, one_of(state.documents, operation), 200)


async def _read_missing(state: State, operation: Operation) -> None:
    await _show(state, operation, state.account("operator", operation), 0, 404)


async def _show(state: State, operation: Operation, account: Account, document: int, status: int) -> None:
    await state.http.send(
        "GET",
        "/documents/{document_id}",
        expect=(status,),
        affected=_READ_METRICS,
        path=f"/documents/{document}",
        address=operation.address,
        token=account.token,
    )
    state.expected.authorization("document", granted=True)


async def _rate(state: State, operation: Operation) -> None:
    await state.http.send(
        "POST",
        "/documents/{document_id}/feedback",
        expect=(204,),
        affected=(metrics.TRUST_CUSTOMER_SATISFACTION,),
        path=f"/documents/{one_of(state.documents, operation)}/feedback",
        address=operation.address,
        body={"score": operation.score},
    )
    state.expected.satisfaction(operation.score)


async def _get_prices(state: State, operation: Operation) -> None:
    await state.http.send("GET", "/documents/prices", expect=(200,), address=operation.address)


OPERATION_TYPES = {
    "document.submit": OperationType(20, submit),
    "document.submit.unreadable": OperationType(0.5, _submit_unreadable),
    "document.submit.silent_country": OperationType(0.2, _submit_to_unresponsive_country, may_alert=True),
    "document.submit.malformed": OperationType(0.5, _submit_malformed),
    "document.submit.denied": OperationType(0.5, _submit_without_permission),
    "document.read": OperationType(8, _read),
    "document.read.missing": OperationType(1, _read_missing),
    "document.rate": OperationType(4, _rate),
    "document.prices": OperationType(3, _get_prices),
}
