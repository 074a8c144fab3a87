"""`python -m benchmarks.heavy_hitters`: attackers that the alerts find, and the cost of counting failures per address.

A seeded simulation. Within an hour, 10 million addresses fail: a share of k^-2.5 of them k times or more, at most 50
times. In addition there are attackers with several rates, whose intervals vary by up to half. A load balancer
distributes the attempts to the replicas in turn; each exports its series every 15 s; Prometheus sums them.

"Others" are addresses found by an alert that are not attackers. For the alert on a minute they are false positives. For
the alert on an hour they may be true positives: addresses that fail 50 times in each of two hours may fail more than 50
times in an hour between (665 do).

Simplifications: failures within 15 s are in random order and simultaneous; replicas do not restart, exports are not
delayed; an ended series leaves the one-minute window immediately; `increase()` over an hour is not extrapolated, a
difference of less than 1 %.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import tracemalloc
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import inf
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Final, Protocol

from trust_otel.security.heavy_hitters import HeavyHitters

_SEED: Final = 7
_STEP: Final = 15
_MINUTE_STEPS: Final = 4
_HOUR_STEPS: Final = 240
_MOST_BACKGROUND: Final = 50

Clock = Callable[[], float]


class Design(Protocol):
    """A data structure that counts failures per address in a process."""

    def add(self, address: str) -> bool:
        """Count a failure; returns whether there was capacity for it."""

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        """The exported series."""


class Exact:
    """All addresses, unbounded: the reference."""

    def __init__(self, clock: Clock) -> None:
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, address: str) -> bool:
        with self._lock:
            self._failures[address] += 1
        return True

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        return [(count, {"client.address": address}) for address, count in self._failures.items()]


class LeastRecent:
    """The most recently failed addresses; those that reach the threshold meanwhile are exported."""

    def __init__(self, threshold: int, capacity: int, clock: Clock) -> None:
        self._threshold = threshold
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: OrderedDict[str, int] = OrderedDict()
        self._shown: dict[str, tuple[int, float]] = {}

    def add(self, address: str) -> bool:
        with self._lock:
            if address in self._shown:
                self._shown[address] = (self._shown[address][0] + 1, self._clock())
                return True
            failures = self._watched.pop(address, 0) + 1
            if failures < self._threshold:
                self._watched[address] = failures
                if len(self._watched) > self._capacity:
                    self._watched.popitem(last=False)
                return True
            if len(self._shown) >= self._capacity:
                return False
            self._shown[address] = (failures, self._clock())
            return True

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        oldest = self._clock() - 3600
        self._shown = {address: seen for address, seen in self._shown.items() if seen[1] >= oldest}
        return [(count, {"client.address": address}) for address, (count, _) in self._shown.items()]


class SpaceSaving:
    """Space-Saving (Metwally and others, 2005); exports the count since admission, which is never too high.

    With `halve`, the estimates (not the exported counts) are halved every so many seconds.
    """

    def __init__(self, threshold: int, capacity: int, clock: Clock, halve: float = inf) -> None:
        self._threshold = threshold
        self._capacity = capacity
        self._clock = clock
        self._halve = halve
        self._halved = 0.0
        self._lock = threading.Lock()
        self._estimates: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._by_estimate: dict[int, OrderedDict[str, None]] = defaultdict(OrderedDict)
        self._least = 0

    def add(self, address: str) -> bool:
        with self._lock:
            if self._clock() - self._halved > self._halve:
                self._age()
            estimate = self._estimates.get(address)
            if estimate is not None:
                self._take(address, estimate)
            elif len(self._estimates) < self._capacity:
                estimate = self._least = 0
            else:
                estimate = self._least
                victim = next(iter(self._by_estimate[estimate]))
                self._take(victim, estimate)
                del self._estimates[victim], self._seen[victim]
            self._estimates[address] = estimate + 1
            self._seen[address] = self._seen.get(address, 0) + 1
            self._by_estimate[estimate + 1][address] = None
            if self._least not in self._by_estimate:
                self._least = estimate + 1
            return True

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        seen = self._seen.items()
        return [(count, {"client.address": address}) for address, count in seen if count >= self._threshold]

    def _take(self, address: str, estimate: int) -> None:
        same = self._by_estimate[estimate]
        del same[address]
        if not same:
            del self._by_estimate[estimate]

    def _age(self) -> None:
        self._halved = self._clock()
        self._by_estimate = defaultdict(OrderedDict)
        for address, estimate in self._estimates.items():
            self._estimates[address] = (estimate + 1) // 2
            self._by_estimate[self._estimates[address]][address] = None
        self._least = min(self._by_estimate, default=0)


class CountMin:
    """A count-min sketch with two rows (Cormode and Muthukrishnan, 2005), cleared every hour, in front of a table."""

    def __init__(self, threshold: int, capacity: int, clock: Clock, cells: int = 2**21) -> None:
        self._threshold = threshold
        self._capacity = capacity
        self._clock = clock
        self._mask = cells - 1
        self._lock = threading.Lock()
        self._rows = bytearray(cells), bytearray(cells)
        self._emptied = 0.0
        self._shown: OrderedDict[str, int] = OrderedDict()

    def add(self, address: str) -> bool:
        with self._lock:
            if self._clock() - self._emptied > 3600:
                self._emptied = self._clock()
                self._rows = bytearray(self._mask + 1), bytearray(self._mask + 1)
            if address in self._shown:
                self._shown[address] += 1
                self._shown.move_to_end(address)
                return True
            key = hash(address)
            one, other = self._rows
            first, second = key & self._mask, (key >> 32) & self._mask
            estimate = min(one[first], other[second], 254) + 1
            one[first] = max(one[first], estimate)
            other[second] = max(other[second], estimate)
            if estimate >= self._threshold:
                self._shown[address] = estimate
                if len(self._shown) > self._capacity:
                    self._shown.popitem(last=False)
            return True

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        return [(count, {"client.address": address}) for address, count in self._shown.items()]


@dataclass(frozen=True)
class Kind:
    """A class of attackers.

    Attributes:
        name: Failures per minute, for the table.
        slowest: Minimum failures per minute.
        fastest: Maximum failures per minute. The attackers are evenly distributed on a logarithmic scale.
        number: Number of attackers.
    """

    name: str
    slowest: float
    fastest: float
    number: int


KINDS: Final = (
    Kind("1 to 2", 1, 2, 100),
    Kind("2 to 5", 2, 5, 100),
    Kind("5 to 9", 5, 9, 100),
    Kind("10", 10, 10, 200),
    Kind("10 to 20", 10.1, 20, 200),
    Kind("20 to 50", 20, 50, 200),
    Kind("50 to 100", 50, 100, 200),
    Kind("100 to 500", 100, 500, 200),
)


@dataclass(frozen=True)
class Scale:
    """Size of the simulation.

    Attributes:
        addresses: Other failing addresses per hour.
        warm_up: Minutes before the attacks.
        attack: Minutes of the attacks.
    """

    addresses: int
    warm_up: int
    attack: int

    @property
    def steps(self) -> int:
        return (self.warm_up + self.attack) * _MINUTE_STEPS


class Traffic:
    """The failures in each step, reproducible."""

    def __init__(self, scale: Scale) -> None:
        self._random = Random(_SEED)  # noqa: S311 - repeatable on purpose
        self._scale = scale
        self.begins: dict[str, float] = {}
        self.kind_of: dict[str, Kind] = {}
        self._intervals: dict[str, float] = {}
        for kind in KINDS:
            for number in range(kind.number):
                address = f"203.0.113.{len(self.begins)}"
                share = (number + 0.5) / kind.number
                self._intervals[address] = 60 / (kind.slowest * (kind.fastest / kind.slowest) ** share)
                self.begins[address] = scale.warm_up * 60 + self._random.uniform(0, 60)
                self.kind_of[address] = kind

    def steps(self) -> Iterator[list[str]]:
        """The failing addresses of each 15 seconds, in random order."""
        due = dict(self.begins)
        background = self._background()
        for step in range(self._scale.steps):
            failing = next(background)
            for address, at in due.items():
                end = (step + 1) * _STEP
                while at < end:
                    failing.append(address)
                    at += self._intervals[address] * self._random.uniform(0.5, 1.5)
                due[address] = at
            self._random.shuffle(failing)
            yield failing

    def _background(self) -> Iterator[list[str]]:
        hour = array("I")
        for address in range(self._scale.addresses):
            failures = min(int((1 - self._random.random()) ** -0.4), _MOST_BACKGROUND)
            hour.extend([address] * failures)
        while True:
            self._random.shuffle(hour)
            bounds = [len(hour) * step // _HOUR_STEPS for step in range(_HOUR_STEPS + 1)]
            for begin, end in pairwise(bounds):
                yield [f"2001:db8:{key >> 16:x}:{key & 65535:x}::1" for key in hour[begin:end]]


class Prometheus:
    """The alert rules over the series of all replicas.

    Attributes:
        found: Step in which each address first fired, by the rule's window in minutes.
        most_series: Maximum number of series.
    """

    def __init__(self, replicas: int) -> None:
        # Replicas export at different times: the age of each one's last sample at the rule evaluation.
        self._ages = [_STEP * (replica + 0.5) / replicas for replica in range(replicas)]
        self._series: list[dict[str, deque[float]]] = [{} for _ in range(replicas)]
        self._hour: deque[dict[str, float]] = deque()
        self._hour_sum: defaultdict[str, float] = defaultdict(float)
        self.found: dict[int, dict[str, int]] = {1: {}, 60: {}}
        self.most_series = 0

    def collect(self, step: int, replicas: Iterable[Design]) -> None:
        """Receive an export of every replica, and evaluate the rules."""
        minute: defaultdict[str, float] = defaultdict(float)
        grown: defaultdict[str, float] = defaultdict(float)
        for number, replica in enumerate(replicas):
            before, self._series[number] = self._series[number], {}
            for value, labels in replica.rows():
                address = str(labels["client.address"])
                samples = before.get(address)
                if samples is None or samples[-1] > value:
                    samples = deque((0.0,), _MINUTE_STEPS)  # a new series starts at 0, at the previous collection
                grown[address] += value - samples[-1]
                samples.append(value)
                self._series[number][address] = samples
                minute[address] += increase_of_a_minute(samples, self._ages[number])
        self.most_series = max(self.most_series, sum(map(len, self._series)))
        self._slide(grown)
        for address, value in minute.items():
            if value > 10:
                self.found[1].setdefault(address, step)
            if self._hour_sum[address] > 50:
                self.found[60].setdefault(address, step)

    def _slide(self, grown: Mapping[str, float]) -> None:
        self._hour.append({address: value for address, value in grown.items() if value})
        for address, value in self._hour[-1].items():
            self._hour_sum[address] += value
        if len(self._hour) > _HOUR_STEPS:
            for address, value in self._hour.popleft().items():
                self._hour_sum[address] -= value


def increase_of_a_minute(samples: deque[float], age: float) -> float:
    """`increase(...[1m])` as Prometheus extrapolates it.

    Args:
        samples: The last one to four values, at intervals of 15 s.
        age: Seconds since the last value.
    """
    growth = samples[-1] - samples[0]
    if not growth:
        return 0
    sampled = _STEP * (len(samples) - 1)
    before = 60 - age - sampled
    if before >= 1.1 * _STEP:
        before = _STEP / 2
    # Prometheus does not extrapolate a counter below 0.
    before = min(before, sampled * samples[0] / growth)
    return growth * (sampled + before + age) / sampled


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes:
        name: Description.
        make: Creates the data structure of a replica.
        replicas: Number of replicas.
        by_source: Whether requests are routed by client address.
        only_attackers: Leave out other addresses, because each would be a series.
    """

    name: str
    make: Callable[[Clock], Design]
    replicas: int = 50
    by_source: bool = False
    only_attackers: bool = False


