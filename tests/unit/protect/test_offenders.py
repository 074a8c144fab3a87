"""Offenders: the addresses that fail most, in bounded memory."""

import threading
import tracemalloc
from ipaddress import IPv4Address

import pytest

from trust_otel.protect.offenders import Offenders


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _shown(offenders: Offenders) -> dict[object, float]:
    return {labels["client.address"]: count for count, labels in offenders.rows()}


def test_address_under_the_threshold_is_never_shown() -> None:
    offenders = Offenders(threshold=3, capacity=10)
    for _ in range(2):
        assert offenders.add("192.0.2.1")
    assert _shown(offenders) == {}


def test_address_at_the_threshold_is_shown_with_all_its_failures() -> None:
    offenders = Offenders(threshold=3, capacity=10)
    for _ in range(5):
        offenders.add("192.0.2.1")
    assert _shown(offenders) == {"192.0.2.1": 5}


def test_threshold_of_one_shows_the_first_failure() -> None:
    offenders = Offenders(threshold=1, capacity=10)
    offenders.add("192.0.2.1")
    assert _shown(offenders) == {"192.0.2.1": 1}


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("2001:DB8::1", "2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1%eth1", "fe80::1"),
        ("192.0.2.1", IPv4Address("192.0.2.1"), "192.0.2.1"),
    ],
)
def test_one_client_is_one_address_however_it_is_written(one: str, other: str, shown: str) -> None:
    offenders = Offenders(threshold=2, capacity=10)
    offenders.add(one)
    offenders.add(other)
    assert _shown(offenders) == {shown: 2}


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "192.0.2.1:443", "192.0.2.0/24", "1" * 100_000, 3232235777, b"\xc0\x00\x02\x01"],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    offenders = Offenders(threshold=1, capacity=10)
    with pytest.raises(ValueError):  # noqa: PT011
        offenders.add(text)
    assert _shown(offenders) == {}


def test_the_address_that_was_quiet_longest_gives_way() -> None:
    offenders = Offenders(threshold=2, capacity=2)
    offenders.add("192.0.2.1")
    offenders.add("192.0.2.2")
    offenders.add("192.0.2.3")
    offenders.add("192.0.2.1")
    assert _shown(offenders) == {}
    offenders.add("192.0.2.1")
    assert _shown(offenders) == {"192.0.2.1": 2}


def test_no_more_are_shown_than_the_capacity_and_the_rest_is_told() -> None:
    offenders = Offenders(threshold=1, capacity=2)
    assert [offenders.add(f"192.0.2.{number}") for number in range(4)] == [True, True, False, False]
    assert offenders.add("192.0.2.0")
    assert _shown(offenders) == {"192.0.2.0": 2, "192.0.2.1": 1}


def test_offender_is_forgotten_after_an_hour_without_a_failure_and_makes_room() -> None:
    clock = Clock()
    offenders = Offenders(threshold=1, capacity=1, clock=clock)
    offenders.add("192.0.2.1")
    clock.now = 3600
    assert _shown(offenders) == {"192.0.2.1": 1}
    clock.now = 3601
    assert _shown(offenders) == {}
    assert offenders.add("192.0.2.2")
    assert _shown(offenders) == {"192.0.2.2": 1}


def test_offender_that_goes_on_is_not_forgotten() -> None:
    clock = Clock()
    offenders = Offenders(threshold=1, capacity=1, clock=clock)
    for hour in range(5):
        clock.now = hour * 3600.0
        offenders.add("192.0.2.1")
    assert _shown(offenders) == {"192.0.2.1": 5}


def test_addresses_without_end_stay_in_bounded_memory() -> None:
    offenders = Offenders(threshold=2, capacity=100)
    tracemalloc.start()
    for number in range(20_000):
        offenders.add(f"2001:db8::{number:x}%{'x' * 1000}")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000


def test_threads_lose_no_failure() -> None:
    offenders = Offenders(threshold=5, capacity=10)

    def work() -> None:
        for _ in range(2000):
            offenders.add("192.0.2.1")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _shown(offenders) == {"192.0.2.1": 16_000}
