"""Holds the drill: lets things go wrong, and notes who was told of it, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event

from testbed.drill.environment import Scene
from testbed.drill.receivers import Delivery, Status
from testbed.drill.trial import ESCALATION_CHANNELS, Expected, Trial

# Longer than the slowest alert takes, which needs a replica to lag by half a minute of real time.
_PATIENCE_SECONDS: dict[Status, float] = {"firing": 300.0, "resolved": 500.0}
_SETTLE_SECONDS = 20.0
_WATCHDOG = "TrustWatchdog"


@dataclass
class Result:
    """What became of an alert.

    Attributes:
        fault: What went wrong, in words.
        expected: The alert.
        fired_seconds: From the fault to the last receiver; None when not all were told.
        missing: Receivers that were not told that it fires.
        resolved_seconds: From the end of the fault to the last receiver that was told that it is over.
        unresolved: Receivers that were not told.
        wrong: Receivers that were told and should not have been.
        error: Why the fault could not be made or lifted.
    """

    fault: str
    expected: Expected
    fired_seconds: float | None = None
    missing: frozenset[str] = frozenset()
    resolved_seconds: float | None = None
    unresolved: frozenset[str] = frozenset()
    wrong: frozenset[str] = frozenset()
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether it fired, reached all its receivers and nobody else, and resolved."""
        return not (self.missing or self.unresolved or self.wrong or self.error)


@dataclass
class Report:
    """What a drill showed.

    Attributes:
        factor: How many times faster than in production time ran.
        quiet_seconds: How long nothing went wrong before the faults.
        noise: Alerts that fired meanwhile.
        heartbeats: How often the dead man's switch was told that alerting works.
        results: What became of each alert.
        problems: What the receivers found malformed.
    """

    factor: float
    quiet_seconds: float = 0
    noise: list[str] = field(default_factory=list)
    heartbeats: int = 0
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every alert did what it should, and nothing else happened."""
        return all(result.good for result in self.results) and not (self.noise or self.problems)


def perform(
    scene: Scene, rounds: Sequence[Sequence[Trial]], quiet_seconds: float, on_progress: Callable[[str], None]
) -> Report:
    """Watch the quiet, then hold every round."""
    report = Report(scene.factor, quiet_seconds)
    report.noise = _noise(scene, quiet_seconds, on_progress)
    report.results = _hold_rounds(scene, rounds, on_progress)
    for result in report.results:
        result.wrong = wrong_receivers(result.expected, scene.receivers.deliveries)
    report.heartbeats = sum(_names(delivery) == {_WATCHDOG} for delivery in scene.receivers.deliveries)
    report.problems = scene.receivers.problems
    return report


def _noise(scene: Scene, seconds: float, on_progress: Callable[[str], None]) -> list[str]:
    # A Prometheus finds its targets a few seconds after its start, which are minutes where time runs so fast.
    time.sleep(_SETTLE_SECONDS)
    on_progress(f"quiet for {seconds:.0f} s: no alert may fire")
    began = time.time()
    time.sleep(seconds)
    window = f"{int((time.time() - began) * 1000)}ms"
    firing = f'count_over_time(ALERTS{{alertstate="firing",alertname!="{_WATCHDOG}"}}[{window}])'
    return sorted({sample.labels["alertname"] for sample in scene.prometheus.query(firing)}) if seconds else []


def _hold_rounds(scene: Scene, rounds: Sequence[Sequence[Trial]], on_progress: Callable[[str], None]) -> list[Result]:
    stopped = Event()
    held: list[tuple[Trial, Future[list[Result]]]] = []
    with ThreadPoolExecutor(sum(map(len, rounds)) or 1) as pool:
        try:
            for number, trials in enumerate(rounds, 1):
                wait([result for trial, result in held if not trial.resolves_late or _same_alerts(trial, trials)])
                on_progress(f"round {number} of {len(rounds)}: {len(trials)} faults at once")
                lifted = [Event() for _ in trials]
                held += [
                    (trial, pool.submit(_hold, scene, trial, event, stopped, on_progress))
                    for trial, event in zip(trials, lifted, strict=True)
                ]
                for event in lifted:
                    event.wait()
            return [result for _, each in held for result in each.result()]
        finally:
            # After an interrupt: no trial waits any longer, and each puts right what it let go wrong.
            stopped.set()


def _same_alerts(trial: Trial, others: Iterable[Trial]) -> bool:
    """Whether one of the others is about an alert of the trial: it must have resolved before."""
    return not {each.alert for each in trial.alerts}.isdisjoint(each.alert for other in others for each in other.alerts)


def _hold(
    scene: Scene, trial: Trial, lifted: Event, stopped: Event, on_progress: Callable[[str], None]
) -> list[Result]:
    results = [Result(trial.fault, expected) for expected in trial.alerts]
    try:
        _watch(scene, trial, results, lifted, stopped, on_progress)
    except Exception as error:
        # The others must be held all the same.
        on_progress(f"  FAULT FAILED: {trial.fault}: {error!r}")
        for result in results:
            result.error = repr(error)
    finally:
        lifted.set()
    return results


def _watch(
    scene: Scene,
    trial: Trial,
    results: list[Result],
    lifted: Event,
    stopped: Event,
    on_progress: Callable[[str], None],
) -> None:
    began = time.time()
    with trial.happens(scene):
        for result in results:
            result.fired_seconds, result.missing = _await(scene, result.expected, "firing", began, stopped)
            if result.missing:
                on_progress(f"  NOT TOLD: {result.expected}: {', '.join(sorted(result.missing))}")
            else:
                on_progress(f"  {result.expected}: told after {result.fired_seconds:.1f} s")
    ended = time.time()
    lifted.set()
    for result in results:
        if not result.missing:
            result.resolved_seconds, result.unresolved = _await(scene, result.expected, "resolved", began, stopped)
            if result.unresolved:
                on_progress(f"  NOT RESOLVED: {result.expected}: {', '.join(sorted(result.unresolved))}")
            elif result.resolved_seconds is not None:
                result.resolved_seconds = max(0.0, result.resolved_seconds - (ended - began))


def _await(
    scene: Scene, expected: Expected, status: Status, since: float, stopped: Event
) -> tuple[float | None, frozenset[str]]:
    """How long after `since` the last channel was told; and the channels that were not."""
    told: dict[str, float] = {}

    def all_told() -> bool:
        for delivery in scene.receivers.deliveries:
            if delivery.at >= since and _tells(delivery, expected, status):
                told.setdefault(delivery.channel, delivery.at)
        return expected.channels <= told.keys()

    until = time.monotonic() + _PATIENCE_SECONDS[status]
    while not scene.receivers.wait_for(all_told, 1) and time.monotonic() < until and not stopped.is_set():
        pass
    missing = expected.channels - told.keys()
    return (None if missing else max(told[channel] for channel in expected.channels) - since), missing


def _tells(delivery: Delivery, expected: Expected, status: Status) -> bool:
    return any(alert.status == status and expected.matches(alert) for alert in delivery.alerts)


def wrong_receivers(expected: Expected, deliveries: Iterable[Delivery]) -> frozenset[str]:
    """The channels that were told of an alert and should not have been.

    An alert and its escalation go by one name, so that a critical one may have reached the levels too.
    """
    told = {delivery.channel for delivery in deliveries if any(expected.matches(alert) for alert in delivery.alerts)}
    if expected.level:
        return frozenset()
    allowed = expected.channels | (ESCALATION_CHANNELS if expected.severity == "critical" else frozenset())
    return frozenset(told - allowed)


def _names(delivery: Delivery) -> set[str]:
    return {alert.name for alert in delivery.alerts}
