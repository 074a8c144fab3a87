"""A library is instrumented when the program imports it, and never imported by trust-otel."""

import re
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

Launched = Callable[..., CompletedProcess[str]]

_LIBRARIES = {
    "anyio",
    "cryptography",
    "fastapi",
    "google",
    "grpc",
    "httpx",
    "maxminddb",
    "pkcs11",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "requests",
    "sqlalchemy",
    "starlette",
    "yaml",
}
"""Libraries that a program may use and trust-otel instruments or uses; `google` is protobuf."""

_PARTS = {
    "opentelemetry.exporter.otlp.proto.grpc",
    "opentelemetry.instrumentation.asgi",
    "opentelemetry.instrumentation.fastapi",
    "opentelemetry.instrumentation.grpc",
    "opentelemetry.instrumentation.sqlalchemy",
    "opentelemetry.sdk._logs",
    "opentelemetry.sdk.trace",
    "trust_otel.monitors.business_metrics_file",
    "trust_otel.monitors.key_policy_file",
    "trust_otel.monitors.sla_file",
    "trust_otel.instrumentation.pkcs11",
    "trust_otel.monitors.certificates",
    "trust_otel.monitors.dependencies",
    "trust_otel.instrumentation.grpc",
    "trust_otel.instrumentation.http",
    "trust_otel.monitors.sources",
    "trust_otel.instrumentation.sqlalchemy",
    "trust_otel.export.prometheus",
    "trust_otel.privacy.redaction",
}
"""Modules of trust-otel and OpenTelemetry that not every program needs."""


def _imported(launched: Launched, program: str, **environment: str) -> set[str]:
    """The imported modules at the exit of a program."""
    done = launched(f"{program}\nimport sys\nprint('MODULES', *sorted(sys.modules))", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    found = re.search("^MODULES (.*)$", done.stdout, re.MULTILINE)
    assert found
    return set(found[1].split())


@pytest.mark.parametrize(
    ("program", "libraries", "parts"),
    [
        ("", set(), set()),
        ("import starlette.routing", {"anyio", "starlette"}, set()),
        ("import starlette.applications", {"anyio", "starlette"}, {"trust_otel.instrumentation.http"}),
        ("import fastapi", {"anyio", "fastapi", "pydantic", "starlette"}, {"trust_otel.instrumentation.http"}),
        ("import grpc", {"grpc"}, {"trust_otel.instrumentation.grpc"}),
        ("import sqlalchemy", {"sqlalchemy"}, {"trust_otel.instrumentation.sqlalchemy"}),
        ("import cryptography.x509", {"cryptography"}, set()),
        ("from trust_otel import get_metrics; get_metrics().record_audit_event('read')", set(), set()),
    ],
)
def test_only_libraries_that_the_program_uses_are_imported(
    launched: Launched, program: str, libraries: set[str], parts: set[str]
) -> None:
    modules = _imported(launched, program, OTEL_METRICS_EXPORTER="none")
    assert modules & _LIBRARIES == libraries
    assert modules & _PARTS == parts


@pytest.mark.parametrize(
    ("environment", "needed", "parts"),
    [
        ({"OTEL_METRICS_EXPORTER": "otlp"}, {"google", "requests"}, {"opentelemetry.sdk.trace"}),
        (
            {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            {"google", "grpc"},
            {
                "opentelemetry.exporter.otlp.proto.grpc",
                "opentelemetry.sdk._logs",
                "opentelemetry.sdk.trace",
                "trust_otel.instrumentation.grpc",
            },
        ),
        ({"OTEL_METRICS_EXPORTER": "console"}, set(), set()),
        (
            {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "0"},
            set(),
            {"trust_otel.export.prometheus"},
        ),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_SDK_DISABLED": "true"}, set(), set()),
    ],
)
def test_only_the_configured_exporter_is_imported(
    launched: Launched, environment: dict[str, str], needed: set[str], parts: set[str]
) -> None:
    # Skip the last export: there is no Collector.
    program = "import os, sys; print('MODULES', *sorted(sys.modules), flush=True); os._exit(0)"
    modules = _imported(launched, program, **environment)
    assert modules & _LIBRARIES == needed
    # The packages of both OTLP exporters import more of the SDK than metrics need.
    assert modules & _PARTS == parts


_SERVE = """
import asyncio

async def call(app, path):
    async def receive():
        return {{"type": "http.request", "body": b""}}
    async def send(message):
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
    scope = {{"type": "http", "method": "GET", "path": path, "root_path": "", "scheme": "http", "query_string": b"",
        "headers": [], "http_version": "1.1", "server": ("test", 80), "client": None}}
    await app(scope, receive, send)

{}
asyncio.run(call(app, "/items/1"))
"""

_STARLETTE = """
from starlette.responses import PlainTextResponse
from starlette.routing import Route
{}
async def read(request):
    return PlainTextResponse("yes")

app = Starlette(routes=[Route("/items/{{item}}", read)])
"""

_FASTAPI = """
{}
app = FastAPI()

@app.get("/items/{{item}}")
async def read(item: int) -> int:
    return item
"""


_IN_THREADS = """
import threading
for _ in range(4):
    threading.Thread(target=__import__, args=("fastapi",)).start()
from fastapi import FastAPI
"""


@pytest.mark.parametrize(
    "application",
    [
        _STARLETTE.format("from starlette.applications import Starlette"),
        _FASTAPI.format("from fastapi import FastAPI"),
        _FASTAPI.format("from fastapi.applications import FastAPI"),
        _FASTAPI.format("import fastapi.routing\nfrom fastapi import FastAPI"),
        _FASTAPI.format("import starlette.applications\nfrom fastapi import FastAPI"),
        _FASTAPI.format(_IN_THREADS),
    ],
)
def test_requests_are_measured_once_however_the_library_is_imported(launched: Launched, application: str) -> None:
    done = launched(_SERVE.format(application), OTEL_METRICS_EXPORTER="console")
    assert (done.returncode, done.stderr) == (0, "")
    (measured,) = re.findall(r'"http.route": "/items/{item}".{0,900}?"count": (\d+)', done.stdout, re.DOTALL)[-1:]
    assert measured == "1"
    assert done.stdout.count('"name": "http.server.request.duration"') == 1


def test_failing_instrumentor_does_not_break_the_import(launched: Launched) -> None:
    program = """
import sys
from types import ModuleType

broken = ModuleType("trust_otel.instrumentation.sqlalchemy")
sys.modules["trust_otel.instrumentation.sqlalchemy"] = broken
import sqlalchemy
print(sqlalchemy.select(1))
"""
    done = launched(program, OTEL_METRICS_EXPORTER="none")
    assert (done.returncode, done.stdout.strip()) == (0, "SELECT 1")
    assert "sqlalchemy is not measured" in done.stderr