@dataclass(frozen=True)
class Result:
    """Result of a case: minutes to the detection of each found address, by window in minutes and kind."""

    name: str
    delays: dict[tuple[int, str], list[float]]
    others: dict[int, int]
    most_series: int
    refused: int
    failures: int


def simulate(case: Case, scale: Scale) -> Result:
    """Run one case."""
    now = [0.0]
    replicas = [case.make(lambda: now[0]) for _ in range(case.replicas)]
    adds = [replica.add for replica in replicas]
    traffic, prometheus = Traffic(scale), Prometheus(case.replicas)
    turn = failures = refused = 0
    for step, failing in enumerate(traffic.steps()):
        now[0] = float(step * _STEP)
        if case.only_attackers:
            failing = [address for address in failing if address in traffic.begins]
        failures += len(failing)
        for address in failing:
            turn += 1
            if not adds[(hash(address) if case.by_source else turn) % case.replicas](address):
                refused += 1
        prometheus.collect(step + 1, replicas)
    delays: dict[tuple[int, str], list[float]] = defaultdict(list)
    others: Counter[int] = Counter()
    for window, found in prometheus.found.items():
        for address, at in found.items():
            if address in traffic.begins:
                delays[window, traffic.kind_of[address].name].append((at * _STEP - traffic.begins[address]) / 60)
            else:
                others[window] += 1
    return Result(case.name, delays, dict(others), prometheus.most_series, refused, failures)


