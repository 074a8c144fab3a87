"""HeavyHitters: which addresses are exported, and their counts."""

import sys
import threading
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random

import pytest

from trust_otel import settings
from trust_otel.security.heavy_hitters import MAX_THRESHOLD, HeavyHitters

MINUTE = 60
HOUR = 3600


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _exported(hitters: HeavyHitters) -> dict[object, float]:
    return {labels["client.address"]: count for count, labels in hitters.rows()}


def _fail(hitters: HeavyHitters, address: str, times: int) -> None:
    for _ in range(times):
        assert hitters.add(address)


class TestThreshold:
    def test_address_below_the_threshold_is_not_exported(self) -> None:
        hitters = HeavyHitters(threshold=3, capacity=10)
        _fail(hitters, "192.0.2.1", 2)
        assert _exported(hitters) == {}

    def test_address_at_the_threshold_is_exported_with_all_its_failures(self) -> None:
        hitters = HeavyHitters(threshold=3, capacity=10)
        seen = []
        for _ in range(5):
            _fail(hitters, "192.0.2.1", 1)
            seen.append(_exported(hitters).get("192.0.2.1", 0))
        assert seen == [0, 0, 3, 4, 5]

    def test_threshold_of_1_exports_the_first_failure(self) -> None:
        hitters = HeavyHitters(threshold=1, capacity=10)
        _fail(hitters, "192.0.2.1", 1)
        assert _exported(hitters) == {"192.0.2.1": 1}

    def test_largest_threshold(self) -> None:
        hitters = HeavyHitters(threshold=MAX_THRESHOLD, capacity=10)
        _fail(hitters, "192.0.2.1", MAX_THRESHOLD - 1)
        assert _exported(hitters) == {}
        _fail(hitters, "192.0.2.1", 2)
        assert _exported(hitters) == {"192.0.2.1": MAX_THRESHOLD + 1}

    def test_setting_accepts_thresholds_up_to_the_largest(self) -> None:
        name = "TRUST_OTEL_OFFENDER_THRESHOLD"
        assert settings.check({name: str(MAX_THRESHOLD)}) == []
        assert settings.check({name: str(MAX_THRESHOLD + 1)}) != []

    @pytest.mark.parametrize(("seconds", "exported"), [(HOUR - 1, True), (HOUR, False)])
    def test_counts_failures_within_an_hour(self, clock: Clock, seconds: int, exported: bool) -> None:
        hitters = HeavyHitters(threshold=3, capacity=10, clock=clock)
        _fail(hitters, "192.0.2.1", 2)
        clock.now = seconds
        _fail(hitters, "192.0.2.1", 1)
        assert bool(_exported(hitters)) == exported

    @pytest.mark.parametrize(("seconds", "initial"), [(0, 6), (60, 6), (120, 3), (600, 1), (3599, 1)])
    def test_count_of_a_slow_address_starts_with_the_failures_of_one_minute(
        self, clock: Clock, seconds: int, initial: int
    ) -> None:
        hitters = HeavyHitters(threshold=6, capacity=10, clock=clock)
        _fail(hitters, "192.0.2.1", 5)
        clock.now = seconds
        _fail(hitters, "192.0.2.1", 1)
        assert _exported(hitters) == {"192.0.2.1": initial}
        _fail(hitters, "192.0.2.1", 10)
        assert _exported(hitters) == {"192.0.2.1": initial + 10}


class TestExpiry:
    def test_expires_after_an_hour_without_a_failure(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=1, capacity=10, clock=clock)
        _fail(hitters, "192.0.2.1", 1)
        clock.now = HOUR
        assert _exported(hitters) == {"192.0.2.1": 1}
        clock.now = HOUR + 1
        assert _exported(hitters) == {}

    def test_does_not_expire_while_failures_continue(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=1, capacity=10, clock=clock)
        for hour in range(5):
            clock.now = hour * HOUR
            _fail(hitters, "192.0.2.1", 1)
        assert _exported(hitters) == {"192.0.2.1": 5}

    @pytest.mark.parametrize("collected_between", [True, False])
    def test_expired_address_starts_again_below_the_threshold(self, clock: Clock, collected_between: bool) -> None:
        hitters = HeavyHitters(threshold=2, capacity=10, clock=clock)
        _fail(hitters, "192.0.2.1", 9)
        clock.now = 2 * HOUR
        if collected_between:
            assert _exported(hitters) == {}
        _fail(hitters, "192.0.2.1", 1)
        assert _exported(hitters) == {}
        _fail(hitters, "192.0.2.1", 1)
        assert _exported(hitters) == {"192.0.2.1": 2}


