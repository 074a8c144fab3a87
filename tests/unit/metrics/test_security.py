"""Security metrics: client addresses, countries, threat feeds, detectors and audit completeness."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trust_otel.metrics.request import Request, answering, authentication_method, current_request
from trust_otel.setting_lists import DETECTORS

ATTEMPTS = "trust.auth.attempts"
OFFENDERS = "trust.security.auth.failures"
MATCHES = "trust.security.threat_matches"
INCIDENTS = "trust.security.incidents"
OPERATIONS = "trust.audit.operations"
EVENTS = "trust.audit.events"


class AddressRequest(Request):
    """A request from a fixed client address."""

    def __init__(self, address: str | None) -> None:
        self._address = address

    def find_client_address(self) -> str | None:
        return self._address


def _record_failures(metrics: Any, times: int = 1, **arguments: Any) -> None:
    for _ in range(times):
        metrics.record_auth_attempt(method="password", success=False, **arguments)


class TestClientAddress:
    def test_address_of_the_current_request_is_the_default(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=1)
        token = answering.set(AddressRequest("192.0.2.1"))
        try:
            _record_failures(recording.metrics)
            _record_failures(recording.metrics, client_address="192.0.2.2")
        finally:
            answering.reset(token)
        _record_failures(recording.metrics)
        shown = {labels["client.address"]: point.value for labels, point in recording.series(OFFENDERS)}
        assert shown == {"192.0.2.1": 1, "192.0.2.2": 1}

    def test_ended_request_is_not_current(self) -> None:
        request = AddressRequest("192.0.2.1")
        token = answering.set(request)
        try:
            assert current_request() is request
            request.ended = True
            assert current_request() is None
        finally:
            answering.reset(token)

    def test_attempt_is_counted_if_address_lookup_fails(self, recording: Any) -> None:
        class FailingRequest(Request):
            def find_client_address(self) -> str | None:
                raise OSError

        token = answering.set(FailingRequest())
        try:
            _record_failures(recording.metrics)
        finally:
            answering.reset(token)
        assert recording.value(ATTEMPTS) == 1
        assert recording.dropped() == {"internal_error": 1}

    def test_ipv6_notations_of_the_same_address_are_counted_together(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=3)
        for address in ("2001:db8::1", "2001:0DB8:0::0001", "2001:db8:0:0:0:0:0:1"):
            _record_failures(recording.metrics, client_address=address)
        assert recording.value(OFFENDERS, {"client.address": "2001:db8::1"}) == 3

    def test_failures_of_a_truncated_address_are_summed(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=5, client_address_form="truncated")
        for number in range(5):
            _record_failures(recording.metrics, client_address=f"192.0.2.{number}")
        ((labels, point),) = recording.series(OFFENDERS)
        assert point.value == 5
        assert labels["client.address"].startswith("192.0.2.0")

    def test_no_address_is_exported_if_addresses_are_off(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=1, client_address_form="off")
        _record_failures(recording.metrics, 10, client_address="192.0.2.1")
        assert recording.value(ATTEMPTS) == 10
        assert recording.series(OFFENDERS) == []
        assert recording.dropped() == {}

    def test_hashed_address_depends_only_on_address_and_key(self, record: Callable[..., Any], tmp_path: Path) -> None:
        shown = []
        for name, key in (("a", b"a" * 32), ("b", b"a" * 32), ("c", b"c" * 32)):
            (tmp_path / name).write_bytes(key)
            recording = record(
                offender_threshold=1, client_address_form="hashed", client_address_key_file=str(tmp_path / name)
            )
            _record_failures(recording.metrics, client_address="192.0.2.1")
            ((labels, _),) = recording.series(OFFENDERS)
            shown.append(labels["client.address"])
        assert shown[0] == shown[1] != shown[2]
        assert "192.0.2" not in str(shown)

    @pytest.mark.parametrize("content", [None, b"short", b""])
    def test_unusable_key_is_reported_and_the_address_is_not_exported(
        self,
        record: Callable[..., Any],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        content: bytes | None,
    ) -> None:
        if content is not None:
            (tmp_path / "key").write_bytes(content)
        recording = record(
            offender_threshold=1, client_address_form="hashed", client_address_key_file=str(tmp_path / "key")
        )
        _record_failures(recording.metrics, client_address="192.0.2.1")
        ((labels, _),) = recording.series(OFFENDERS)
        assert "192.0.2" not in labels["client.address"]
        assert recording.dropped() == {"unreadable_source": 1}
        assert ["TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE" in record.message for record in caplog.records] == [True]
        assert not content or content.decode() not in caplog.text


class TestCountries:
    def test_country_is_looked_up_unless_the_service_passes_one(self, recording: Any) -> None:
        recording.recorder.security.use_countries({"192.0.2.1": "DE"}.get)
        for address, country in (("192.0.2.1", None), ("192.0.2.1", "FR"), ("192.0.2.2", None), (None, None)):
            _record_failures(recording.metrics, client_address=address, country=country)
        found = [labels.get("geo.country.iso_code") for labels in recording.labels(ATTEMPTS)]
        assert found == ["DE", "FR", None]

    def test_successful_attempt_has_a_country(self, recording: Any) -> None:
        recording.recorder.security.use_countries(lambda address: "DE")
        recording.metrics.record_auth_attempt(method="token", success=True, client_address="192.0.2.1")
        assert recording.labels(ATTEMPTS)[0]["geo.country.iso_code"] == "DE"

    def test_country_lookup_can_be_disabled(self, recording: Any) -> None:
        recording.recorder.security.use_countries(lambda address: "DE")
        recording.recorder.security.use_countries(None)
        _record_failures(recording.metrics, client_address="192.0.2.1")
        assert "geo.country.iso_code" not in recording.labels(ATTEMPTS)[0]

    def test_failing_country_lookup_is_logged_once_without_the_address(
        self, recording: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(address: str) -> str:
            raise LookupError(f"no {address}")

        recording.recorder.security.use_countries(fail)
        _record_failures(recording.metrics, 3, client_address="192.0.2.1")
        assert recording.value(ATTEMPTS) == 3
        assert recording.dropped() == {"internal_error": 3}
        assert len(caplog.records) == 1
        assert "LookupError" in caplog.text
        assert "192.0.2" not in caplog.text

    @pytest.mark.parametrize("country", ["Germany", "de", "", 7, ["DE"]])
    def test_invalid_country_is_omitted_or_recorded_as_other(self, recording: Any, country: Any) -> None:
        recording.recorder.security.use_countries(lambda address: country)
        _record_failures(recording.metrics, client_address="192.0.2.1")
        assert recording.labels(ATTEMPTS)[0].get("geo.country.iso_code") in (None, "_other")


class TestThreatMatches:
    def test_country_passed_by_the_service_is_recorded(self, recording: Any) -> None:
        recording.metrics.record_threat_match("blocklist", country="DE")
        recording.metrics.record_threat_match("blocklist")
        assert recording.labels(MATCHES) == [
            {"trust.threat.feed": "blocklist", "geo.country.iso_code": "DE"},
            {"trust.threat.feed": "blocklist"},
        ]

    def test_every_match_outside_a_request_is_counted(self, recording: Any) -> None:
        for _ in range(3):
            recording.metrics.record_threat_match("blocklist")
        assert recording.value(MATCHES) == 3

    @pytest.mark.parametrize("feeds", [None, (), 7, "ab", ({},)])
    def test_invalid_result_of_feed_lookup_does_not_raise(self, recording: Any, feeds: Any) -> None:
        recording.recorder.security.use_feeds(lambda address: feeds)
        recording.recorder.security.request_began(AddressRequest("192.0.2.1"))
        assert {labels["trust.threat.feed"] for labels in recording.labels(MATCHES)} <= {"a", "b", "_other"}


class TestDetectors:
    """Recorded attempts and challenges reach the detectors."""

    @staticmethod
    def _detected(recording: Any) -> set[str]:
        return {
            labels["trust.security.incident.type"] for labels, point in recording.series(INCIDENTS) if point.value > 0
        }

    def test_many_accounts_from_one_address_are_detected(self, recording: Any) -> None:
        for number in range(200):
            _record_failures(recording.metrics, client_address="192.0.2.1", account=f"account-{number}")
        assert self._detected(recording)

    def test_many_addresses_against_one_account_are_detected(self, recording: Any) -> None:
        for number in range(200):
            _record_failures(recording.metrics, client_address=f"192.0.2.{number}", account="mary")
        assert self._detected(recording)

    def test_impossible_travel_is_detected(self, recording: Any) -> None:
        recording.recorder.security.use_countries({"192.0.2.1": "DE", "198.51.100.1": "AU"}.get)
        for address in ("192.0.2.1", "198.51.100.1"):
            recording.metrics.record_auth_attempt(
                method="password", success=True, client_address=address, account="mary"
            )
        assert self._detected(recording) == {"impossible_travel"}

    def test_mfa_fatigue_is_detected(self, recording: Any) -> None:
        for _ in range(50):
            recording.metrics.record_mfa_challenge(
                method="push", success=False, account="mary", client_address="192.0.2.1"
            )
        assert self._detected(recording) == {"mfa_fatigue"}

    @pytest.mark.parametrize("enabled", [frozenset(), frozenset({"path_scanning"}), frozenset(DETECTORS)], ids=len)
    def test_enabled_detectors_are_exported(self, record: Callable[..., Any], enabled: frozenset[str]) -> None:
        labels = record(detectors=enabled).labels("trust.security.detector.enabled")
        assert {each["trust.security.incident.type"] for each in labels} == enabled

    def test_disabled_detectors_report_no_incidents(self, record: Callable[..., Any]) -> None:
        recording = record(detectors=frozenset())
        _record_failures(recording.metrics, 200, client_address="192.0.2.1", account="mary")
        assert self._detected(recording) == set()

    def test_account_is_not_exported_or_logged(
        self, record: Callable[..., Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        recording = record(offender_threshold=1)
        with caplog.at_level(logging.DEBUG):
            for success in (False, True):
                for _ in range(100):
                    recording.metrics.record_auth_attempt(
                        method="password", success=success, client_address="192.0.2.1", account="mary@example.org"
                    )
                    recording.metrics.record_mfa_challenge(method="totp", success=success, account="mary@example.org")
        assert "mary" not in str(recording.collect()) + caplog.text

    @pytest.mark.parametrize("account", ["", 7, b"mary", object(), ["mary"], "\ud800", "x" * 100_000])
    def test_invalid_account_does_not_raise_and_the_attempt_is_counted(self, recording: Any, account: Any) -> None:
        _record_failures(recording.metrics, 3, client_address="192.0.2.1", account=account)
        recording.metrics.record_mfa_challenge(method="totp", success=False, account=account)
        assert recording.value(ATTEMPTS) == 3
        assert recording.value("trust.auth.mfa.challenges") == 1


class TestPrivilegedOperations:
    def _gap(self, recording: Any) -> dict[str, float]:
        """Result of the documented query by action: operations without an audit event. Both metrics must exist."""
        begun = {labels["trust.audit.action"]: point.value for labels, point in recording.series(OPERATIONS)}
        written = {
            action: sum(point.value for _, point in recording.series(EVENTS, {"trust.audit.action": action}))
            for action in {labels["trust.audit.action"] for labels in recording.labels(EVENTS)}
        }
        assert begun.keys() == written.keys()
        return {action: begun[action] - written[action] for action in begun}

    def test_missing_audit_event_is_a_gap(self, recording: Any) -> None:
        metrics = recording.metrics
        for action, success in (("key.use", True), ("key.use", False), ("certificate.issue", True)):
            with metrics.privileged_operation(action):
                metrics.record_audit_event(action, success=success)
        assert self._gap(recording) == {"key.use": 0, "certificate.issue": 0}
        with metrics.privileged_operation("key.use"):
            pass
        assert self._gap(recording) == {"key.use": 1, "certificate.issue": 0}

    def test_operations_and_events_exist_during_the_first_operation(self, recording: Any) -> None:
        with recording.metrics.privileged_operation("key.use"):
            assert self._gap(recording) == {"key.use": 1}
            assert [labels["trust.outcome"] for labels in recording.labels(EVENTS)] == ["success", "failure"]

    def test_failed_operation_is_counted(self, recording: Any) -> None:
        with pytest.raises(KeyError), recording.metrics.privileged_operation("key.use"):
            raise KeyError
        assert self._gap(recording) == {"key.use": 1}

    async def test_sync_and_async_decorators_and_blocks_are_counted(self, recording: Any) -> None:
        metrics = recording.metrics

        @metrics.privileged_operation("key.use")
        def sync(number: int) -> int:
            return number

        @metrics.privileged_operation("key.use")
        async def coroutine(number: int) -> int:
            return number

        assert [sync(1), sync(2), await coroutine(3)] == [1, 2, 3]
        async with metrics.privileged_operation("key.use"):
            pass
        assert self._gap(recording) == {"key.use": 4}

    @pytest.mark.parametrize("action", [None, 7, "", "x" * 100_000, {}, "\ud800"])
    def test_invalid_action_does_not_raise_and_is_counted(self, recording: Any, action: Any) -> None:
        with recording.metrics.privileged_operation(action):
            pass
        assert recording.value(OPERATIONS) == 1


@pytest.mark.parametrize(
    ("authorization", "method"),
    [
        ("Basic x", "password"),
        ("  BEARER   x", "token"),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        ("   ", None),
        ("x", "_other"),
        ("Bearerx", "_other"),
    ],
)
def test_authentication_method_of_an_authorization_header(authorization: str, method: str | None) -> None:
    assert authentication_method(authorization) == method