def print_alerts(title: str, results: Iterable[Result]) -> None:
    """Two Markdown tables: of the alert on a minute, and of the alert on an hour."""
    results = tuple(results)
    for window, alert in ((1, "more than 10 per minute"), (60, "more than 50 per hour")):
        show(f"\n{title}; alert on {alert}: attackers found by kind (minutes: median, maximum)\n")
        names = [f"{kind.name} /min" for kind in KINDS]
        header = ["", *names, "others", "series", "refused"]
        rows = [[result.name, *_found(result, window)] for result in results]
        print_table(header, rows)


def _found(result: Result, window: int) -> list[str]:
    cells = []
    for kind in KINDS:
        delays = result.delays.get((window, kind.name), [])
        times = f" ({median(delays):.1f}, {max(delays):.1f})" if delays else ""
        cells.append(f"{len(delays)} of {kind.number}{times}")
    refused = f"{result.refused / result.failures:.2%}" if result.refused else "0"
    return [*cells, str(result.others.get(window, 0)), f"{result.most_series:,}", refused]


def print_table(header: list[str], rows: Iterable[list[str]]) -> None:
    """A Markdown table."""
    show("| " + " | ".join(header) + " |")
    show("|---" * len(header) + "|")
    for row in rows:
        show("| " + " | ".join(row) + " |")


