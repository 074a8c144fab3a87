"""Revocation latency, and the age of revocations that wait."""

import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.x509 import ReasonFlags

from trust_otel.metrics import revocation
from trust_otel.metrics.recorder import Recorder
from trust_otel.semconv.attributes import TRUST_CERTIFICATE_REVOCATION_REASON
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
)

DECISION = "trust.certificate.revocation.decision.duration"
PUBLICATION = "trust.certificate.revocation.publication.duration"
TOTAL = "trust.certificate.revocation.duration"
AGE = "trust.certificate.revocation.pending.age"
PENDING = "trust.certificate.revocation.pending"
NOW = 2_000_000_000.0
HOUR = 3600.0


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [NOW]
    monkeypatch.setattr(revocation, "time", lambda: clock[0])
    return clock


def _sums(recording: Any) -> dict[str, float]:
    return {name: point.sum for name in (DECISION, PUBLICATION, TOTAL) for _, point in recording.series(name)}


def _ages(recording: Any) -> dict[str, float]:
    return {labels[PENDING]: point.value for labels, point in recording.series(AGE)}


class TestLatency:
    def test_times_are_those_that_the_service_kept(self, recording: Any) -> None:
        recording.metrics.revocation_decided(requested_at=NOW - 30 * HOUR, decided_at=NOW - HOUR, reason="superseded")
        recording.metrics.revocation_published(
            requested_at=NOW - 30 * HOUR, decided_at=NOW - HOUR, published_at=NOW, channel="crl", reason="superseded"
        )
        assert _sums(recording) == {DECISION: 29 * HOUR, PUBLICATION: HOUR, TOTAL: 30 * HOUR}
        assert recording.labels(DECISION) == [{"trust.certificate.revocation.reason": "superseded"}]
        for metric in (PUBLICATION, TOTAL):
            assert recording.labels(metric) == [
                {
                    "trust.certificate.revocation.channel": "crl",
                    "trust.certificate.revocation.reason": "superseded",
                }
            ]

    def test_limits_of_the_standard_are_bucket_boundaries(self) -> None:
        assert 24 * HOUR in TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION.buckets
        assert 24 * HOUR in TRUST_CERTIFICATE_REVOCATION_DURATION.buckets
        assert HOUR in TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION.buckets

    def test_each_channel_is_recorded_by_itself(self, recording: Any) -> None:
        for channel in ("crl", "ocsp", "fax"):
            recording.metrics.revocation_published(
                requested_at=NOW - HOUR, decided_at=NOW, published_at=NOW, channel=channel
            )
        channels = [labels["trust.certificate.revocation.channel"] for labels in recording.labels(TOTAL)]
        assert channels == ["crl", "ocsp", "_other"]

    def test_reasons_are_those_of_rfc_5280(self) -> None:
        assert set(TRUST_CERTIFICATE_REVOCATION_REASON.members) == {flag.value for flag in ReasonFlags}

    def test_unknown_and_missing_reasons(self, recording: Any) -> None:
        for reason in ("Erika lost her card", None):
            recording.metrics.revocation_decided(requested_at=NOW, decided_at=NOW, reason=reason)
        assert recording.labels(DECISION) == [{"trust.certificate.revocation.reason": "_other"}, {}]

    def test_times_in_different_forms(self, recording: Any) -> None:
        zone = timezone(timedelta(hours=5))
        recording.metrics.revocation_decided(
            requested_at=datetime.fromtimestamp(NOW - HOUR, zone),
            decided_at=datetime.fromtimestamp(NOW, timezone.utc).replace(tzinfo=None),
        )
        assert _sums(recording) == {DECISION: HOUR}

    @pytest.mark.parametrize(("early", "recorded"), [(0.02, [0]), (60, [0]), (61, [])])
    def test_end_before_the_start_is_recorded_as_0_up_to_a_minute(
        self, recording: Any, early: float, recorded: list[float]
    ) -> None:
        recording.metrics.revocation_decided(requested_at=NOW, decided_at=NOW - early)
        assert [point.sum for _, point in recording.series(DECISION)] == recorded
        assert recording.dropped() == ({} if recorded else {"negative_value": 1})

    @pytest.mark.parametrize("moment", [None, "2033-05-18", float("nan"), True, 10**400])
    def test_invalid_time_is_dropped(self, recording: Any, caplog: pytest.LogCaptureFixture, moment: Any) -> None:
        recording.metrics.revocation_decided(requested_at=moment, decided_at=NOW)
        recording.metrics.revocation_published(requested_at=NOW, decided_at=moment, published_at=NOW, channel="crl")
        assert _sums(recording) == {}
        assert recording.dropped() == {"invalid_value": 2}
        assert "revocation_decided: pass each time as datetime" in caplog.text


