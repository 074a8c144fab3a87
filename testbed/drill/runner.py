"""Runs the drill: injects faults, and records who was notified and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event

from testbed.drill.environment import Environment
from testbed.drill.receivers import Delivery, Status
from testbed.drill.trial import ESCALATION_CHANNELS, Expected, Trial

# The slowest alert to fire needs a replica that lags by half a minute of real time. The slowest one to resolve is a
# budget burn over six hours, which are 720 s by default: by then, its failures have left the window.
_TIMEOUT_SECONDS: dict[Status, float] = {"firing": 300.0, "resolved": 800.0}
_SETTLE_SECONDS = 20.0
_WATCHDOG = "TrustWatchdog"


@dataclass
class Result:
    """The result for one alert.

    Attributes:
        fault: Description of the fault.
        expected: The alert.
        fired_seconds: From the fault to the last receiver; None when not all were notified.
        missing: Receivers that were not notified that it fires.
        resolved_seconds: From the end of the fault to the resolved notification of the last receiver.
        unresolved: Receivers without a resolved notification.
        wrong: Receivers that should not have been notified.
        error: Why the fault could not be injected or removed.
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
        """Whether it fired, reached exactly its receivers, and resolved."""
        return not (self.missing or self.unresolved or self.wrong or self.error)


@dataclass
class Report:
    """The report of a drill.

    Attributes:
        factor: Factor by which durations were shortened.
        quiet_seconds: Time without faults at the start.
        noise: Alerts that fired in that time.
        heartbeats: Number of notifications of the dead man's switch.
        results: The result for each alert.
        problems: Malformed messages found by the receivers.
    """

    factor: float
    quiet_seconds: float = 0
    noise: list[str] = field(default_factory=list)
    heartbeats: int = 0
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every alert passed, and there was no noise or problem."""
        return all(result.good for result in self.results) and not (self.noise or self.problems)


def run(
    environment: Environment,
    rounds: Sequence[Sequence[Trial]],
    quiet_seconds: float,
    on_progress: Callable[[str], None],
) -> Report:
    """Observe the quiet time, then run every round."""
    report = Report(environment.factor, quiet_seconds)
    report.noise = _noise(environment, quiet_seconds, on_progress)
    report.results = _run_rounds(environment, rounds, on_progress)
    for result in report.results:
        result.wrong = wrong_receivers(result.expected, environment.receivers.deliveries)
    report.heartbeats = sum(_names(delivery) == {_WATCHDOG} for delivery in environment.receivers.deliveries)
    report.problems = environment.receivers.problems
    return report


def _noise(environment: Environment, seconds: float, on_progress: Callable[[str], None]) -> list[str]:
    # Prometheus discovers its targets a few seconds after start, which are minutes in shortened time.
    time.sleep(_SETTLE_SECONDS)
    on_progress(f"quiet for {seconds:.0f} s: no alert may fire")
    began = time.time()
    time.sleep(seconds)
    window = f"{int((time.time() - began) * 1000)}ms"
    firing = f'count_over_time(ALERTS{{alertstate="firing",alertname!="{_WATCHDOG}"}}[{window}])'
    return sorted({sample.labels["alertname"] for sample in environment.prometheus.query(firing)}) if seconds else []


def _run_rounds(
    environment: Environment, rounds: Sequence[Sequence[Trial]], on_progress: Callable[[str], None]
) -> list[Result]:
    stopped = Event()
    running: list[tuple[Trial, Future[list[Result]]]] = []
    with ThreadPoolExecutor(sum(map(len, rounds)) or 1) as pool:
        try:
            for number, trials in enumerate(rounds, 1):
                wait([result for trial, result in running if not trial.resolves_late or _same_alerts(trial, trials)])
                on_progress(f"round {number} of {len(rounds)}: {len(trials)} faults at once")
                lifted = [Event() for _ in trials]
                running += [
                    (trial, pool.submit(_run_trial, environment, trial, event, stopped, on_progress))
                    for trial, event in zip(trials, lifted, strict=True)
                ]
                for event in lifted:
                    event.wait()
            return [result for _, each in running for result in each.result()]
        finally:
            # After an interrupt, trials stop waiting and remove their faults.
            stopped.set()


def _same_alerts(trial: Trial, others: Iterable[Trial]) -> bool:
    """Whether one of the others causes an alert of the trial, which must have resolved before."""
    return not {each.alert for each in trial.alerts}.isdisjoint(each.alert for other in others for each in other.alerts)


def _run_trial(
    environment: Environment, trial: Trial, lifted: Event, stopped: Event, on_progress: Callable[[str], None]
) -> list[Result]:
    results = [Result(trial.fault, expected) for expected in trial.alerts]
    try:
        _observe(environment, trial, results, lifted, stopped, on_progress)
    except Exception as error:
        # The other trials must still run.
        on_progress(f"  FAULT FAILED: {trial.fault}: {error!r}")
        for result in results:
            result.error = repr(error)
    finally:
        lifted.set()
    return results


def _observe(
    environment: Environment,
    trial: Trial,
    results: list[Result],
    lifted: Event,
    stopped: Event,
    on_progress: Callable[[str], None],
) -> None:
    began = time.time()
    with trial.inject(environment):
        for result in results:
            result.fired_seconds, result.missing = _wait_for_receivers(
                environment, result.expected, "firing", began, stopped
            )
            if result.missing:
                on_progress(f"  NOT NOTIFIED: {result.expected}: {', '.join(sorted(result.missing))}")
            else:
                on_progress(f"  {result.expected}: notified after {result.fired_seconds:.1f} s")
    ended = time.time()
    lifted.set()
    for result in results:
        if not result.missing:
            result.resolved_seconds, result.unresolved = _wait_for_receivers(
                environment, result.expected, "resolved", began, stopped
            )
            if result.unresolved:
                on_progress(f"  NOT RESOLVED: {result.expected}: {', '.join(sorted(result.unresolved))}")
            elif result.resolved_seconds is not None:
                result.resolved_seconds = max(0.0, result.resolved_seconds - (ended - began))


def _wait_for_receivers(
    environment: Environment, expected: Expected, status: Status, since: float, stopped: Event
) -> tuple[float | None, frozenset[str]]:
    """Seconds from `since` until the last channel was notified, and the channels that were not notified."""
    notified: dict[str, float] = {}

    def all_notified() -> bool:
        for delivery in environment.receivers.deliveries:
            if delivery.at >= since and _notifies(delivery, expected, status):
                notified.setdefault(delivery.channel, delivery.at)
        return expected.channels <= notified.keys()

    until = time.monotonic() + _TIMEOUT_SECONDS[status]
    while not environment.receivers.wait_for(all_notified, 1) and time.monotonic() < until and not stopped.is_set():
        pass
    missing = expected.channels - notified.keys()
    return (None if missing else max(notified[channel] for channel in expected.channels) - since), missing


def _notifies(delivery: Delivery, expected: Expected, status: Status) -> bool:
    return any(alert.status == status and expected.matches(alert) for alert in delivery.alerts)


def wrong_receivers(expected: Expected, deliveries: Iterable[Delivery]) -> frozenset[str]:
    """The channels that were notified of an alert and should not have been.

    An alert and its escalation have the same name, so a critical alert may also have notified the escalation channels.
    """
    notified = {
        delivery.channel for delivery in deliveries if any(expected.matches(alert) for alert in delivery.alerts)
    }
    if expected.level:
        return frozenset()
    allowed = expected.channels | (ESCALATION_CHANNELS if expected.severity == "critical" else frozenset())
    return frozenset(notified - allowed)


def _names(delivery: Delivery) -> set[str]:
    return {alert.name for alert in delivery.alerts}