class TestCapacity:
    def test_further_addresses_are_rejected(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=1, capacity=2, clock=clock)
        assert [hitters.add(f"192.0.2.{number}") for number in range(4)] == [True, True, False, False]
        assert hitters.add("192.0.2.0")
        assert _exported(hitters) == {"192.0.2.0": 2, "192.0.2.1": 1}

    def test_active_addresses_are_kept_during_a_flood(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=2, capacity=3, clock=clock)
        active = [f"192.0.2.{number}" for number in range(3)]
        rejected = 0
        for second in range(HOUR):
            clock.now = second
            if second % (4 * MINUTE) < 2:
                for address in active:
                    _fail(hitters, address, 1)
            rejected += not hitters.add(f"2001:db8::{second // 2:x}")
        assert _exported(hitters) == dict.fromkeys(active, 2 * 15)
        assert rejected == HOUR / 2

    def test_address_that_has_been_idle_longest_is_replaced_after_five_minutes(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=1, capacity=2, clock=clock)
        _fail(hitters, "192.0.2.1", 9)
        clock.now = 1
        _fail(hitters, "192.0.2.2", 1)
        clock.now = 5 * MINUTE
        assert not hitters.add("192.0.2.3")
        clock.now += 1
        _fail(hitters, "192.0.2.3", 1)
        assert _exported(hitters) == {"192.0.2.2": 1, "192.0.2.3": 1}

    def test_slower_address_does_not_replace_another(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=2, capacity=1, clock=clock)
        hitters.add("192.0.2.2")
        clock.now = 10 * MINUTE
        _fail(hitters, "192.0.2.1", 2)
        clock.now = 20 * MINUTE
        assert not hitters.add("192.0.2.2")
        _fail(hitters, "192.0.2.3", 2)
        assert set(_exported(hitters)) == {"192.0.2.3"}

    def test_new_failure_ends_the_idle_time(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=1, capacity=3, clock=clock)
        for clock.now, number in ((0, 1), (3000, 2), (HOUR + 1, 1), (HOUR + 1, 3), (HOUR + 6 * MINUTE, 4)):
            _fail(hitters, f"192.0.2.{number}", 1)
        assert set(_exported(hitters)) == {"192.0.2.1", "192.0.2.3", "192.0.2.4"}

    def test_expired_address_frees_capacity(self, clock: Clock) -> None:
        hitters = HeavyHitters(threshold=1, capacity=1, clock=clock)
        _fail(hitters, "192.0.2.1", 1)
        clock.now = HOUR + 1
        _fail(hitters, "192.0.2.2", 1)
        assert _exported(hitters) == {"192.0.2.2": 1}


def _one_at_a_time(random: Random) -> Iterator[str]:
    """Attackers that change their address after a few failures."""
    while True:
        address = f"192.0.2.{random.randrange(200)}"
        yield from [address] * random.randrange(1, 9)


def _flood(random: Random) -> Iterator[str]:
    """One attacker among addresses that fail only once."""
    while True:
        yield "192.0.2.1" if random.random() < 0.1 else f"2001:db8::{random.getrandbits(64):x}"


def _network(random: Random) -> Iterator[str]:
    """A client that uses every address of its /64 just below the threshold, and an attacker."""
    while True:
        yield from [f"2001:db8::{random.getrandbits(64):x}"] * 3
        yield "192.0.2.1"


def _tail(random: Random) -> Iterator[str]:
    """Addresses with failure rates from low to high."""
    while True:
        yield f"192.0.2.{int(random.paretovariate(0.6)) % 1000}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stream", [_one_at_a_time, _flood, _network, _tail])