class TestPending:
    def test_age_grows_while_nothing_happens(self, recording: Any, now: list[float]) -> None:
        recording.metrics.observe_pending_revocations(lambda: {"crl": NOW - HOUR, "decision": None})
        assert _ages(recording) == {"crl": HOUR, "decision": 0}
        now[0] += 10
        assert _ages(recording) == {"crl": HOUR + 10, "decision": 0}

    def test_age_is_right_after_a_restart(self, record: Any) -> None:
        store = {"ocsp": datetime.fromtimestamp(NOW - 50 * HOUR, timezone.utc)}
        for _ in range(2):
            recording = record()
            recording.metrics.observe_pending_revocations(lambda: store)
            assert _ages(recording) == {"ocsp": 50 * HOUR}

    def test_time_in_the_future_is_an_age_of_0(self, recording: Any) -> None:
        recording.metrics.observe_pending_revocations(lambda: {"crl": NOW + 5})
        assert _ages(recording) == {"crl": 0}

    def test_two_objects_of_one_process_do_not_add_up(self, recording: Any) -> None:
        recording.metrics.observe_pending_revocations(lambda: {"crl": NOW - 1})
        other = Recorder(recording.recorder.instruments)
        other.revocations.observe_pending_revocations(lambda: {"crl": NOW - 2})
        assert _ages(recording) == {"crl": 2}

    def test_another_function_replaces_the_first(self, recording: Any) -> None:
        recording.metrics.observe_pending_revocations(lambda: {"crl": NOW - 1})
        recording.metrics.observe_pending_revocations(lambda: {"ocsp": NOW - 3})
        assert _ages(recording) == {"ocsp": 3}

    @pytest.mark.parametrize(
        ("returned", "problem"),
        [
            (None, "it returned NoneType"),
            (3.0, "it returned float"),
            ({"erika@example.org": NOW}, "it returned a mapping with another key"),
            ({"crl": "2033"}, "it returned str for crl"),
            ({"crl": float("inf")}, "it returned float for crl"),
        ],
    )
    def test_wrong_result_is_counted_and_logged(
        self, recording: Any, caplog: pytest.LogCaptureFixture, returned: Any, problem: str
    ) -> None:
        recording.metrics.observe_pending_revocations(lambda: returned)
        assert _ages(recording) == {}
        assert recording.dropped()["invalid_value"] >= 1
        assert caplog.text.count(problem) == 1
        assert "erika" not in caplog.text

    def test_coroutine_function_is_refused(self, recording: Any, caplog: pytest.LogCaptureFixture) -> None:
        async def oldest() -> dict[str, float]:
            return {}

        recording.metrics.observe_pending_revocations(oldest)
        assert recording.dropped() == {"invalid_value": 1}
        assert "it was given a coroutine function" in caplog.text

    def test_store_that_hangs_delays_no_other_metric(self, recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trust_otel.metrics.store_reader._READ_SECONDS", 0.01)
        released = threading.Event()

        def oldest() -> dict[str, float]:
            released.wait(30)
            return {}

        recording.metrics.observe_pending_revocations(oldest)
        recording.metrics.record_audit_event("revoke")
        try:
            assert "trust.audit.events" in recording.names()
            assert recording.dropped()["internal_error"] >= 1
        finally:
            released.set()
