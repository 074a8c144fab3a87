"""Offenders: the addresses that fail most, in bounded memory."""

import sys
import threading
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random

import pytest

from trust_otel import settings
from trust_otel.security.heavy_hitters import MOST_FAILURES, Offenders

MINUTE = 60
HOUR = 3600


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _shown(offenders: Offenders) -> dict[object, float]:
    return {labels["client.address"]: count for count, labels in offenders.rows()}


def _fail(offenders: Offenders, address: str, times: int) -> None:
    for _ in range(times):
        assert offenders.add(address)


class TestThreshold:
    def test_address_below_it_is_never_shown(self) -> None:
        offenders = Offenders(threshold=3, capacity=10)
        _fail(offenders, "192.0.2.1", 2)
        assert _shown(offenders) == {}

    def test_address_at_it_is_shown_with_all_its_failures(self) -> None:
        offenders = Offenders(threshold=3, capacity=10)
        seen = []
        for _ in range(5):
            _fail(offenders, "192.0.2.1", 1)
            seen.append(_shown(offenders).get("192.0.2.1", 0))
        assert seen == [0, 0, 3, 4, 5]

    def test_of_one_shows_the_first_failure(self) -> None:
        offenders = Offenders(threshold=1, capacity=10)
        _fail(offenders, "192.0.2.1", 1)
        assert _shown(offenders) == {"192.0.2.1": 1}

    def test_at_its_largest_is_reached(self) -> None:
        offenders = Offenders(threshold=MOST_FAILURES, capacity=10)
        _fail(offenders, "192.0.2.1", MOST_FAILURES - 1)
        assert _shown(offenders) == {}
        _fail(offenders, "192.0.2.1", 2)
        assert _shown(offenders) == {"192.0.2.1": MOST_FAILURES + 1}

    def test_is_taken_as_a_setting_up_to_its_largest(self) -> None:
        name = "TRUST_OTEL_OFFENDER_THRESHOLD"
        assert settings.check({name: str(MOST_FAILURES)}) == []
        assert settings.check({name: str(MOST_FAILURES + 1)}) != []

    @pytest.mark.parametrize(("seconds", "shown"), [(HOUR - 1, True), (HOUR, False)])
    def test_counts_the_failures_of_an_hour(self, clock: Clock, seconds: int, shown: bool) -> None:
        offenders = Offenders(threshold=3, capacity=10, clock=clock)
        _fail(offenders, "192.0.2.1", 2)
        clock.now = seconds
        _fail(offenders, "192.0.2.1", 1)
        assert bool(_shown(offenders)) == shown

    @pytest.mark.parametrize(("seconds", "begins_with"), [(0, 6), (60, 6), (120, 3), (600, 1), (3599, 1)])
    def test_failures_that_took_longer_than_a_minute_begin_at_their_pace_and_not_as_a_burst(
        self, clock: Clock, seconds: int, begins_with: int
    ) -> None:
        offenders = Offenders(threshold=6, capacity=10, clock=clock)
        _fail(offenders, "192.0.2.1", 5)
        clock.now = seconds
        _fail(offenders, "192.0.2.1", 1)
        assert _shown(offenders) == {"192.0.2.1": begins_with}
        _fail(offenders, "192.0.2.1", 10)
        assert _shown(offenders) == {"192.0.2.1": begins_with + 10}


class TestForgetting:
    def test_after_an_hour_without_a_failure(self, clock: Clock) -> None:
        offenders = Offenders(threshold=1, capacity=10, clock=clock)
        _fail(offenders, "192.0.2.1", 1)
        clock.now = HOUR
        assert _shown(offenders) == {"192.0.2.1": 1}
        clock.now = HOUR + 1
        assert _shown(offenders) == {}

    def test_not_while_it_goes_on(self, clock: Clock) -> None:
        offenders = Offenders(threshold=1, capacity=10, clock=clock)
        for hour in range(5):
            clock.now = hour * HOUR
            _fail(offenders, "192.0.2.1", 1)
        assert _shown(offenders) == {"192.0.2.1": 5}

    @pytest.mark.parametrize("collected_between", [True, False])
    def test_who_comes_back_begins_anew(self, clock: Clock, collected_between: bool) -> None:
        offenders = Offenders(threshold=2, capacity=10, clock=clock)
        _fail(offenders, "192.0.2.1", 9)
        clock.now = 2 * HOUR
        if collected_between:
            assert _shown(offenders) == {}
        _fail(offenders, "192.0.2.1", 1)
        assert _shown(offenders) == {}
        _fail(offenders, "192.0.2.1", 1)
        assert _shown(offenders) == {"192.0.2.1": 2}