@pytest.mark.parametrize(("buckets", "capacity"), [(16, 5), (64, 50)])
def test_guarantees_hold_against_an_exact_count(
    stream: Callable[[Random], Iterator[str]], seed: int, buckets: int, capacity: int, clock: Clock
) -> None:
    threshold = 4
    hitters = HeavyHitters(threshold=threshold, capacity=capacity, buckets=buckets, clock=clock)
    random = Random(seed)
    not_exported: defaultdict[str, list[float]] = defaultdict(list)  # failure times
    answered: dict[str, float] = {}  # when an address was last exported or rejected
    begun: defaultdict[str, int] = defaultdict(int)  # failures since the address was last exported
    before: dict[object, float] = {}
    exported = 0
    for address, _ in zip(stream(random), range(1000), strict=False):
        clock.now += random.choice((0, 1, 2, 5, 30)) if random.random() > 0.002 else random.choice((900, 4000))
        before = {other: count for other, count in before.items() if other in _exported(hitters)}
        counted = hitters.add(address)
        after = _exported(hitters)

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
            not_exported[address].append(clock.now)
        for other in set(before) - set(after):
            begun[str(other)] = 0

        beginning = clock.now - HOUR
        if answered.get(address, -HOUR) <= beginning:
            failures = sum(time > beginning for time in not_exported[address])
            others = sum(
                time > beginning
                for other, times in not_exported.items()
                if other != address and hash(other) % buckets == hash(address) % buckets
                for time in times
            )
            assert failures < 2 * threshold - 1 + others
        exported += address in after
        before = after
    assert exported


def test_attacker_is_found_among_two_hundred_thousand_addresses(clock: Clock) -> None:
    hitters = HeavyHitters(threshold=10, capacity=10, clock=clock)
    for number in range(200_000):
        clock.now = number * HOUR / 200_000
        hitters.add(f"2001:db8::{number:x}")
        if number % 2000 == 0:
            hitters.add("192.0.2.1")
    # 100 in an hour; the first 10 took 6 minutes, which is 1 to 2 per minute.
    assert set(_exported(hitters)) == {"192.0.2.1"}
    assert 100 - 15 <= _exported(hitters)["192.0.2.1"] <= 100


class TestMemory:
    def test_stays_below_ten_megabytes(self, clock: Clock) -> None:
        tracemalloc.start()
        hitters = HeavyHitters(threshold=1, capacity=2000, clock=clock)
        for number in range(100_000):
            clock.now += 0.01
            hitters.add(f"2001:0db8:1234:5678:9abc:def0:{number >> 16:04x}:{number & 65535:04x}")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(_exported(hitters)) == 2000
        assert peak < 10_000_000

    def test_is_allocated_at_the_first_failure(self) -> None:
        tracemalloc.start()
        hitters = HeavyHitters(threshold=5, capacity=2000)
        assert _exported(hitters) == {}
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10_000


class TestThreads:
    def test_no_failure_is_lost(self) -> None:
        buckets = 2**16
        hitters = HeavyHitters(threshold=2, capacity=2000, buckets=buckets)
        # One address per bucket: two in a bucket would decrement each other.
        addresses = list(
            {hash(address) % buckets: address for address in map("2001:db8::{:x}".format, range(1000))}.values()
        )

        def work() -> None:
            for address in addresses:
                hitters.add(address)

        threads = [threading.Thread(target=work) for _ in range(8)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                assert all(2 <= count <= 8 for count in _exported(hitters).values())
        finally:
            for thread in threads:
                thread.join()
            sys.setswitchinterval(interval)
        assert _exported(hitters) == dict.fromkeys(addresses, 8)

    @pytest.mark.timeout(10)
    def test_add_is_reentrant(self) -> None:
        # As from a finalizer that runs during garbage collection.
        again = ["198.51.100.1"]

        def clock() -> float:
            if again:
                hitters.add(again.pop())
            return 0.0

        hitters = HeavyHitters(threshold=1, capacity=10, clock=clock)
        hitters.add("192.0.2.1")
        assert _exported(hitters) == {"192.0.2.1": 1, "198.51.100.1": 1}
