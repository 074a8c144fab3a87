"""The applications that record events.

A copy of this file is in the working directory of a server, so it must not import other modules of this repository.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI

from trust_otel import get_metrics


def record() -> None:
    """One event, in a counter and in a histogram."""
    metrics = get_metrics()
    metrics.record_audit_event("read")
    with metrics.certificate_operation("validation"):
        pass


def create() -> FastAPI:
    """An application that records an event in each request."""
    application = FastAPI()

    @application.get("/items/{item}")
    async def read_item(item: int) -> int:  # noqa: ARG001 - of the route
        record()
        return os.getpid()

    return application


app = create()


def wsgi(_environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """The same without a framework."""
    record()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [str(os.getpid()).encode()]
