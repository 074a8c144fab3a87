"""Detectors of suspicious activity: what each rule reports, what it ignores, and what is kept in memory."""

import gc
import logging
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.detectors.__main__ import replay
from benchmarks.detectors.scenario import KINDS, Scenario
from trust_otel.security.detectors import Detectors, sliding_window
from trust_otel.security.detectors.country_distance import distance_km, known_countries

HOUR = 3600.0


class Harness:
    """Detectors with a fake clock, and the incidents that they reported."""

    def __init__(self, *enabled: str) -> None:
        self.now = 1000.0
        self.reported: list[tuple[str, str]] = []
        self.detectors = Detectors(
            enabled or KINDS, lambda *incident: self.reported.append(incident), clock=lambda: self.now
        )

    def login(self, account: str, address: str = "192.0.2.1", *, success: bool = True, country: str = "DE") -> None:
        self.detectors.authentication(success=success, address=address, account=account, country=country)

    def fail(self, account: str, address: str = "192.0.2.1") -> None:
        self.login(account, address, success=False)

    def answer_mfa(self, *, success: bool, account: str = "ada") -> None:
        self.detectors.second_factor(success=success, account=account, address="192.0.2.1")


@pytest.fixture
def harness() -> Harness:
    return Harness()


# ------------------------------------------------------------------------------------------------ credential stuffing


def test_many_accounts_failing_from_one_address(harness: Harness) -> None:
    for number in range(9):
        harness.fail(f"account-{number}")
    assert harness.reported == []
    for number in range(9, 15):
        harness.fail(f"account-{number}")
    assert harness.reported == [("credential_stuffing", "critical")]


def test_addresses_of_one_ipv6_network_are_one_client(harness: Harness) -> None:
    for number in range(15):
        harness.fail(f"account-{number}", f"2001:db8:1:2:{number:x}::1")
    assert harness.reported == [("credential_stuffing", "critical")]


def test_office_where_users_mistype_and_then_log_in_is_ignored(harness: Harness) -> None:
    for number in range(300):
        harness.fail(f"account-{number}")
        harness.now += 1
        harness.login(f"account-{number}")
    assert harness.reported == []


def test_office_where_more_log_in_than_fail_is_ignored(harness: Harness) -> None:
    for number in range(40):
        harness.login(f"account-{number}")
    for number in range(40, 60):
        harness.fail(f"account-{number}")
    assert harness.reported == []


def test_one_account_failing_from_one_address_is_ignored(harness: Harness) -> None:
    for _ in range(1000):
        harness.fail("ada")
        harness.now += 1
    assert harness.reported == []


def test_accounts_failing_over_a_long_time_are_ignored(harness: Harness) -> None:
    for number in range(200):
        harness.fail(f"account-{number}")
        harness.now += 70
    assert harness.reported == []


# -------------------------------------------------------------------------------------------------- password spraying


def test_one_account_failing_from_many_addresses(harness: Harness) -> None:
    for number in range(15):
        harness.fail("ada", f"192.0.2.{number}")
        harness.now += 60
    assert harness.reported == [("password_spraying", "warning")]


def test_clients_that_logged_in_before_are_ignored(harness: Harness) -> None:
    for number in range(50):
        harness.login("robot", f"192.0.2.{number}")
    for number in range(50):
        harness.fail("robot", f"192.0.2.{number}")
    assert harness.reported == []


# -------------------------------------------------------------------------------------------------- impossible travel


def test_logins_from_two_countries_faster_than_a_flight(harness: Harness) -> None:
    harness.login("ada", country="DE")
    harness.now += HOUR
    harness.login("ada", "198.51.100.1", country="JP")
    assert harness.reported == [("impossible_travel", "warning")]


@pytest.mark.parametrize(
    ("country", "hours"),
    [("JP", 12), ("FR", 0), ("DE", 0), ("RO", 0), ("XX", 0), ("", 0)],
    ids=["after a flight", "neighbour", "at home", "not far", "unknown country", "empty"],
)
def test_possible_travel_is_ignored(harness: Harness, country: str, hours: float) -> None:
    harness.login("ada", country="DE")
    harness.now += hours * HOUR
    harness.login("ada", "198.51.100.1", country=country)
    assert harness.reported == []


