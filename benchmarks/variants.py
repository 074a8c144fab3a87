"""The compared instrumentations: each instruments one FastAPI application, without export."""

from __future__ import annotations

import os
from collections.abc import Callable

import fastapi
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader


def _application(routes: int) -> fastapi.FastAPI:
    # Looked up at call time, because one of the variants replaces the class.
    app = fastapi.FastAPI(openapi_url=None)

    def handler_of(number: int) -> Callable[[int], object]:
        async def handler(item: int) -> dict[str, int]:
            return {"item": item}

        handler.__name__ = f"handler_{number}"
        return handler

    for number in range(routes):
        app.get(f"/path-{number}/{{item}}")(handler_of(number))
    return app


def _with_provider() -> None:
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


def bare(routes: int) -> fastapi.FastAPI:
    """FastAPI without metrics."""
    return _application(routes)


def trust_otel(routes: int) -> fastapi.FastAPI:
    """HTTP metrics of trust-otel, with the views of its configurator."""
    from trust_otel import settings
    from trust_otel.configurator import make_views
    from trust_otel.instrumentation.http import HttpInstrumentor
    from trust_otel.semconv.metrics import ALL

    metrics.set_meter_provider(
        MeterProvider([InMemoryMetricReader()], views=make_views(ALL.values(), settings.current().limits))
    )
    HttpInstrumentor().instrument()
    return _application(routes)


def fastapi_native(routes: int) -> fastapi.FastAPI:
    """FastAPI's own metrics (no body sizes)."""
    _with_provider()
    return _application(routes)


def opentelemetry_contrib(routes: int) -> fastapi.FastAPI:
    """opentelemetry-instrumentation-fastapi with stable names, as loaded by opentelemetry-distro."""
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    _with_provider()
    FastAPIInstrumentor().instrument()
    return _application(routes)


def prometheus_fastapi_instrumentator(routes: int) -> fastapi.FastAPI:
    """prometheus-fastapi-instrumentator with its defaults."""
    from prometheus_fastapi_instrumentator import Instrumentator

    app = _application(routes)
    Instrumentator().instrument(app)
    return app


VARIANTS: dict[str, Callable[[int], fastapi.FastAPI]] = {
    "bare": bare,
    "trust-otel": trust_otel,
    "fastapi-native": fastapi_native,
    "opentelemetry-contrib": opentelemetry_contrib,
    "prometheus-fastapi-instrumentator": prometheus_fastapi_instrumentator,
}
