"""Metric families: what each call records, and that every declared metric can be exported."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from tests.support.certificate_transparency import certificate_with_scts
from trust_otel.metrics import certificate, recorder_of
from trust_otel.metrics.database import PoolState
from trust_otel.metrics.executor import ExecutorState
from trust_otel.metrics.key_policy import KeyPolicy
from trust_otel.metrics.kpi import Kpi
from trust_otel.metrics.pkcs11 import TokenState
from trust_otel.metrics.rpc import RpcCall
from trust_otel.semconv.metrics import ALL

DAY = 24 * 3600.0
NOW = 2_000_000_000.0


def _record_every_metric(metrics: Any) -> None:
    recorder_of(metrics).http.http_request(method="GET").finish(
        route="/", status_code=200, request_size=1, response_size=1
    )
    with metrics.certificate_operation("validation", certificate_type="DSC"):
        pass
    metrics.revocation_decided(requested_at=NOW - DAY, decided_at=NOW, reason="superseded")
    metrics.revocation_published(
        requested_at=NOW - DAY, decided_at=NOW, published_at=NOW, channel="crl", reason="superseded"
    )
    metrics.observe_pending_revocations(lambda: {"crl": None})
    recorder_of(metrics).clock.set_clock_offset("ntp.example.com", offset=-0.1, round_trip=0.01)
    metrics.record_certificate_issued(certificate_with_scts(2), certificate_type="tls_server", profile="tls-ov")
    metrics.observe_ct_feed(lambda entry: False)
    recorder_of(metrics).certificate_transparency.check_feed({b"1": {}})
    metrics.record_acme_order("invalid", error_type="urn:ietf:params:acme:error:caa")
    metrics.record_acme_challenge("dns-01", status="invalid", error_type="dns")
    trust_lists = recorder_of(metrics).trust_lists
    trust_lists.set_trust_list(
        "eu", list_type="etsi", issue_date=NOW, next_update=NOW + DAY, sequence_number=7, anchors=2
    )
    trust_lists.set_trust_list_signature("eu", list_type="etsi", status="valid")
    metrics.record_timestamp_response("granted", accuracy=0.5)
    metrics.record_timestamp_response("rejection", failure="badAlg")
    metrics.record_validation_result("TOTAL-FAILED", sub_indication="HASH_FAILURE")
    metrics.set_certificate("ca", not_after=NOW, not_before=NOW - DAY)
    recorder_of(metrics).certificates.set_crl("ca", next_update=NOW, this_update=NOW - DAY, number=7, size=100)
    recorder_of(metrics).certificates.record_ocsp_response("ocsp.example.com", status="good", duration=0.1)
    recorder_of(metrics).certificates.set_ocsp_validity("ocsp.example.com", this_update=NOW - DAY, next_update=NOW)
    recorder_of(metrics).keys.set_key_policies([KeyPolicy("tsa", "tsa", timezone.utc)])
    metrics.record_key_use("tsa")
    metrics.record_key_approval("root-ca")
    recorder_of(metrics).pkcs11.record_operation(0.01, "sign", "CKM_ECDSA", "hsm", None)
    recorder_of(metrics).pkcs11.add_active(1, "sign", "hsm")
    recorder_of(metrics).pkcs11.observe_tokens(
        lambda: [TokenState("hsm", 1, 10, {"private": 1000})], lambda: {"token": 1}
    )
    recorder_of(metrics).sources.record_source("tls", kind="certificates")
    for _ in range(5):
        metrics.record_auth_attempt(method="password", success=False, country="DE", client_address="192.0.2.1")
    metrics.record_mfa_challenge(method="totp", success=True)
    metrics.record_authorization(granted=True, resource_type="certificate")
    metrics.record_security_incident("credential_stuffing", severity="critical")
    metrics.record_rate_limited("login")
    metrics.record_threat_match("blocklist")
    with metrics.privileged_operation("certificate.issue"):
        metrics.record_audit_event("certificate.issue")
    metrics.record_compliance_check(framework="eidas", control="signature_policy", passed=True)
    metrics.session_started()
    metrics.observe_sessions(lambda: 1)
    with metrics.document_processing("passport", country="DE"):
        pass
    for name in ("revenue", "refund", "fee", "cost"):
        metrics.record_business_metric(name, 1, {"currency": "EUR"})
    metrics.record_business_metric("customer_satisfaction", 5)
    recorder_of(metrics).business.set_kpis([Kpi("signed", "counter"), Kpi("open", "gauge")])
    for name in ("signed", "open"):
        metrics.record_business_metric(name, 1)
    metrics.record_sla_event("processing", met=True)
    metrics.http_request_metrics(route="/", method="GET")(lambda: metrics.set_client("acme"))()
    metrics.set_sla_objective("processing", 0.99)
    for side in ("server", "client"):
        method = recorder_of(metrics).rpc.rpc_method(side, method="a.B/C", rpc_type="unary")
        method.received(1)
        method.sent(1)
        RpcCall(method).finish("OK")
    recorder_of(metrics).database.record_database_operation(system="sqlite", operation="SELECT", duration=1.0)
    recorder_of(metrics).database.record_database_transaction(system="sqlite", outcome="commit")
    recorder_of(metrics).database.record_connection_created("p", duration=0.1)
    recorder_of(metrics).database.record_connection_wait("p", duration=0.1)
    recorder_of(metrics).database.record_connection_use("p", duration=0.1)
    recorder_of(metrics).database.record_connection_timeout("p")
    recorder_of(metrics).database.observe_connection_pools(lambda: [PoolState("p", 1, 1, 0, 10, 5)])
    metrics.record_dependency("vault", dependency_type="vault", up=True, duration=0.1)
    recorder_of(metrics).executors.observe_executors(lambda: [ExecutorState("anyio", 1, 40, 0)])


def test_every_registered_metric_is_exported(record: Any) -> None:
    recording = record(http_body_sizes=True, client_names=frozenset({"acme"}))
    _record_every_metric(recording.metrics)
    recorded_by_system_metrics = {name for name in ALL if name.startswith(("process.", "cpython."))} - {
        "process.uptime"
    }
    third_party = {name for name, metric in ALL.items() if metric.third_party}
    assert recording.names() == set(ALL) - recorded_by_system_metrics - third_party
    assert recording.dropped() == {}
    assert recording.overflowed() == {}


def test_series_have_all_required_and_only_declared_attributes(recording: Any) -> None:
    _record_every_metric(recording.metrics)
    for name in recording.names():
        for labels in recording.labels(name):
            assert ALL[name].required <= set(labels), name
            assert set(labels) <= {attribute.name for attribute in ALL[name].attributes}, name


def test_units_descriptions_and_buckets_match_the_registry(recording: Any) -> None:
    _record_every_metric(recording.metrics)
    for metric in recording._metrics():
        declared = ALL[metric.name]
        assert (metric.unit, metric.description) == (declared.unit, declared.brief)
        for point in metric.data.data_points:
            if declared.buckets:
                assert tuple(point.explicit_bounds) == declared.buckets
        assert getattr(metric.data, "is_monotonic", False) == (declared.instrument == "counter")


class TestCertificates:
    @pytest.fixture(autouse=True)
    def _now(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(certificate, "time", lambda: NOW)

    def _status(self, recording: Any) -> dict[str, float]:
        series = recording.series("trust.certificate.inventory")
        return {labels["trust.certificate.status"]: point.value for labels, point in series if point.value}

    @pytest.mark.parametrize(
        ("remaining", "status"),
        [
            (30 * DAY + 1, "valid"),
            (30 * DAY, "expiring"),
            (1, "expiring"),
            (0, "expired"),
            (-1, "expired"),
        ],
    )
    def test_status_at_the_expiry_thresholds(self, recording: Any, remaining: float, status: str) -> None:
        recording.metrics.set_certificate("ca", not_after=NOW + remaining)
        assert self._status(recording) == {status: 1}

    @pytest.mark.parametrize(
        ("lifetime", "remaining", "status"),
        [
            (90, 30.01, "valid"),
            (90, 30, "expiring"),
            (365, 31, "valid"),
            (365, 30, "expiring"),
            (6, 2.01, "valid"),
            (6, 2, "expiring"),
            (6, 0, "expired"),
            (-6, 1, "valid"),
        ],
    )
    def test_short_lived_certificate_is_expiring_in_the_last_third_of_its_lifetime(
        self, recording: Any, lifetime: float, remaining: float, status: str
    ) -> None:
        end = NOW + remaining * DAY
        recording.metrics.set_certificate("ca", not_after=end, not_before=end - lifetime * DAY)
        assert self._status(recording) == {status: 1}

    @pytest.mark.parametrize(
        ("kind", "lead"), [("root", 365), ("csca", 365), ("issuing_ca", 180), ("tls", 14), (None, 30), ("teapot", 30)]
    )
    def test_certificate_is_expiring_from_the_lead_time_of_its_kind_on(
        self, record: Callable[..., Any], kind: str | None, lead: float
    ) -> None:
        days = (("root", 365), ("csca", 365), ("issuing_ca", 180), ("tls", 14))
        for remaining, status in ((lead * DAY + 1, "valid"), (lead * DAY, "expiring")):
            recording = record(certificate_lead_days=days)
            recording.metrics.set_certificate("a", not_after=NOW + remaining, kind=kind)
            assert self._status(recording) == {status: 1}
            assert recording.value("trust.certificate.lead_time") == lead * DAY

    def test_lead_time_is_at_most_a_third_of_the_lifetime(self, recording: Any) -> None:
        for lifetime, lead in ((60, 20), (3650, 365), (-6, 0)):
            recording.metrics.set_certificate("a", not_after=NOW, not_before=NOW - lifetime * DAY, kind="root")
            assert recording.value("trust.certificate.lead_time") == lead * DAY

    def test_lead_time_has_kind_and_position_until_the_certificate_is_revoked(self, recording: Any) -> None:
        recording.metrics.set_certificate(
            "a", not_after=NOW, certificate_type="ca", kind="issuing_ca", chain_position="intermediate"
        )
        assert recording.labels("trust.certificate.lead_time") == [
            {
                "trust.certificate.name": "a",
                "trust.certificate.type": "ca",
                "trust.certificate.kind": "issuing_ca",
                "trust.certificate.chain.position": "intermediate",
            }
        ]
        recording.metrics.set_certificate("a", not_after=NOW, kind="issuing_ca", revoked=True)
        assert recording.series("trust.certificate.lead_time") == []

    @pytest.mark.parametrize("kind", ["teapot", ["root"], 7])
    def test_unknown_kind_is_other_and_hides_no_certificate(self, recording: Any, kind: Any) -> None:
        recording.metrics.set_certificate("a", not_after=NOW + DAY, kind=kind)
        recording.metrics.set_certificate("b", not_after=NOW + DAY, kind="tls")
        kinds = {labels["trust.certificate.kind"] for labels in recording.labels("trust.certificate.lead_time")}
        assert kinds == {"_other", "tls"}
        assert self._status(recording) == {"expiring": 2}

    def test_not_before_is_exported_until_the_certificate_is_revoked(self, recording: Any) -> None:
        labels = {"trust.certificate.name": "ca", "trust.certificate.type": "ca"}
        recording.metrics.set_certificate("ca", not_after=NOW, not_before=NOW - DAY, certificate_type="ca")
        recording.metrics.set_certificate("unknown", not_after=NOW)
        ((found, point),) = recording.series("trust.certificate.not_before")
        assert (found, point.value) == (labels, NOW - DAY)
        recording.metrics.set_certificate("ca", not_after=NOW, not_before=NOW - DAY, revoked=True)
        assert recording.series("trust.certificate.not_before") == []

    @pytest.mark.parametrize("timestamp", [float("nan"), "2033-05-18", b"", 10**400])
    def test_invalid_not_before_is_dropped_and_previous_validity_kept(self, recording: Any, timestamp: Any) -> None:
        recording.metrics.set_certificate("ca", not_after=NOW, not_before=NOW - DAY)
        recording.metrics.set_certificate("ca", not_after=NOW + 1, not_before=timestamp)
        assert recording.value("trust.certificate.not_after") == NOW
        assert recording.dropped() == {"invalid_value": 1}

    def test_crl_next_update_is_exported_until_the_crl_is_removed(self, recording: Any) -> None:
        recording.recorder.certificates.set_crl("a", next_update=NOW)
        recording.recorder.certificates.set_crl("b", next_update=datetime.fromtimestamp(NOW - DAY, timezone.utc))
        recording.recorder.certificates.set_crl("a", next_update=NOW + DAY)
        series = recording.series("trust.certificate.crl.next_update")
        assert {labels["trust.certificate.crl.name"]: point.value for labels, point in series} == {
            "a": NOW + DAY,
            "b": NOW - DAY,
        }
        recording.recorder.certificates.set_crl("a", next_update="tomorrow")
        recording.recorder.certificates.remove_crl("a")
        recording.recorder.certificates.remove_crl("unknown")
        assert recording.labels("trust.certificate.crl.next_update") == [{"trust.certificate.crl.name": "b"}]
        assert recording.dropped() == {"invalid_value": 1}

    def test_what_a_crl_no_longer_has_is_removed(self, recording: Any) -> None:
        metrics = [f"trust.certificate.crl.{name}" for name in ("next_update", "this_update", "number", "size")]
        recording.recorder.certificates.set_crl("a", next_update=NOW, this_update=NOW - DAY, number=2**70, size=512)
        assert [recording.value(metric) for metric in metrics] == [NOW, NOW - DAY, 2.0**70, 512]
        recording.recorder.certificates.set_crl("a", this_update=NOW, size=256)
        assert [len(recording.series(metric)) for metric in metrics] == [0, 1, 0, 1]
        recording.recorder.certificates.remove_crl("a")
        assert [len(recording.series(metric)) for metric in metrics] == [0, 0, 0, 0]
        assert recording.dropped() == {}

    def test_declared_ocsp_responder_starts_every_status_at_zero(self, recording: Any) -> None:
        recording.recorder.certificates.declare_ocsp_responder("x")
        recording.recorder.certificates.record_ocsp_response("x", status="revoked", duration=0.1)
        series = recording.series("trust.certificate.ocsp.responses")
        assert {labels["trust.certificate.ocsp.status"]: point.value for labels, point in series} == {
            "good": 0,
            "revoked": 1,
            "unknown": 0,
            "error": 0,
        }

    def test_inventory_has_every_status_from_the_first_certificate_on(self, recording: Any) -> None:
        def inventory() -> dict[str, float]:
            series = recording.series("trust.certificate.inventory")
            return {labels["trust.certificate.status"]: point.value for labels, point in series}

        recording.metrics.remove_certificate("never there")
        assert inventory() == {}
        recording.metrics.set_certificate("ca", not_after=NOW - 1)
        assert inventory() == {"valid": 0, "expiring": 0, "expired": 1, "revoked": 0}
        recording.metrics.remove_certificate("ca")
        assert inventory() == {"valid": 0, "expiring": 0, "expired": 0, "revoked": 0}

    def test_expired_revoked_certificate_is_revoked_and_has_no_expiry_series(self, recording: Any) -> None:
        recording.metrics.set_certificate("ca", not_after=NOW - 1, revoked=True)
        assert self._status(recording) == {"revoked": 1}
        assert recording.series("trust.certificate.not_after") == []

    def test_renewed_certificate_replaces_the_previous_series(self, recording: Any) -> None:
        recording.metrics.set_certificate("ca", not_after=NOW + DAY, certificate_type="old")
        recording.collect()
        recording.metrics.set_certificate("ca", not_after=NOW + 365 * DAY, certificate_type="new")
        ((labels, point),) = recording.series("trust.certificate.not_after")
        assert labels == {"trust.certificate.name": "ca", "trust.certificate.type": "new"}
        assert point.value == NOW + 365 * DAY
        assert self._status(recording) == {"valid": 1}

    def test_removed_certificate_has_no_series(self, recording: Any) -> None:
        recording.metrics.set_certificate("a", not_after=NOW + DAY)
        recording.metrics.set_certificate("b" * 10_000, not_after=NOW + DAY)
        assert len(recording.series("trust.certificate.not_after")) == 2
        recording.metrics.remove_certificate("a")
        recording.metrics.remove_certificate("b" * 10_000)
        recording.metrics.remove_certificate("unknown")
        assert recording.series("trust.certificate.not_after") == []
        assert self._status(recording) == {}

    @pytest.mark.parametrize(
        "timestamp",
        [
            datetime.fromtimestamp(NOW, timezone.utc),
            datetime.fromtimestamp(NOW, timezone.utc).replace(tzinfo=None),
            datetime.fromtimestamp(NOW, timezone(timedelta(hours=5))),
            NOW,
            int(NOW),
            Decimal(int(NOW)),
        ],
    )
    def test_not_after_accepts_datetimes_and_unix_timestamps(self, recording: Any, timestamp: Any) -> None:
        recording.metrics.set_certificate("ca", not_after=timestamp)
        assert recording.value("trust.certificate.not_after") == NOW

    @pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), "2030-01-01", None, True, 10**400, datetime.min])
    def test_invalid_timestamp_is_dropped_and_previous_expiry_kept(self, recording: Any, timestamp: Any) -> None:
        recording.metrics.set_certificate("ca", not_after=NOW)
        recording.metrics.set_certificate("ca", not_after=timestamp)
        if timestamp is not datetime.min:
            assert recording.dropped() == {"invalid_value": 1}
            assert recording.value("trust.certificate.not_after") == NOW

    def test_certificates_over_the_limit_share_a_series_with_the_earliest_expiry(self, recording: Any) -> None:
        for number in range(600):
            recording.metrics.set_certificate(f"c{number}", not_after=NOW + 10_000 - number)
        assert len(recording.series("trust.certificate.not_after")) == 501
        assert recording.value("trust.certificate.not_after", {"trust.certificate.name": "_other"}) == NOW + 9401
        assert recording.overflowed()["trust.certificate.not_after"] >= 100
        assert self._status(recording) == {"expiring": 600}


class TestTimestamps:
    RESPONSES: ClassVar = "trust.timestamp.responses"

    def test_responses_are_counted_by_status_and_failure(self, recording: Any) -> None:
        recording.metrics.record_timestamp_response(accuracy=0.25)
        recording.metrics.record_timestamp_response("rejection", failure="timeNotAvailable")
        assert recording.labels(self.RESPONSES) == [
            {"trust.timestamp.status": "granted"},
            {"trust.timestamp.status": "rejection", "trust.timestamp.failure": "timeNotAvailable"},
        ]
        ((labels, point),) = recording.series("trust.timestamp.accuracy")
        assert (labels, point.count, point.sum) == ({}, 1, 0.25)
        assert recording.dropped() == {}

    def test_unknown_status_and_failure_are_other(self, recording: Any) -> None:
        recording.metrics.record_timestamp_response("maybe", failure="erika@example.org")
        assert recording.labels(self.RESPONSES) == [
            {"trust.timestamp.status": "_other", "trust.timestamp.failure": "_other"}
        ]
        assert recording.dropped() == {"unknown_value": 2}

    @pytest.mark.parametrize("accuracy", [-1, float("nan"), "1 s"])
    def test_invalid_accuracy_is_dropped_but_the_response_is_counted(self, recording: Any, accuracy: Any) -> None:
        recording.metrics.record_timestamp_response(accuracy=accuracy)
        assert recording.value(self.RESPONSES) == 1
        assert recording.series("trust.timestamp.accuracy") == []
        assert sum(recording.dropped().values()) == 1


class TestValidation:
    RESULTS: ClassVar = "trust.validation.results"

    def test_results_are_counted_by_indication_and_sub_indication(self, recording: Any) -> None:
        recording.metrics.record_validation_result("TOTAL-PASSED")
        for _ in range(2):
            recording.metrics.record_validation_result("INDETERMINATE", sub_indication="TRY_LATER")
        assert {
            (labels["trust.validation.indication"], labels.get("trust.validation.sub_indication")): point.value
            for labels, point in recording.series(self.RESULTS)
        } == {("TOTAL-PASSED", None): 1, ("INDETERMINATE", "TRY_LATER"): 2}
        assert recording.dropped() == {}

    def test_unknown_indications_are_other_and_the_log_lists_the_known(
        self, recording: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        recording.metrics.record_validation_result("VALID", sub_indication="erika@example.org")
        assert recording.labels(self.RESULTS) == [
            {"trust.validation.indication": "_other", "trust.validation.sub_indication": "_other"}
        ]
        assert "allowed: TOTAL-PASSED, TOTAL-FAILED, INDETERMINATE" in caplog.text


class TestSecurity:
    def test_auth_attempts_have_method_outcome_and_country(self, recording: Any) -> None:
        recording.metrics.record_auth_attempt(method="password", success=True, country="DE")
        recording.metrics.record_auth_attempt(method="password", success=False)
        assert recording.labels("trust.auth.attempts") == [
            {"trust.auth.method": "password", "trust.outcome": "success", "geo.country.iso_code": "DE"},
            {"trust.auth.method": "password", "trust.outcome": "failure"},
        ]

    def test_client_address_is_exported_with_all_failures_from_the_threshold(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=3)
        seen = []
        for _ in range(4):
            recording.metrics.record_auth_attempt(method="password", success=False, client_address="192.0.2.7")
            seen.append(recording.value("trust.security.auth.failures"))
        assert seen == [0, 0, 3, 4]
        assert recording.labels("trust.security.auth.failures") == [{"client.address": "192.0.2.7"}]

    def test_successful_login_is_not_counted_as_failure(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=1)
        recording.metrics.record_auth_attempt(method="password", success=True, client_address="192.0.2.7")
        assert recording.series("trust.security.auth.failures") == []

    @pytest.mark.parametrize("address", ["unknown", "", "192.0.2.300", "mary@example.org", 7, b"\xc0\x00\x02\x07"])
    def test_invalid_client_address_is_dropped_but_the_attempt_is_counted(
        self, record: Callable[..., Any], address: Any
    ) -> None:
        recording = record(offender_threshold=1)
        recording.metrics.record_auth_attempt(method="password", success=False, client_address=address)
        assert recording.value("trust.auth.attempts") == 1
        assert recording.series("trust.security.auth.failures") == []
        assert recording.dropped() == {"unknown_value": 1}

    def test_offenders_over_capacity_are_counted_as_overflow(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=1, offender_capacity=10)
        for number in range(15):
            recording.metrics.record_auth_attempt(method="password", success=False, client_address=f"192.0.2.{number}")
        assert len(recording.series("trust.security.auth.failures")) == 10
        assert recording.overflowed() == {"trust.security.auth.failures": 5}

    def test_failure_outcomes_of_mfa_authorization_audit_and_compliance(self, recording: Any) -> None:
        metrics = recording.metrics
        metrics.record_mfa_challenge(method="totp", success=False)
        metrics.record_authorization(granted=False, resource_type="document")
        metrics.record_audit_event("key.use", success=False)
        metrics.record_compliance_check(framework="gdpr", control="retention", passed=False)
        assert recording.labels("trust.auth.mfa.challenges")[0]["trust.outcome"] == "failure"
        assert recording.labels("trust.authz.decisions")[0]["trust.authz.decision"] == "deny"
        assert recording.labels("trust.audit.events")[0]["trust.outcome"] == "failure"
        assert recording.labels("trust.compliance.checks")[0]["trust.outcome"] == "failure"

    def test_unknown_severity_is_recorded_as_other(self, recording: Any) -> None:
        recording.metrics.record_security_incident("x", severity="fatal")
        assert recording.labels("trust.security.incidents")[0]["trust.severity"] == "_other"


class TestBusiness:
    def test_record_business_metric_usage_example(self, recording: Any) -> None:
        metrics, amount = recording.metrics, 12.5
        metrics.record_business_metric("revenue", amount, {"currency": "USD"})
        ((labels, point),) = recording.series("trust.revenue.amount")
        assert (labels, point.value) == ({"trust.currency": "USD"}, 12.5)

    async def test_record_business_metric_works_in_a_coroutine(self, recording: Any) -> None:
        recording.metrics.record_business_metric("revenue", 1, {"currency": "USD"})
        assert recording.value("trust.revenue.amount") == 1

    def test_short_and_full_attribute_names_are_equivalent(self, record: Callable[..., Any]) -> None:
        recording = record(client_names=frozenset({"acme"}))
        short = {"currency": "EUR", "country": "DE", "client": "acme"}
        full = {"trust.currency": "EUR", "geo.country.iso_code": "DE", "trust.client.name": "acme"}
        for attributes in (short, full):
            recording.metrics.record_business_metric("fee", 1, attributes)
        ((labels, point),) = recording.series("trust.fee.amount")
        assert (labels, point.value) == (full, 2)

    def test_refund_has_the_labels_of_revenue(self, record: Callable[..., Any]) -> None:
        recording = record(client_names=frozenset({"acme"}))
        attributes = {"currency": "EUR", "country": "DE", "client": "acme"}
        recording.metrics.record_business_metric("refund", 2.5, attributes)
        recording.metrics.bind_business_metric("refund", attributes)(1)
        ((labels, point),) = recording.series("trust.refund.amount")
        assert point.value == 3.5
        assert labels == {"trust.currency": "EUR", "geo.country.iso_code": "DE", "trust.client.name": "acme"}

    @pytest.mark.parametrize("amount", [-1, -0.01, Decimal("-5"), -(2**60)])
    @pytest.mark.parametrize(
        ("name", "remedy"), [("revenue", "as refund"), ("fee", "as cost"), ("refund", "0 or more")]
    )
    def test_negative_amount_is_dropped_and_the_log_says_what_to_record(
        self, recording: Any, caplog: pytest.LogCaptureFixture, name: str, remedy: str, amount: Any
    ) -> None:
        recording.metrics.record_business_metric(name, amount, {"currency": "EUR"})
        recording.metrics.bind_business_metric(name, {"currency": "EUR"})(amount)
        assert recording.value(f"trust.{name}.amount") == 0
        assert recording.dropped() == {"negative_value": 2}
        (message,) = caplog.messages
        assert f"trust.{name}.amount takes only amounts of 0 or more" in message
        assert remedy in message

    @pytest.mark.parametrize("attributes", ["currency=EUR", ["currency"], 7, object(), b"x"])
    def test_attributes_that_are_not_a_mapping_are_dropped(self, recording: Any, attributes: Any) -> None:
        recording.metrics.record_business_metric("fee", 1, attributes)
        assert recording.dropped() == {"attribute_type": 1}

    @pytest.mark.parametrize("name", ["profit", "", None, 7, ("revenue",), "Revenue"])
    def test_unknown_business_metric_is_dropped(self, recording: Any, name: Any) -> None:
        recording.metrics.record_business_metric(name, 1)
        assert recording.dropped() == {"unknown_metric": 1}

    @pytest.mark.parametrize("score", [1, 3, 5])
    def test_satisfaction_score_from_1_to_5_is_recorded(self, recording: Any, score: int) -> None:
        recording.metrics.record_business_metric("customer_satisfaction", score)
        ((_, point),) = recording.series("trust.customer.satisfaction")
        assert point.sum == score

    @pytest.mark.parametrize("score", [0, 0.5, 6, 100])
    def test_out_of_range_satisfaction_score_is_dropped(self, recording: Any, score: float) -> None:
        recording.metrics.record_business_metric("customer_satisfaction", score)
        assert recording.series("trust.customer.satisfaction") == []
        assert recording.dropped() == {"invalid_value": 1}

    @pytest.mark.parametrize("objective", [0, 0.5, 1, Decimal("0.999")])
    def test_sla_objective_from_0_to_1_is_recorded(self, recording: Any, objective: Any) -> None:
        recording.metrics.set_sla_objective("a", objective)
        assert recording.value("trust.sla.objective") == float(objective)

    @pytest.mark.parametrize("objective", [-0.1, 1.1, 99.9, float("nan"), None, "0.9", True, Decimal("99.9")])
    def test_invalid_sla_objective_is_dropped(self, recording: Any, objective: Any) -> None:
        recording.metrics.set_sla_objective("a", objective)
        assert recording.series("trust.sla.objective") == []
        assert recording.dropped() == {"invalid_value": 1}

    def test_sla_objective_can_be_changed(self, recording: Any) -> None:
        recording.metrics.set_sla_objective("a", 0.9)
        recording.metrics.set_sla_objective("a", 0.99)
        assert [point.value for _, point in recording.series("trust.sla.objective")] == [0.99]


class TestDatabase:
    LABELS: ClassVar = {"system": "sqlite", "namespace": "trust", "operation": "SELECT"}

    @pytest.mark.parametrize(("duration", "slow"), [(0.499, 0), (0.5, 1), (10, 1)])
    def test_operations_from_the_slow_threshold_are_counted_as_slow(
        self, recording: Any, duration: float, slow: int
    ) -> None:
        recording.recorder.database.record_database_operation(duration=duration, **self.LABELS)
        ((_, point),) = recording.series("trust.db.client.slow_operations")
        assert point.value == slow

    def test_failed_operation_has_the_exception_class_as_error_type(self, recording: Any) -> None:
        recording.recorder.database.record_database_operation(duration=0.1, error_type="IntegrityError", **self.LABELS)
        assert recording.labels("db.client.operation.duration")[0]["error.type"] == "IntegrityError"

    @pytest.mark.parametrize("duration", [None, "fast", float("nan"), -1, float("inf")])
    def test_operation_with_invalid_duration_is_dropped(self, recording: Any, duration: Any) -> None:
        recording.recorder.database.record_database_operation(duration=duration, **self.LABELS)
        assert recording.series("db.client.operation.duration") == []
        assert recording.value("trust.db.client.slow_operations") == 0
        assert sum(recording.dropped().values()) == 1

    def test_cache_of_operation_labels_is_bounded(self, record: Callable[..., Any]) -> None:
        recording = record(label_sets=20)
        for number in range(1000):
            recording.recorder.database.record_database_operation(system="sqlite", operation=f"X{number}", duration=0.1)
        assert len(recording.recorder.database._db_bound) <= 20

    def test_declared_pool_starts_timeouts_at_zero(self, recording: Any) -> None:
        recording.recorder.database.declare_connection_pool("p", system="sqlite")
        ((labels, point),) = recording.series("db.client.connection.timeouts")
        assert (labels, point.value) == ({"db.client.connection.pool.name": "p"}, 0)


class TestDependencies:
    def test_dependency_up_and_check_duration(self, recording: Any) -> None:
        recording.metrics.record_dependency("vault", dependency_type="vault", up=True, duration=0.01)
        assert recording.value("trust.dependency.up") == 1
        recording.metrics.record_dependency("vault", dependency_type="vault", up=False)
        assert recording.value("trust.dependency.up") == 0
        assert recording.value("trust.dependency.check.duration") == 1

    @pytest.mark.parametrize("name", ["vault", "a\nb", "x" * 1000])
    def test_removed_dependency_has_no_series(self, recording: Any, name: str) -> None:
        recording.metrics.record_dependency(name, dependency_type="vault", up=True)
        recording.metrics.record_dependency("other", dependency_type="pki", up=True)
        recording.recorder.dependencies.remove_dependency(name)
        recording.recorder.dependencies.remove_dependency("unknown")
        assert [labels["trust.dependency.name"] for labels in recording.labels("trust.dependency.up")] == ["other"]

    def test_removed_dependencies_free_their_place_in_the_limit(self, recording: Any) -> None:
        for number in range(300):
            recording.metrics.record_dependency(f"d{number}", dependency_type="http", up=True)
            recording.recorder.dependencies.remove_dependency(f"d{number}")
        recording.metrics.record_dependency("last", dependency_type="http", up=True)
        assert [labels["trust.dependency.name"] for labels in recording.labels("trust.dependency.up")] == ["last"]


class TestRpc:
    def test_call_records_duration_messages_and_active_calls(self, recording: Any) -> None:
        method = recording.recorder.rpc.rpc_method("server", method="a.B/C", rpc_type="bidi_stream")
        call = RpcCall(method)
        assert recording.value("trust.rpc.server.active_calls") == 1
        for _ in range(3):
            method.received(1)
        method.sent(1)
        assert call.finish("OK")
        assert not call.finish("INTERNAL")
        assert recording.value("trust.rpc.server.active_calls") == 0
        assert recording.value("trust.rpc.server.messages", {"trust.rpc.message.direction": "received"}) == 3
        assert recording.value("trust.rpc.server.messages", {"trust.rpc.message.direction": "sent"}) == 1
        assert recording.labels("rpc.server.call.duration") == [
            {
                "rpc.method": "a.B/C",
                "trust.rpc.type": "bidi_stream",
                "rpc.system.name": "grpc",
                "rpc.response.status_code": "OK",
            }
        ]

    @pytest.mark.parametrize(
        ("status", "error", "error_type"),
        [("NOT_FOUND", None, "NOT_FOUND"), ("UNKNOWN", "ValueError", "ValueError"), ("OK", "X", "X")],
    )
    def test_error_type_is_the_exception_class_or_the_status_code(
        self, recording: Any, status: str, error: str | None, error_type: str
    ) -> None:
        RpcCall(recording.recorder.rpc.rpc_method("client", method="a.B/C", rpc_type="unary")).finish(status, error)
        assert recording.labels("rpc.client.call.duration")[0]["error.type"] == error_type