def test_unknown_countries_do_not_hide_travel(harness: Harness) -> None:
    harness.login("ada", country="DE")
    for number in range(10):
        harness.login("ada", country=f"nowhere-{number}" * 1000)
    harness.login("ada", "198.51.100.1", country="JP")
    assert harness.reported == [("impossible_travel", "warning")]


def test_failed_login_from_another_country_is_ignored(harness: Harness) -> None:
    harness.login("ada", country="DE")
    harness.login("ada", "198.51.100.1", success=False, country="JP")
    assert harness.reported == []


def test_traveller_with_a_second_device_at_home_is_ignored(harness: Harness) -> None:
    harness.login("ada", country="DE")
    harness.now += 12 * HOUR
    for _ in range(5):
        harness.login("ada", "198.51.100.1", country="JP")
        harness.now += 600
        harness.login("ada", "192.0.2.1", country="DE")
        harness.now += 600
    assert harness.reported == []


def test_returning_traveller_is_ignored(harness: Harness) -> None:
    for country in ("DE", "JP", "DE", "US", "DE"):
        harness.login("ada", country=country)
        harness.now += 14 * HOUR
    assert harness.reported == []


def test_account_used_in_two_places_is_reported_once_a_day(harness: Harness) -> None:
    for _ in range(49):
        harness.login("ada", country="DE")
        harness.now += HOUR / 2
        harness.login("ada", "198.51.100.1", country="JP")
        harness.now += HOUR / 2
    assert harness.reported == [("impossible_travel", "warning")] * 3


def test_vpn_exit_is_learned_and_attacks_are_still_detected(harness: Harness) -> None:
    for number in range(40):
        home = f"192.0.2.{number}"
        harness.login(f"account-{number}", home, country="DE")
        harness.login(f"account-{number}", "198.51.100.1", country="US")
        harness.login(f"account-{number}", home, country="DE")
    assert 2 <= len(harness.reported) <= 5  # more than 2 if addresses share a bit of the counter
    harness.reported.clear()
    harness.login("account-39", "203.0.113.9", country="JP")
    assert harness.reported == [("impossible_travel", "warning")]


# ------------------------------------------------------------------------------------------------------ path scanning


def test_many_missing_paths(harness: Harness) -> None:
    for number in range(200):
        harness.detectors.not_found("192.0.2.1", f"/{number}")
        harness.now += 0.1
    assert harness.reported == [("path_scanning", "warning")]


def test_requests_with_unknown_path_count_separately(harness: Harness) -> None:
    for _ in range(30):
        harness.detectors.not_found("192.0.2.1")
    assert harness.reported == [("path_scanning", "warning")]


def test_one_missing_path_requested_often_is_ignored(harness: Harness) -> None:
    for _ in range(10_000):
        harness.detectors.not_found("192.0.2.1", "/healthz")
        harness.now += 0.1
    assert harness.reported == []


def test_slow_crawler_is_ignored(harness: Harness) -> None:
    for number in range(1000):
        harness.detectors.not_found("192.0.2.1", f"/{number}")
        harness.now += 5
    assert harness.reported == []


# -------------------------------------------------------------------------------------------------------- MFA fatigue


def test_success_after_failed_challenges_is_critical(harness: Harness) -> None:
    for _ in range(4):
        harness.answer_mfa(success=False)
    assert harness.reported == []
    harness.answer_mfa(success=False)
    harness.now += 60
    assert harness.reported == [("mfa_fatigue", "warning")]
    harness.answer_mfa(success=True)
    harness.answer_mfa(success=True)
    assert harness.reported == [("mfa_fatigue", "warning"), ("mfa_fatigue", "critical")]


def test_success_long_after_failed_challenges_is_ignored(harness: Harness) -> None:
    for _ in range(5):
        harness.answer_mfa(success=False)
    harness.now += 601
    harness.answer_mfa(success=True)
    assert harness.reported == [("mfa_fatigue", "warning")]


def test_mistyped_codes_are_ignored(harness: Harness) -> None:
    for _ in range(50):
        for _ in range(3):
            harness.answer_mfa(success=False)
        harness.answer_mfa(success=True)
        harness.now += 601
    assert harness.reported == []


def test_failed_challenges_of_many_accounts_are_ignored(harness: Harness) -> None:
    for number in range(100):
        harness.answer_mfa(success=False, account=f"account-{number}")
    assert harness.reported == []


