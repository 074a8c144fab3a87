"""`python -m benchmarks.detectors`: recall and precision of the attack detectors in a day of traffic with attacks.

`scenario.toml` describes the day. An incident is a true positive if an attack's request completed it, or if an attack
of its kind used the same address or account in the last two hours; all others are false positives. Precision counts an
attack once: attacks found, divided by the sum of attacks found and false incidents.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from time import process_time

from benchmarks.detectors.scenario import KINDS, Event, Scenario
from trust_otel.security.detectors import Detectors

_REPLICAS = (1, 4, 16)
_AFTERMATH = 7200.0


@dataclass
class Outcome:
    """The result of a day."""

    attacks: list[str]
    """Kind, strength and number of each attack, separated by slashes."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds from the start of each found attack to its detection."""
    false: Counter[tuple[str, str]] = field(default_factory=Counter)
    """False incidents by kind and part of the scenario."""

    def precision(self, kind: str) -> float:
        """Attacks found, divided by attacks found and false incidents."""
        found = self.found(kind)
        return found / max(found + self.false_incidents(kind), 1)

    def recall(self, kind: str) -> float:
        """Share of attacks found."""
        return self.found(kind) / len(self.of(kind))

    def of(self, prefix: str) -> list[str]:
        """Attacks of a kind, or of a kind and strength."""
        return [attack for attack in self.attacks if attack.startswith(f"{prefix}/")]

    def found(self, prefix: str) -> int:
        """Number of these attacks that were found."""
        return sum(attack in self.seconds for attack in self.of(prefix))

    def delay(self, prefix: str) -> str:
        """Median seconds to the detection of these attacks."""
        seconds = [self.seconds[attack] for attack in self.of(prefix) if attack in self.seconds]
        return f"{median(seconds):,.0f}" if seconds else ""

    def false_incidents(self, kind: str) -> int:
        """Number of false incidents of a kind."""
        return sum(count for (name, _), count in self.false.items() if name == kind)