class TestCapacity:
    def test_no_more_are_shown_and_the_rest_is_told(self, clock: Clock) -> None:
        offenders = Offenders(threshold=1, capacity=2, clock=clock)
        assert [offenders.add(f"192.0.2.{number}") for number in range(4)] == [True, True, False, False]
        assert offenders.add("192.0.2.0")
        assert _shown(offenders) == {"192.0.2.0": 2, "192.0.2.1": 1}

    def test_those_who_go_on_keep_their_place_under_a_flood(self, clock: Clock) -> None:
        offenders = Offenders(threshold=2, capacity=3, clock=clock)
        active = [f"192.0.2.{number}" for number in range(3)]
        refused = 0
        for second in range(HOUR):
            clock.now = second
            if second % (4 * MINUTE) < 2:
                for address in active:
                    _fail(offenders, address, 1)
            refused += not offenders.add(f"2001:db8::{second // 2:x}")
        assert _shown(offenders) == dict.fromkeys(active, 2 * 15)
        assert refused == HOUR / 2

    def test_the_one_that_has_been_quiet_longest_gives_way_after_five_minutes(self, clock: Clock) -> None:
        offenders = Offenders(threshold=1, capacity=2, clock=clock)
        _fail(offenders, "192.0.2.1", 9)
        clock.now = 1
        _fail(offenders, "192.0.2.2", 1)
        clock.now = 5 * MINUTE
        assert not offenders.add("192.0.2.3")
        clock.now += 1
        _fail(offenders, "192.0.2.3", 1)
        assert _shown(offenders) == {"192.0.2.2": 1, "192.0.2.3": 1}

    def test_nobody_gives_way_to_a_slower_one(self, clock: Clock) -> None:
        offenders = Offenders(threshold=2, capacity=1, clock=clock)
        offenders.add("192.0.2.2")
        clock.now = 10 * MINUTE
        _fail(offenders, "192.0.2.1", 2)
        clock.now = 20 * MINUTE
        assert not offenders.add("192.0.2.2")
        _fail(offenders, "192.0.2.3", 2)
        assert set(_shown(offenders)) == {"192.0.2.3"}

    def test_who_came_back_is_no_longer_the_quietest(self, clock: Clock) -> None:
        offenders = Offenders(threshold=1, capacity=3, clock=clock)
        for clock.now, number in ((0, 1), (3000, 2), (HOUR + 1, 1), (HOUR + 1, 3), (HOUR + 6 * MINUTE, 4)):
            _fail(offenders, f"192.0.2.{number}", 1)
        assert set(_shown(offenders)) == {"192.0.2.1", "192.0.2.3", "192.0.2.4"}

    def test_a_place_is_free_again_when_an_offender_is_forgotten(self, clock: Clock) -> None:
        offenders = Offenders(threshold=1, capacity=1, clock=clock)
        _fail(offenders, "192.0.2.1", 1)
        clock.now = HOUR + 1
        _fail(offenders, "192.0.2.2", 1)
        assert _shown(offenders) == {"192.0.2.2": 1}


def _one_at_a_time(random: Random) -> Iterator[str]:
    """Attackers that change their address after a few failures."""
    while True:
        address = f"192.0.2.{random.randrange(200)}"
        yield from [address] * random.randrange(1, 9)


def _flood(random: Random) -> Iterator[str]:
    """One attacker among addresses that never come back."""
    while True:
        yield "192.0.2.1" if random.random() < 0.1 else f"2001:db8::{random.getrandbits(64):x}"


def _network(random: Random) -> Iterator[str]:
    """A client that walks through its /64, each address just below the threshold, and an attacker."""
    while True:
        yield from [f"2001:db8::{random.getrandbits(64):x}"] * 3
        yield "192.0.2.1"


def _tail(random: Random) -> Iterator[str]:
    """Addresses of all rates."""
    while True:
        yield f"192.0.2.{int(random.paretovariate(0.6)) % 1000}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stream", [_one_at_a_time, _flood, _network, _tail])
