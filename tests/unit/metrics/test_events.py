"""Events: log records of what the security, audit and compliance metrics count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import TracerProvider

from trust_otel.metrics import event
from trust_otel.metrics.request import Request, answering
from trust_otel.semconv import events

_ADDRESS = "192.0.2.1"


class _Kept(LogRecordProcessor):
    """Keeps log records."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.records.append(log_record.log_record)

    def shutdown(self) -> None:
        """Nothing to do."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class _FromAddress(Request):
    def find_client_address(self) -> str:
        return _ADDRESS


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The exported log records."""
    kept = _Kept()
    provider = LoggerProvider()
    provider.add_log_record_processor(kept)
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp")
    monkeypatch.setattr(event, "get_logger", provider.get_logger)
    return kept.records


@pytest.fixture
def request_of_client() -> Iterator[None]:
    token = answering.set(_FromAddress())
    yield
    answering.reset(token)


def _names(records: Sequence[Any]) -> list[str]:
    return [record.event_name for record in records]


_EVENTS: dict[str, tuple[Callable[[Any], object], dict[str, object]]] = {
    "trust.auth.failure": (
        lambda metrics: metrics.record_auth_attempt(method="password", success=False, country="DE", account="erika"),
        {"trust.auth.method": "password", "trust.outcome": "failure", "geo.country.iso_code": "DE"},
    ),
    "trust.auth.mfa.failure": (
        lambda metrics: metrics.record_mfa_challenge(method="totp", success=False, account="erika"),
        {"trust.auth.mfa.method": "totp", "trust.outcome": "failure"},
    ),
    "trust.authz.denial": (
        lambda metrics: metrics.record_authorization(granted=False, resource_type="certificate"),
        {"trust.authz.decision": "deny", "trust.authz.resource.type": "certificate"},
    ),
    "trust.security.incident": (
        lambda metrics: metrics.record_security_incident("forged_token", severity="critical"),
        {"trust.security.incident.type": "forged_token", "trust.severity": "critical"},
    ),
    "trust.security.rate_limited": (
        lambda metrics: metrics.record_rate_limited("login"),
        {"trust.rate_limit.name": "login"},
    ),
    "trust.security.threat_match": (
        lambda metrics: metrics.record_threat_match("blocklist", country="FR"),
        {"trust.threat.feed": "blocklist", "geo.country.iso_code": "FR"},
    ),
    "trust.audit.record": (
        lambda metrics: metrics.record_audit_event("certificate.issue"),
        {"trust.audit.action": "certificate.issue", "trust.outcome": "success"},
    ),
    "trust.compliance.failure": (
        lambda metrics: metrics.record_compliance_check(framework="eidas", control="signature_policy", passed=False),
        {
            "trust.compliance.framework": "eidas",
            "trust.compliance.control": "signature_policy",
            "trust.outcome": "failure",
        },
    ),
}


def test_every_event_of_the_registry_is_tested() -> None:
    assert _EVENTS.keys() == events.ALL.keys()


@pytest.mark.parametrize("name", _EVENTS)
@pytest.mark.usefixtures("request_of_client")
def test_event_has_the_labels_of_its_count_and_the_address(exported: list[Any], record: Any, name: str) -> None:
    happen, labels = _EVENTS[name]
    happen(record().metrics)
    (found,) = exported
    has_address = "client.address" in {attribute.name for attribute in events.ALL[name].attributes}
    assert found.event_name == name
    assert found.body == events.ALL[name].brief.removesuffix(".")
    assert dict(found.attributes) == labels | ({"client.address": _ADDRESS} if has_address else {})
    assert dict(found.attributes).keys() >= events.ALL[name].required


def test_everything_is_counted_whether_it_is_an_event_or_not(exported: list[Any], record: Any) -> None:
    recording = record()
    for success in (True, False):
        recording.metrics.record_auth_attempt(method="password", success=success)
        recording.metrics.record_authorization(granted=success)
        recording.metrics.record_compliance_check(framework="eidas", control="a", passed=success)
    recording.metrics.record_audit_event("certificate.issue", success=False)
    for metric in ("trust.auth.attempts", "trust.authz.decisions", "trust.compliance.checks"):
        assert [point.value for _, point in recording.series(metric)] == [1, 1]
    assert _names(exported) == [
        "trust.auth.failure",
        "trust.authz.denial",
        "trust.compliance.failure",
        "trust.audit.record",
    ]


def test_beginning_of_a_privileged_operation_is_no_event(exported: list[Any], record: Any) -> None:
    with record().metrics.privileged_operation("certificate.issue"):
        pass
    assert exported == []