class _Attacks:
    """Time, addresses and accounts of each attack."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.begins: dict[str, float] = {}
        self._ends: dict[str, float] = {}
        self._at: dict[tuple[str, str], set[str]] = defaultdict(set)
        for event in events:
            if event.attack:
                self.begins.setdefault(event.attack, event.at)
                self._ends[event.attack] = event.at
                for mark in (event.address, event.account):
                    self._at[event.attack.partition("/")[0], mark].add(event.attack)

    def behind(self, kind: str, event: Event) -> str:
        """The attack that an incident belongs to, or empty."""
        if event.attack:
            return event.attack
        for attack in self._at.get((kind, event.address), set()) | self._at.get((kind, event.account), set()):
            if self.begins[attack] <= event.at <= self._ends[attack] + _AFTERMATH:
                return attack
        return ""


def replay(events: list[Event], replicas: int = 1) -> Outcome:
    """Distribute the events to the replicas of a service at random, as a load balancer without client affinity."""
    attacks, raised, now = _Attacks(events), list[str](), 0.0
    outcome = Outcome(sorted(attacks.begins))
    processes = [
        Detectors(KINDS, lambda kind, _severity: raised.append(kind), clock=lambda: now) for _ in range(replicas)
    ]
    balancer = Random(replicas)  # noqa: S311 - no secret
    for event in events:
        now = event.at
        _tell(processes[balancer.randrange(replicas)], event)
        while raised:
            kind = raised.pop()
            attack = attacks.behind(kind, event)
            if not attack:
                about = event.account or event.path
                outcome.false[kind, about.partition("-")[0]] += 1
            elif attack.startswith(kind):
                outcome.seconds.setdefault(attack, now - attacks.begins[attack])
    return outcome


def _tell(detectors: Detectors, event: Event) -> None:
    if event.call == "authentication":
        detectors.authentication(
            success=event.success, address=event.address, account=event.account, country=event.country
        )
    elif event.call == "second_factor":
        detectors.second_factor(success=event.success, account=event.account, address=event.address)
    else:
        detectors.not_found(event.address, event.path)


def _show(text: str = "") -> None:
    print(text, flush=True)  # noqa: T201 - output of a command


def _table(*rows: Iterable[object]) -> None:
    for number, row in enumerate(rows):
        cells = [str(cell) for cell in row]
        _show("| " + " | ".join(cells) + " |")
        if number == 0:
            _show("|---" + "|---:" * (len(cells) - 1) + "|")
    _show()


def _show_found(outcomes: list[Outcome]) -> None:
    one = outcomes[0]
    _table(
        ("detector", "attacks", "found", "missed", "false incidents", "precision", "recall", "median s to detection"),
        *(
            (
                kind,
                len(one.of(kind)),
                one.found(kind),
                len(one.of(kind)) - one.found(kind),
                one.false_incidents(kind),
                f"{one.precision(kind):.2f}",
                f"{one.recall(kind):.2f}",
                one.delay(kind),
            )
            for kind in KINDS
        ),
    )
    strengths = list(dict.fromkeys(attack.rpartition("/")[0] for attack in one.attacks))
    _table(
        ("attack", "carried out", *(f"found by {_replicas(n)}" for n in _REPLICAS), "median s, 1 replica"),
        *(
            (
                strength.replace("/", ": "),
                len(one.of(strength)),
                *(outcome.found(strength) for outcome in outcomes),
                one.delay(strength),
            )
            for strength in strengths
        ),
    )


def _show_replicas(outcomes: list[Outcome]) -> None:
    _show(
        "Thresholds are per process. If a load balancer distributes requests without client affinity, each of n"
        " replicas receives 1/n of an attack. With client affinity, the thresholds per address are unaffected.\n"
    )
    _table(
        ("detector", *(f"recall, {_replicas(n)}" for n in _REPLICAS), *(f"false, {_replicas(n)}" for n in _REPLICAS)),
        *(
            (
                kind,
                *(f"{outcome.recall(kind):.2f}" for outcome in outcomes),
                *(outcome.false_incidents(kind) for outcome in outcomes),
            )
            for kind in KINDS
        ),
    )
    _table(
        ("false incidents about", "detector", *(_replicas(n) for n in _REPLICAS)),
        *(
            (about, kind, *(outcome.false[kind, about] for outcome in outcomes))
            for kind, about in sorted({key for outcome in outcomes for key in outcome.false})
        ),
    )


def _replicas(number: int) -> str:
    return f"{number} replica" if number == 1 else f"{number} replicas"


def _show_cost(keys: int) -> None:
    """Cost of a flood with a new client, account and path per event, and cost per event of known clients."""
    before, now = _resident(), 0.0
    detectors = Detectors(KINDS, lambda _kind, _severity: None, clock=lambda: now)
    calls: dict[str, Callable[[int], None]] = {
        "successful login": lambda n: detectors.authentication(
            success=True, address=_address(n), account=f"a{n}", country="DE"
        ),
        "failed login": lambda n: detectors.authentication(
            success=False, address=_address(n), account=f"b{n}", country="DE"
        ),
        "failed second factor": lambda n: detectors.second_factor(success=False, account=f"c{n}", address=_address(n)),
        "404 without a route": lambda n: detectors.not_found(_address(n), f"/{n}"),
    }
    bare = _microseconds(_address, range(50_000))
    flood = {name: _microseconds(call, range(keys)) - bare for name, call in calls.items()}
    grown = _resident() - before
    few = {name: min(_microseconds(call, range(500)) for _ in range(50)) - bare for name, call in calls.items()}
    _table(
        (f"cost with all detectors on, {keys:,} clients", "CPU µs, each from a new client", "CPU µs, from 500 clients"),
        *((name, f"{flood[name]:.1f}", f"{few[name]:.1f}") for name in calls),
    )
    _show(f"Memory (RSS) after {len(calls)} floods of {keys:,} clients each: {grown:.0f} MB more than before.\n")


def _address(number: int) -> str:
    return f"2001:db8:{number >> 16:x}:{number & 65535:x}::1" if number & 1 else f"10.{number >> 16}.{number & 65535}"


def _microseconds(call: Callable[[int], object], numbers: range) -> float:
    begin = process_time()
    for number in numbers:
        call(number)
    return (process_time() - begin) / len(numbers) * 1e6


def _resident() -> float:
    """Resident memory of the process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Print all tables in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors")
    parser.add_argument("--quick", action="store_true", help="floods of 200,000 clients instead of 10 million")
    _show_cost(200_000 if parser.parse_args().quick else 10_000_000)
    scenario = Scenario()
    events = scenario.events()
    _show(f"{len(events):,} events of a day: {scenario.clients:,} clients, and attacks.\n")
    outcomes = [replay(events, replicas) for replicas in _REPLICAS]
    _show_found(outcomes)
    _show_replicas(outcomes)


if __name__ == "__main__":
    main()