@pytest.mark.parametrize(("cells", "capacity"), [(16, 5), (64, 50)])
def test_what_the_class_promises_holds_against_an_exact_count(
    stream: Callable[[Random], Iterator[str]], seed: int, cells: int, capacity: int, clock: Clock
) -> None:
    threshold = 4
    offenders = Offenders(threshold=threshold, capacity=capacity, cells=cells, clock=clock)
    random = Random(seed)
    unshown: defaultdict[str, list[float]] = defaultdict(list)  # times of failures of addresses not shown
    answered: dict[str, float] = {}  # when an address was last shown or refused
    begun: defaultdict[str, int] = defaultdict(int)  # failures since it was last shown
    before: dict[object, float] = {}
    promised = 0
    for address, _ in zip(stream(random), range(1000), strict=False):
        clock.now += random.choice((0, 1, 2, 5, 30)) if random.random() > 0.002 else random.choice((900, 4000))
        before = {other: count for other, count in before.items() if other in _shown(offenders)}
        counted = offenders.add(address)
        after = _shown(offenders)

        begun[address] += 1
        for other, count in after.items():
            answered[str(other)] = clock.now
            assert count <= begun[str(other)]
            if other in before:
                assert count == before[other] + (other == address)
        if not counted:
            assert address not in after
            assert len(after) == capacity
            answered[address] = clock.now
        if address not in before:
            unshown[address].append(clock.now)
        for other in set(before) - set(after):
            begun[str(other)] = 0

        beginning = clock.now - HOUR
        if answered.get(address, -HOUR) <= beginning:
            failures = sum(time > beginning for time in unshown[address])
            others = sum(
                time > beginning
                for other, times in unshown.items()
                if other != address and hash(other) % cells == hash(address) % cells
                for time in times
            )
            assert failures < 2 * threshold - 1 + others
        promised += address in after
        before = after
    assert promised


def test_attacker_is_found_among_two_hundred_thousand_addresses(clock: Clock) -> None:
    offenders = Offenders(threshold=10, capacity=10, clock=clock)
    for number in range(200_000):
        clock.now = number * HOUR / 200_000
        offenders.add(f"2001:db8::{number:x}")
        if number % 2000 == 0:
            offenders.add("192.0.2.1")
    # 100 in an hour; the first 10 took six minutes, which is 1 to 2 a minute.
    assert set(_shown(offenders)) == {"192.0.2.1"}
    assert 100 - 15 <= _shown(offenders)["192.0.2.1"] <= 100


class TestMemory:
    def test_stays_below_ten_megabytes_whatever_comes(self, clock: Clock) -> None:
        tracemalloc.start()
        offenders = Offenders(threshold=1, capacity=2000, clock=clock)
        for number in range(100_000):
            clock.now += 0.01
            offenders.add(f"2001:0db8:1234:5678:9abc:def0:{number >> 16:04x}:{number & 65535:04x}")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(_shown(offenders)) == 2000
        assert most < 10_000_000

    def test_is_not_taken_before_the_first_failure(self) -> None:
        tracemalloc.start()
        offenders = Offenders(threshold=5, capacity=2000)
        assert _shown(offenders) == {}
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 10_000


class TestThreads:
    def test_lose_no_failure(self) -> None:
        cells = 2**16
        offenders = Offenders(threshold=2, capacity=2000, cells=cells)
        # Each in a cell of its own: two in one would take failures from each other.
        addresses = list(
            {hash(address) % cells: address for address in map("2001:db8::{:x}".format, range(1000))}.values()
        )

        def work() -> None:
            for address in addresses:
                offenders.add(address)

        threads = [threading.Thread(target=work) for _ in range(8)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                assert all(2 <= count <= 8 for count in _shown(offenders).values())
        finally:
            for thread in threads:
                thread.join()
            sys.setswitchinterval(interval)
        assert _shown(offenders) == dict.fromkeys(addresses, 8)

    @pytest.mark.timeout(10)
    def test_a_failure_that_is_counted_in_the_middle_of_another_blocks_nobody(self) -> None:
        # As by a finalizer that the garbage collection runs.
        again = ["198.51.100.1"]

        def clock() -> float:
            if again:
                offenders.add(again.pop())
            return 0.0

        offenders = Offenders(threshold=1, capacity=10, clock=clock)
        offenders.add("192.0.2.1")
        assert _shown(offenders) == {"192.0.2.1": 1, "198.51.100.1": 1}