def show(text: str) -> None:
    """Print a line immediately."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def heavy_hitters(threshold: int, capacity: int = 1000, buckets: int = 2**19) -> Callable[[Clock], Design]:
    """Ours."""
    return lambda clock: HeavyHitters(threshold=threshold, capacity=capacity, buckets=buckets, clock=clock)


ONE_PROCESS: Final = (
    Case("no bound, attackers only", Exact, 1, only_attackers=True),
    Case("least recent of 2,000, threshold 5", partial(LeastRecent, 5, 2000), 1),
    Case("least recent of 10,000, threshold 25", partial(LeastRecent, 25, 10_000), 1),
    Case("Space-Saving of 10,000, threshold 25", partial(SpaceSaving, 25, 10_000), 1),
    Case("the same, halved each 10 min", partial(SpaceSaving, 25, 10_000, halve=600), 1),
    Case("count-min 2 x 2^21, threshold 25", partial(CountMin, 25, 2000), 1),
    Case("HeavyHitters, 2^16 buckets, threshold 25", heavy_hitters(25, 2000, 2**16), 1),
    Case("HeavyHitters, 2^18 buckets, threshold 25", heavy_hitters(25, 2000, 2**18), 1),
    Case("HeavyHitters, threshold 25", heavy_hitters(25, 2000), 1),
    Case("HeavyHitters, threshold 10", heavy_hitters(10, 2000), 1),
    Case("HeavyHitters, threshold 5", heavy_hitters(5, 2000), 1),
)
REPLICAS: Final = (
    Case("no bound, attackers only", Exact, only_attackers=True),
    Case("least recent of 2,000, threshold 3", partial(LeastRecent, 3, 2000)),
    Case("Space-Saving of 10,000, threshold 3", partial(SpaceSaving, 3, 10_000)),
    Case("the same, halved each 10 min", partial(SpaceSaving, 3, 10_000, halve=600)),
    Case("count-min 2 x 2^21, threshold 3", partial(CountMin, 3, 2000)),
    Case("HeavyHitters, threshold 1", heavy_hitters(1, 2000)),
    Case("HeavyHitters, threshold 2", heavy_hitters(2, 2000)),
    Case("HeavyHitters, threshold 3", heavy_hitters(3, 2000)),
    Case("HeavyHitters, threshold 3, capacity 1,000", heavy_hitters(3)),
    Case("HeavyHitters, threshold 5", heavy_hitters(5, 2000)),
    Case("HeavyHitters, threshold 10", heavy_hitters(10, 2000)),
    Case("routed by source: HeavyHitters, threshold 25", heavy_hitters(25), by_source=True),
    Case("routed by source: HeavyHitters, threshold 5", heavy_hitters(5), by_source=True),
)

COSTS: Final[dict[str, Callable[[Clock], Design]]] = {
    "dict without bound": Exact,
    "least recent of 1,000": partial(LeastRecent, 5, 1000),
    "Space-Saving of 10,000": partial(SpaceSaving, 5, 10_000),
    "count-min 2 x 2^21": partial(CountMin, 5, 1000),
    "HeavyHitters": heavy_hitters(5),
    "HeavyHitters, capacity 2,000": heavy_hitters(5, 2000),
}


def measure(name: str, addresses: int) -> list[str]:
    """Cost of a flood of so many addresses, measured in a separate process: a row of the table."""
    row = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "benchmarks.heavy_hitters", "--cost", name, "--addresses", str(addresses)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [name, *row.split()]


def cost(name: str, addresses: int) -> None:
    """Print nanoseconds per failure (all new, one address, four threads), and megabytes (RSS, tracemalloc)."""
    # The addresses themselves must not count as memory of the structure.
    worst = [_address(key) for key in range(5000)]
    _timed(Exact(lambda: 0.0), next(_chunks(addresses)))
    before = _resident()
    design = COSTS[name](lambda: 0.0)
    # HeavyHitters first, so that the memory is that of a full table.
    for _ in range(5):
        _timed(design, worst)
    # The lower quartile is less affected by other load than the median.
    nanoseconds = quantiles([_timed(design, chunk) for chunk in _chunks(addresses)])[0]
    megabytes = _resident() - before
    shown = min(_timed(design, worst[:1000]) for _ in range(50))
    threads = min(_contended(design, worst[:1000]) for _ in range(5))
    traced = _traced(COSTS[name], addresses)
    show(f"{nanoseconds:.0f} {shown:.0f} {threads:.0f} {megabytes:.1f} {traced:.1f}")


def _address(key: int) -> str:
    return f"2001:0db8:1234:5678:9abc:def0:{key >> 16:04x}:{key & 65535:04x}"


def _chunks(addresses: int) -> Iterator[list[str]]:
    for begin in range(5000, addresses, 100_000):
        yield [_address(key) for key in range(begin, min(begin + 100_000, addresses))]


def _timed(design: Design, failing: list[str]) -> float:
    add = design.add
    begin = perf_counter()
    for address in failing:
        add(address)
    return (perf_counter() - begin) / len(failing) * 1e9


def _contended(design: Design, failing: list[str], threads: int = 4, rounds: int = 50) -> float:
    """Nanoseconds per failure when several threads count at once."""
    workers = [
        threading.Thread(target=lambda: [_timed(design, failing) for _ in range(rounds)]) for _ in range(threads)
    ]
    begin = perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (perf_counter() - begin) / (threads * rounds * len(failing)) * 1e9


def _traced(make: Callable[[Clock], Design], addresses: int) -> float:
    tracemalloc.start()
    design = make(lambda: 0.0)
    for _ in range(5):
        for key in range(5000):
            design.add(_address(key))
    for key in range(5000, addresses):
        design.add(_address(key))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / 1e6


def _resident() -> float:
    """Resident memory of the process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heavy_hitters")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the addresses, and a shorter attack")
    parser.add_argument("--cost", help=argparse.SUPPRESS)
    parser.add_argument("--addresses", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cost:
        cost(arguments.cost, arguments.addresses)
        return
    addresses = 500_000 if arguments.quick else 10_000_000
    costs = [measure(name, addresses) for name in COSTS]
    show(f"{addresses:,} addresses of 39 characters, one failure each: cost\n")
    ratio = float(costs[0][1])
    header = ["", "ns a failure", "to a dict", "ns, shown address", "ns, 4 threads", "MB (RSS)", "MB (tracemalloc)"]
    print_table(header, [[row[0], row[1], f"{float(row[1]) / ratio:.2f}", *row[2:]] for row in costs])
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        short = Scale(addresses, 15, 20)
        print_alerts("One process", _all(pool, ONE_PROCESS, short))
        print_alerts("50 replicas", _all(pool, REPLICAS, Scale(addresses, 30, 60) if not arguments.quick else short))


def _all(pool: ProcessPoolExecutor, cases: tuple[Case, ...], scale: Scale) -> list[Result]:
    waiting = [pool.submit(_simulate, cases is ONE_PROCESS, number, scale) for number in range(len(cases))]
    return [result.result() for result in waiting]


# By number, because a case cannot be pickled.
def _simulate(one_process: bool, number: int, scale: Scale) -> Result:
    return simulate((ONE_PROCESS if one_process else REPLICAS)[number], scale)


if __name__ == "__main__":
    main()