# ------------------------------------------------------------------------------------------------------------ all rules


def _stuff(harness: Harness, step: int) -> None:
    harness.fail(f"account-{step}")


def _spray(harness: Harness, step: int) -> None:
    harness.fail("ada", f"10.0.{step >> 8}.{step & 255}")


def _scan(harness: Harness, step: int) -> None:
    harness.detectors.not_found("192.0.2.1", f"/{step}")


def _fatigue(harness: Harness, step: int) -> None:
    harness.answer_mfa(success=False)


ATTACKS = {
    "credential_stuffing": _stuff,
    "password_spraying": _spray,
    "path_scanning": _scan,
    "mfa_fatigue": _fatigue,
}


@pytest.mark.parametrize("kind", ATTACKS)
def test_continuing_attack_is_reported_every_five_minutes(harness: Harness, kind: str) -> None:
    for step in range(10_000):
        ATTACKS[kind](harness, step)
        harness.now += 0.1
    assert Counter(name for name, _ in harness.reported) == {kind: 4}


@pytest.mark.parametrize("kind", ATTACKS)
def test_disabled_rule_reports_nothing(kind: str) -> None:
    harness = Harness(*(name for name in KINDS if name != kind))
    for step in range(100):
        ATTACKS[kind](harness, step)
    assert harness.reported == []


@pytest.mark.parametrize("kind", ATTACKS)
def test_attack_is_detected_in_a_flood_of_other_clients(kind: str) -> None:
    harness = Harness()
    for step in range(40):
        ATTACKS[kind](harness, step)
        for other in range(200):
            address = f"172.16.{step}.{other}"
            harness.fail(f"other-{step}-{other}", address)
            harness.detectors.not_found(address, "/")
            harness.answer_mfa(success=False, account=f"other-{step}-{other}")
    assert {name for name, _ in harness.reported} == {kind}


def test_memory_is_bounded_in_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    capacity = 256
    monkeypatch.setattr(sliding_window, "CAPACITY", capacity)
    harness = Harness()

    def flood(rounds: range) -> int:
        for number in range(rounds.start * capacity, rounds.stop * capacity):
            harness.login(f"good-{number}", f"2001:db8:{number:x}::1", country="FR")
            harness.fail(f"bad-{number}" * 20, f"192.0.2.{number}" * 20)
            harness.answer_mfa(success=False, account=f"tired-{number}")
            harness.detectors.not_found(f"198.51.100.{number}", f"/{number}" * 20)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        full = flood(range(4))
        assert full < 6 * 2 * capacity * 500  # 6 windows of two buckets
        assert flood(range(4, 20)) < full * 1.05
    finally:
        tracemalloc.stop()


def test_memory_of_an_account_in_many_countries() -> None:
    harness = Harness()
    distance_km.cache_clear()
    places, accounts = list(known_countries())[:40], [f"account-{number}" for number in range(100)]
    for place in places:
        harness.login("first", country=place)  # fills the cache of distances
    tracemalloc.start()
    try:
        for account in accounts:
            for place in places:
                harness.login(account, country=place)
        assert tracemalloc.get_traced_memory()[0] < len(accounts) * 2000
    finally:
        tracemalloc.stop()


def test_accounts_addresses_and_paths_are_not_kept(harness: Harness) -> None:
    for step in range(100):
        harness.login("secret-account", "192.0.2.77", success=step % 2 == 0)
        harness.answer_mfa(success=False, account="secret-account")
        harness.detectors.not_found("192.0.2.77", "/secret-path")
    seen: dict[int, object] = {}
    open_: list[Any] = [vars(harness.detectors)["_authentication"], vars(harness.detectors)["_second_factor"]]
    open_.append(vars(harness.detectors)["_not_found"])
    while open_:
        thing = open_.pop()
        if id(thing) not in seen and not isinstance(thing, type) and not callable(thing):
            seen[id(thing)] = thing
            open_.extend(gc.get_referents(thing))
    kept = [repr(thing) for thing in seen.values() if isinstance(thing, (str, bytes, int))]
    assert len(kept) > 10
    assert not [text for text in kept if "secret" in text or "192.0.2" in text]


