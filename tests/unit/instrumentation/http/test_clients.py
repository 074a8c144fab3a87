"""Requests of FastAPI count for the client that the service names."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException

from trust_otel.instrumentation.http import HttpInstrumentor
from trust_otel.metrics.sla import read_slas

CLIENT = "trust.client.name"
SLA = """
[sla.answers]
metric = "http.server.request.duration"
failed = { "http.response.status_code" = "5*" }
objective = 0.99
"""


@pytest.fixture
def listed(record: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    recording = record(client_names=frozenset({"acme"}))
    (tmp_path / "sla.toml").write_text(SLA, encoding="utf-8")
    recording.recorder.business.set_slas(read_slas(tmp_path / "sla.toml"))
    HttpInstrumentor().instrument(metrics=recording.metrics)
    yield recording
    HttpInstrumentor().uninstrument()
    assert recording.dropped() == {}


def _application(metrics: Any) -> FastAPI:
    application = FastAPI()

    def authenticated() -> None:
        metrics.set_client("acme")

    async def authenticated_asynchronously() -> None:
        metrics.set_client("acme")

    @application.get("/sync/{status}", dependencies=[Depends(authenticated)])
    def sync(status: int) -> None:
        _answer(status)

    @application.get("/async/{status}", dependencies=[Depends(authenticated_asynchronously)])
    async def asynchronous(status: int) -> None:
        _answer(status)

    @application.get("/documents", dependencies=[Depends(authenticated)])
    async def documents() -> None:
        def process() -> None:
            with metrics.document_processing("passport"):
                pass

        await asyncio.to_thread(process)

    return application


def _answer(status: int) -> None:
    if status == 500:
        raise KeyError(status)
    if status != 200:
        raise HTTPException(status)


@pytest.mark.parametrize("handler", ["sync", "async"])
@pytest.mark.parametrize(("status", "outcome"), [(200, "success"), (403, "failure"), (503, "error"), (500, "error")])
async def test_request_counts_for_its_client(
    listed: Any, client: Callable[[Any], Any], handler: str, status: int, outcome: str
) -> None:
    async with client(_application(listed.metrics)) as session:
        await session.get(f"/{handler}/{status}")
    assert listed.labels("trust.client.requests") == [{CLIENT: "acme", "trust.outcome": outcome}]
    events = {"trust.outcome": "failure" if outcome == "error" else "success", CLIENT: "acme"}
    assert listed.value("trust.sla.events", events) == listed.value("trust.sla.events") == 1


async def test_document_that_a_thread_processes_has_the_client(listed: Any, client: Callable[[Any], Any]) -> None:
    async with client(_application(listed.metrics)) as session:
        await session.get("/documents")
    ((labels, _),) = listed.series("trust.document.processing.duration")
    assert labels[CLIENT] == "acme"
