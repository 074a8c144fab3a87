"""The security family: addresses, countries, feeds, detectors, and whether the audit log is complete."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trust_otel.metrics.request import Request, answering, authentication_method, current_request

ATTEMPTS = "trust.auth.attempts"
OFFENDERS = "trust.security.auth.failures"
MATCHES = "trust.security.threat_matches"
INCIDENTS = "trust.security.incidents"
OPERATIONS = "trust.audit.operations"
EVENTS = "trust.audit.events"


class FromAddress(Request):
    """A request from an address."""

    def __init__(self, address: str | None) -> None:
        self._address = address

    def find_client_address(self) -> str | None:
        return self._address


def _fail(metrics: Any, times: int = 1, **of: Any) -> None:
    for _ in range(times):
        metrics.record_auth_attempt(method="password", success=False, **of)


class TestClientAddress:
    def test_that_of_the_request_is_the_default(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=1)
        token = answering.set(FromAddress("192.0.2.1"))
        try:
            _fail(recording.metrics)
            _fail(recording.metrics, client_address="192.0.2.2")
        finally:
            answering.reset(token)
        _fail(recording.metrics)
        shown = {labels["client.address"]: point.value for labels, point in recording.series(OFFENDERS)}
        assert shown == {"192.0.2.1": 1, "192.0.2.2": 1}

    def test_request_that_has_ended_is_none(self) -> None:
        request = FromAddress("192.0.2.1")
        token = answering.set(request)
        try:
            assert current_request() is request
            request.ended = True
            assert current_request() is None
        finally:
            answering.reset(token)

    def test_request_whose_address_cannot_be_found_still_counts(self, recording: Any) -> None:
        class Broken(Request):
            def find_client_address(self) -> str | None:
                raise OSError

        token = answering.set(Broken())
        try:
            _fail(recording.metrics)
        finally:
            answering.reset(token)
        assert recording.value(ATTEMPTS) == 1
        assert recording.dropped() == {"internal_error": 1}

    def test_spellings_of_an_address_are_one(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=3)
        for address in ("2001:db8::1", "2001:0DB8:0::0001", "2001:db8:0:0:0:0:0:1"):
            _fail(recording.metrics, client_address=address)
        assert recording.value(OFFENDERS, {"client.address": "2001:db8::1"}) == 3

    def test_truncated_addresses_add_up(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=5, client_address_form="truncated")
        for number in range(5):
            _fail(recording.metrics, client_address=f"192.0.2.{number}")
        ((labels, point),) = recording.series(OFFENDERS)
        assert point.value == 5
        assert labels["client.address"].startswith("192.0.2.0")

    def test_off_shows_nobody(self, record: Callable[..., Any]) -> None:
        recording = record(offender_threshold=1, client_address_form="off")
        _fail(recording.metrics, 10, client_address="192.0.2.1")
        assert recording.value(ATTEMPTS) == 10
        assert recording.series(OFFENDERS) == []
        assert recording.dropped() == {}

    def test_hashed_is_the_same_in_every_process_with_the_key(self, record: Callable[..., Any], tmp_path: Path) -> None:
        shown = []
        for name, key in (("a", b"a" * 32), ("b", b"a" * 32), ("c", b"c" * 32)):
            (tmp_path / name).write_bytes(key)
            recording = record(
                offender_threshold=1, client_address_form="hashed", client_address_key_file=str(tmp_path / name)
            )
            _fail(recording.metrics, client_address="192.0.2.1")
            ((labels, _),) = recording.series(OFFENDERS)
            shown.append(labels["client.address"])
        assert shown[0] == shown[1] != shown[2]
        assert "192.0.2" not in str(shown)

    @pytest.mark.parametrize("content", [None, b"short", b""])
    def test_key_that_cannot_be_used_is_reported_and_never_shows_the_address(
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
        _fail(recording.metrics, client_address="192.0.2.1")
        ((labels, _),) = recording.series(OFFENDERS)
        assert "192.0.2" not in labels["client.address"]
        assert recording.dropped() == {"unreadable_source": 1}
        assert ["TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE" in record.message for record in caplog.records] == [True]
        assert not content or content.decode() not in caplog.text


class TestCountries:
    def test_country_of_the_address_unless_the_service_gives_one(self, recording: Any) -> None:
        recording.recorder.security.use_countries({"192.0.2.1": "DE"}.get)
        for address, country in (("192.0.2.1", None), ("192.0.2.1", "FR"), ("192.0.2.2", None), (None, None)):
            _fail(recording.metrics, client_address=address, country=country)
        found = [labels.get("geo.country.iso_code") for labels in recording.labels(ATTEMPTS)]
        assert found == ["DE", "FR", None]

    def test_success_has_one_too(self, recording: Any) -> None:
        recording.recorder.security.use_countries(lambda address: "DE")
        recording.metrics.record_auth_attempt(method="token", success=True, client_address="192.0.2.1")
        assert recording.labels(ATTEMPTS)[0]["geo.country.iso_code"] == "DE"

    def test_look_up_can_be_taken_away(self, recording: Any) -> None:
        recording.recorder.security.use_countries(lambda address: "DE")
        recording.recorder.security.use_countries(None)
        _fail(recording.metrics, client_address="192.0.2.1")
        assert "geo.country.iso_code" not in recording.labels(ATTEMPTS)[0]

    def test_look_up_that_fails_is_logged_once_without_the_address(
        self, recording: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(address: str) -> str:
            raise LookupError(f"no {address}")

        recording.recorder.security.use_countries(fail)
        _fail(recording.metrics, 3, client_address="192.0.2.1")
        assert recording.value(ATTEMPTS) == 3
        assert recording.dropped() == {"internal_error": 3}
        assert len(caplog.records) == 1
        assert "LookupError" in caplog.text
        assert "192.0.2" not in caplog.text

    @pytest.mark.parametrize("nonsense", ["Germany", "de", "", 7, ["DE"]])
    def test_what_is_no_country_does_not_appear(self, recording: Any, nonsense: Any) -> None:
        recording.recorder.security.use_countries(lambda address: nonsense)
        _fail(recording.metrics, client_address="192.0.2.1")
        assert recording.labels(ATTEMPTS)[0].get("geo.country.iso_code") in (None, "_other")


class TestThreatMatches:
    def test_country_that_the_service_gives(self, recording: Any) -> None:
        recording.metrics.record_threat_match("blocklist", country="DE")
        recording.metrics.record_threat_match("blocklist")
        assert recording.labels(MATCHES) == [
            {"trust.threat.feed": "blocklist", "geo.country.iso_code": "DE"},
            {"trust.threat.feed": "blocklist"},
        ]

    def test_outside_of_a_request_each_counts(self, recording: Any) -> None:
        for _ in range(3):
            recording.metrics.record_threat_match("blocklist")
        assert recording.value(MATCHES) == 3

    @pytest.mark.parametrize("feeds", [None, (), 7, "ab", ({},)])
    def test_look_up_that_answers_nonsense_is_in_nobodys_way(self, recording: Any, feeds: Any) -> None:
        recording.recorder.security.use_feeds(lambda address: feeds)
        recording.recorder.security.request_began(FromAddress("192.0.2.1"))
        assert {labels["trust.threat.feed"] for labels in recording.labels(MATCHES)} <= {"a", "b", "_other"}


class TestDetectors:
    """What they are told, by what they find."""

    @staticmethod
    def _found(recording: Any) -> set[str]:
        return {
            labels["trust.security.incident.type"] for labels, point in recording.series(INCIDENTS) if point.value > 0
        }

    def test_many_accounts_from_one_address(self, recording: Any) -> None:
        for number in range(200):
            _fail(recording.metrics, client_address="192.0.2.1", account=f"account-{number}")
        assert self._found(recording)

    def test_many_addresses_against_one_account(self, recording: Any) -> None:
        for number in range(200):
            _fail(recording.metrics, client_address=f"192.0.2.{number}", account="mary")
        assert self._found(recording)

    def test_account_that_travels_faster_than_people_do(self, recording: Any) -> None:
        recording.recorder.security.use_countries({"192.0.2.1": "DE", "198.51.100.1": "AU"}.get)
        for address in ("192.0.2.1", "198.51.100.1"):
            recording.metrics.record_auth_attempt(
                method="password", success=True, client_address=address, account="mary"
            )
        assert self._found(recording) == {"impossible_travel"}

    def test_second_factors_until_somebody_gives_in(self, recording: Any) -> None:
        for _ in range(50):
            recording.metrics.record_mfa_challenge(
                method="push", success=False, account="mary", client_address="192.0.2.1"
            )
        assert self._found(recording) == {"mfa_fatigue"}

    def test_those_that_are_off_find_nothing(self, record: Callable[..., Any]) -> None:
        recording = record(detectors=frozenset())
        _fail(recording.metrics, 200, client_address="192.0.2.1", account="mary")
        assert self._found(recording) == set()

    def test_account_leaves_no_trace(self, record: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
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
    def test_account_of_any_kind_is_in_nobodys_way(self, recording: Any, account: Any) -> None:
        _fail(recording.metrics, 3, client_address="192.0.2.1", account=account)
        recording.metrics.record_mfa_challenge(method="totp", success=False, account=account)
        assert recording.value(ATTEMPTS) == 3
        assert recording.value("trust.auth.mfa.challenges") == 1


class TestPrivilegedOperations:
    def _gap(self, recording: Any) -> dict[str, float]:
        """What the documented query gives, by action; both sides have to be there."""
        begun = {labels["trust.audit.action"]: point.value for labels, point in recording.series(OPERATIONS)}
        written = {
            action: sum(point.value for _, point in recording.series(EVENTS, {"trust.audit.action": action}))
            for action in {labels["trust.audit.action"] for labels in recording.labels(EVENTS)}
        }
        assert begun.keys() == written.keys()
        return {action: begun[action] - written[action] for action in begun}

    def test_record_that_was_not_written_is_a_gap(self, recording: Any) -> None:
        metrics = recording.metrics
        for action, success in (("key.use", True), ("key.use", False), ("certificate.issue", True)):
            with metrics.privileged_operation(action):
                metrics.record_audit_event(action, success=success)
        assert self._gap(recording) == {"key.use": 0, "certificate.issue": 0}
        with metrics.privileged_operation("key.use"):
            pass
        assert self._gap(recording) == {"key.use": 1, "certificate.issue": 0}

    def test_first_operation_has_both_sides_while_it_runs(self, recording: Any) -> None:
        with recording.metrics.privileged_operation("key.use"):
            assert self._gap(recording) == {"key.use": 1}
            assert [labels["trust.outcome"] for labels in recording.labels(EVENTS)] == ["success", "failure"]

    def test_operation_that_fails_began_too(self, recording: Any) -> None:
        with pytest.raises(KeyError), recording.metrics.privileged_operation("key.use"):
            raise KeyError
        assert self._gap(recording) == {"key.use": 1}

    async def test_decorator_and_block_sync_and_async(self, recording: Any) -> None:
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
    def test_action_of_any_kind_is_in_nobodys_way(self, recording: Any, action: Any) -> None:
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
def test_method_of_an_authorization_header(authorization: str, method: str | None) -> None:
    assert authentication_method(authorization) == method
