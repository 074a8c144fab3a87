"""Security events of a service reach the Collector's file, with their spans and without other log records."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.running import eventually
from trust_ops.stack import Addresses, Stack

_PROGRAM = """
import logging
from opentelemetry import trace
from trust_otel import get_metrics

logging.getLogger("service").warning("an ordinary line")
metrics = get_metrics()
with trace.get_tracer("service").start_as_current_span("login") as span:
    metrics.record_auth_attempt(method="password", success=False, client_address="203.0.113.7", account="erika")
metrics.record_auth_attempt(method="password", success=True, client_address="203.0.113.8")
metrics.record_audit_event("certificate.issue")
metrics.record_compliance_check(framework="eidas", control="signature_policy", passed=False)
print(f"{span.get_span_context().trace_id:032x}")
"""


def _events(stack: Stack, service: str) -> list[dict[str, Any]]:
    """The log records of a service in the file."""
    file = stack.directory / "events" / "security-events.jsonl"
    if not file.exists():
        return []
    return [
        record
        for line in file.read_text().splitlines()
        for resource in json.loads(line)["resourceLogs"]
        if {"key": "service.name", "value": {"stringValue": service}} in resource["resource"]["attributes"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def _attributes(record: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"]["stringValue"] for each in record["attributes"]}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_events_are_stored_without_other_log_records(
    launched: Callable[..., Any], stack: Stack, addresses: Addresses, protocol: str
) -> None:
    service = f"events-{protocol.partition('/')[0]}"
    done = launched(
        _PROGRAM,
        OTEL_SERVICE_NAME=service,
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT=addresses.otlp_grpc if protocol == "grpc" else addresses.otlp_http,
    )
    assert done.returncode == 0, done.stderr
    eventually(lambda: len(_events(stack, service)), 3)
    found = _events(stack, service)
    assert [each["eventName"] for each in found] == [
        "trust.auth.failure",
        "trust.audit.record",
        "trust.compliance.failure",
    ]
    assert _attributes(found[0]) == {
        "trust.auth.method": "password",
        "trust.outcome": "failure",
        "client.address": "203.0.113.7",
    }
    assert found[0]["traceId"] == done.stdout.split()[-1]
    assert "traceId" not in found[1]
    assert "erika" not in json.dumps(found)


def test_no_event_is_exported_by_default(launched: Callable[..., Any], stack: Stack, addresses: Addresses) -> None:
    done = launched(_PROGRAM, OTEL_SERVICE_NAME="events-by-default", OTEL_EXPORTER_OTLP_ENDPOINT=addresses.otlp_http)
    assert done.returncode == 0, done.stderr
    assert _events(stack, "events-by-default") == []


def test_selected_kinds_are_exported(launched: Callable[..., Any], stack: Stack, addresses: Addresses) -> None:
    done = launched(
        _PROGRAM,
        OTEL_SERVICE_NAME="events-of-audit",
        OTEL_LOGS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=addresses.otlp_http,
        TRUST_OTEL_EVENTS="audit",
    )
    assert done.returncode == 0, done.stderr
    eventually(lambda: [each["eventName"] for each in _events(stack, "events-of-audit")], ["trust.audit.record"])