@pytest.mark.usefixtures("request_of_client")
def test_responses_of_the_service_are_events(exported: list[Any], record: Any) -> None:
    security, request = record().recorder.security, _FromAddress()
    security.request_answered(request, 401, place="/a")
    security.request_answered(request, 403, place="/a")
    security.request_answered(request, 429, place="/a")
    assert _names(exported) == ["trust.auth.failure", "trust.authz.denial", "trust.security.rate_limited"]
    assert {each.attributes["client.address"] for each in exported} == {_ADDRESS}


@pytest.mark.parametrize(
    ("severity", "expected"),
    [("critical", SeverityNumber.ERROR), ("warning", SeverityNumber.WARN), ("info", SeverityNumber.INFO)],
)
def test_incident_has_its_severity(exported: list[Any], record: Any, severity: str, expected: SeverityNumber) -> None:
    record().metrics.record_security_incident("forged_token", severity=severity)
    assert exported[0].severity_number == expected


def test_success_is_information_and_failure_a_warning(exported: list[Any], record: Any) -> None:
    metrics = record().metrics
    metrics.record_audit_event("certificate.issue")
    metrics.record_audit_event("certificate.issue", success=False)
    assert [each.severity_number for each in exported] == [SeverityNumber.INFO, SeverityNumber.WARN]


def test_event_has_the_ids_of_the_current_span(exported: list[Any], record: Any) -> None:
    with trace.use_span(TracerProvider().get_tracer("test").start_span("request")) as span:
        record().metrics.record_rate_limited("login")
    context = span.get_span_context()
    assert (exported[0].trace_id, exported[0].span_id) == (context.trace_id, context.span_id)


@pytest.mark.parametrize(
    ("form", "expected"), [("full", _ADDRESS), ("truncated", "192.0.2.0/24"), ("off", None), ("hashed", None)]
)
@pytest.mark.usefixtures("request_of_client")
def test_address_has_the_form_of_the_setting(exported: list[Any], record: Any, form: str, expected: str | None) -> None:
    record(client_address_form=form).metrics.record_rate_limited("login")
    shown = exported[0].attributes.get("client.address")
    if form == "hashed":
        assert len(shown) == 16
        assert _ADDRESS not in shown
    else:
        assert shown == expected


def test_private_values_are_replaced_as_in_metrics(exported: list[Any], record: Any) -> None:
    recording = record()
    recording.metrics.record_rate_limited("erika@example.org")
    recording.metrics.record_auth_attempt(method="password", success=False, account="erika@example.org")
    assert "erika" not in str([(each.body, dict(each.attributes)) for each in exported])
    assert exported[0].attributes["trust.rate_limit.name"] == "_other"
    assert recording.dropped() == {"private_value": 1}


def test_each_kind_has_a_limit_of_its_own(exported: list[Any], record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 6000.0
    monkeypatch.setattr("trust_otel.metrics.event.time.monotonic", lambda: now)
    recording = record(events_per_minute=3)
    for _ in range(10):
        recording.metrics.record_rate_limited("login")
    recording.metrics.record_audit_event("certificate.issue")
    assert _names(exported) == ["trust.security.rate_limited"] * 3 + ["trust.audit.record"]
    assert recording.dropped() == {"event_limit": 7}
    assert recording.value("trust.security.rate_limited") == 10

    now += 60
    recording.metrics.record_rate_limited("login")
    assert len(exported) == 5


def test_only_listed_kinds_are_exported(exported: list[Any], record: Any) -> None:
    metrics = record(events=frozenset({"compliance"})).metrics
    for happen, _ in _EVENTS.values():
        happen(metrics)
    assert _names(exported) == ["trust.compliance.failure"]


@pytest.mark.parametrize(("variable", "value"), [("OTEL_LOGS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "")])
@pytest.mark.usefixtures("request_of_client")
def test_nothing_is_exported_without_an_exporter_of_log_records(
    exported: list[Any], record: Any, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    recording = record()
    for happen, _ in _EVENTS.values():
        happen(recording.metrics)
    assert exported == []
    assert recording.value("trust.security.rate_limited") == 1


def test_address_is_not_looked_up_without_an_exporter(record: Any) -> None:
    class Unexpected(Request):
        def find_client_address(self) -> str:
            raise AssertionError

    token = answering.set(Unexpected())
    try:
        recording = record()
        recording.metrics.record_authorization(granted=False)
        recording.metrics.record_rate_limited("login")
        recording.metrics.record_security_incident("forged_token", severity="info")
    finally:
        answering.reset(token)
    assert recording.dropped() == {}


def test_failing_exporter_does_not_reach_the_service(
    record: Any, exported: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError

    recording = record()
    monkeypatch.setattr("opentelemetry.sdk._logs._internal.Logger.emit", fail)
    for happen, _ in _EVENTS.values():
        happen(recording.metrics)
    assert recording.dropped() == {"internal_error": len(_EVENTS)}
    assert recording.value("trust.security.rate_limited") == 1
