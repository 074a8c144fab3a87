from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path
from pydantic import BaseModel, Field

from trust_otel import get_metrics

from ..documents import (
    TARIFFS,
    Currency,
    DocumentType,
    RegistryUnavailableError,
    process,
)
from ..tables import Account, Document
from .dependencies import CurrentService, allowed_to

metrics = get_metrics()

router = APIRouter(prefix="/documents", tags=["documents"])

DocumentId = Annotated[int, Path(ge=0, lt=2**31)]
Clerk = Annotated[Account, Depends(allowed_to("document"))]


class Submission(BaseModel):
    document_type: DocumentType
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    currency: Currency
    content: Annotated[str, Field(max_length=100_000, description="Base64")]


class Receipt(BaseModel):
    id: int
    document_type: str
    country: str
    client: str
    readable: bool
    currency: str
    price: float
    fee: float
    cost: float


class Submitted(Receipt):
    sla_met: bool


class Feedback(BaseModel):
    score: Annotated[int, Field(ge=1, le=5)]


class Price(BaseModel):
    document_type: DocumentType
    price: float
    fee: float


@router.post("", status_code=201)
async def submit_document(submission: Submission, service: CurrentService, account: Clerk) -> Submitted:
    try:
        processed = await process(service.database, service.registers, client=account.client, **submission.model_dump())
    except RegistryUnavailableError:
        raise HTTPException(503, "the register of the country does not answer") from None
    receipt = _receipt(processed.document)
    return Submitted(**receipt.model_dump(), sla_met=processed.sla_met)


@router.get("/prices")
def show_prices() -> list[Price]:
    return [
        Price(document_type=document_type, price=tariff.price / 100, fee=tariff.fee / 100)
        for document_type, tariff in TARIFFS.items()
    ]


@router.get("/{document_id}")
async def show_document(document_id: DocumentId, service: CurrentService, _account: Clerk) -> Receipt:
    async with service.database.begin() as transaction:
        document = await transaction.get(Document, document_id)
    if document is None:
        raise HTTPException(404, "no such document")
    return _receipt(document)


@router.post("/{document_id}/feedback", status_code=204)
async def rate_document(document_id: DocumentId, feedback: Feedback, service: CurrentService) -> None:
    async with service.database.begin() as transaction:
        document = await transaction.get(Document, document_id)
    if document is None:
        raise HTTPException(404, "no such document")
    metrics.record_business_metric("customer_satisfaction", feedback.score)


def _receipt(document: Document) -> Receipt:
    return Receipt(
        id=document.id,
        document_type=document.document_type,
        country=document.country,
        client=document.client,
        readable=document.digest is not None,
        currency=document.currency,
        price=document.price / 100,
        fee=document.fee / 100,
        cost=document.cost / 100,
    )