def test_hash_of_an_account_differs_between_processes() -> None:
    first, second = (vars(Harness().detectors)["_key"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("bad", [None, "", "\ud800", 7, b"x", [], "x" * 1_000_000, "::", "2001:db8::1%eth0", "\0"])
def test_invalid_input_does_not_raise(harness: Harness, bad: Any) -> None:
    for success in (True, False):
        for _ in range(40):
            harness.detectors.authentication(success=success, address=bad, account=bad, country=bad)
            harness.detectors.second_factor(success=success, account=bad, address=bad)
            harness.detectors.not_found(bad, bad)
    harness.reported.clear()
    for number in range(15):
        harness.fail(f"account-{number}", "203.0.113.1")
    assert ("credential_stuffing", "critical") in harness.reported


@pytest.mark.parametrize("account", [7, "\ud800", "x" * 1_000_000, ""])
def test_account_of_any_type_is_accepted(harness: Harness, account: Any) -> None:
    for _ in range(5):
        harness.answer_mfa(success=False, account=account)
    assert harness.reported == [("mfa_fatigue", "warning")]


def test_exception_is_logged_once_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    def fail(kind: str, severity: str) -> None:
        raise RuntimeError("with a secret")

    detectors = Detectors(KINDS, fail)
    with caplog.at_level(logging.WARNING):
        for account in range(3):
            for _ in range(5):
                detectors.second_factor(success=False, account=str(account), address=None)
    assert len(caplog.records) == 1
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_threads_report_one_incident() -> None:
    inside, most, raised = 0, 0, list[str]()

    def clock() -> float:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0)  # another thread may run
        inside -= 1
        return 1000.0

    detectors = Detectors(KINDS, lambda name, _severity: raised.append(name), clock=clock)

    def work(name: int) -> None:
        for step in range(300):
            detectors.authentication(success=False, address="192.0.2.1", account=f"{name}-{step}", country=None)
            detectors.not_found("192.0.2.1", f"/{name}/{step}")
            detectors.second_factor(success=False, account="ada", address=None)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sorted(raised) == ["credential_stuffing", "mfa_fatigue", "path_scanning"]


# ------------------------------------------------------------------------------------------------------------ countries


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("DE", "FR", 0, 0),
        ("DE", "DE", 0, 0),
        ("RU", "US", 0, 100),  # the Diomede islands are 4 km apart
        ("US", "GB", 2500, 4000),  # Maine and Northern Ireland, 4,100 km
        ("DE", "JP", 6500, 8500),
        ("NZ", "ES", 15_000, 19_500),
        ("FR", "RE", 7500, 9300),  # overseas territories are separate entries
        ("FJ", "TO", 0, 800),  # on both sides of 180 degrees
        ("DE", "XX", 0, 0),
    ],
)
def test_distance_between_countries(one: str, other: str, least: float, most: float) -> None:
    assert least <= distance_km(one, other) <= most
    assert distance_km(other, one) == distance_km(one, other)


def test_every_country_has_a_location() -> None:
    codes = list(known_countries())
    assert len(codes) == len(set(codes)) == 248
    for code in codes:
        assert len(code) == 2
        assert max(distance_km(code, far) for far in ("NZ", "ES", "US", "CN")) > 0


# -------------------------------------------------------------------------------------------------- precision, recall


def _floors() -> list[Any]:
    # Slightly below the results with a tenth of the clients. For all clients: `python -m benchmarks.detectors`.
    return [
        pytest.param("credential_stuffing", 0.95, 0.8, id="credential_stuffing"),
        pytest.param("password_spraying", 0.9, 0.7, id="password_spraying"),
        pytest.param("impossible_travel", 0.6, 0.55, id="impossible_travel"),
        pytest.param("path_scanning", 0.75, 0.45, id="path_scanning"),
        pytest.param("mfa_fatigue", 0.8, 0.6, id="mfa_fatigue"),
    ]


@pytest.fixture(scope="module")
def a_day() -> Any:
    return replay(Scenario(share=0.1).events())


@pytest.mark.parametrize(("kind", "precision", "recall"), _floors())
def test_precision_and_recall_on_a_day(a_day: Any, kind: str, precision: float, recall: float) -> None:
    assert a_day.precision(kind) >= precision
    assert a_day.recall(kind) >= recall


def test_scenario_is_deterministic() -> None:
    make: Callable[[], Any] = lambda: Scenario(share=0.01).events()  # noqa: E731
    assert make() == make()
