"""Compares the alerts that fired with what happened, and writes the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from testbed.fleet.replay.evaluation import Fired
from testbed.fleet.replay.timeline import DAY, Event

_PAGES: Final = "production"
NOISY: Final = {
    "TrustSlaViolation": "with an objective of 99 % and some hundred events in half an hour, ten misses come by chance "
    "where three are usual",
}
"""Alerts that are known to fire without a cause, with the reason."""


@dataclass(frozen=True)
class Firing:
    """An alert of a service and environment, as one notification groups it.

    Attributes:
        alert: Its name.
        severity: Label of the rule.
        environment: Empty for an alert of the infrastructure.
        service: Name of the service, or what the label says instead.
        begin: Unix time at which the first of the group fired.
        end: Unix time at which the last one ended.
        number: How many alerts were in the group.
        causes: Names of the events that explain it.
    """

    alert: str
    severity: str
    environment: str
    service: str
    begin: int
    end: int
    number: int
    causes: tuple[str, ...]

    @property
    def pages(self) -> bool:
        """Whether somebody is paged: a critical alert, and not of an environment that only notifies."""
        return self.severity == "critical" and self.environment in ("", _PAGES)


def firings(fired: Iterable[Fired], events: Sequence[Event]) -> list[Firing]:
    """The alerts, grouped as Alertmanager groups them, in order of time."""
    groups: dict[tuple[str, str, str, str], list[Fired]] = defaultdict(list)
    for each in fired:
        environment = each.labels.get("deployment_environment_name", "")
        service = each.labels.get("service_name", "") or each.rule.labels["service"]
        groups[each.rule.name, each.labels["severity"], environment, service].append(each)
    found = [
        _firing(key, members, events)
        for key, all_members in groups.items()
        for members in _together(sorted(all_members, key=lambda one: one.begin))
    ]
    return sorted(found, key=lambda each: (each.begin, each.environment, each.alert))


def _together(fired: Iterable[Fired]) -> Iterator[list[Fired]]:
    """Alerts that overlap are in one notification."""
    group: list[Fired] = []
    for each in fired:
        if group and each.begin > max(one.end for one in group):
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _firing(key: tuple[str, str, str, str], members: Sequence[Fired], events: Sequence[Event]) -> Firing:
    alert, severity, environment, service = key
    begin, end = members[0].begin, max(each.end for each in members)
    causes = {event.name for event in events if event.explains(alert, environment, service, begin, end)}
    series = {tuple(sorted(each.labels.items())) for each in members}
    return Firing(alert, severity, environment, service, begin, end, len(series), tuple(sorted(causes)))


def unexplained(found: Iterable[Firing]) -> list[Firing]:
    """The alerts that nothing explains, with those that are known to be noisy."""
    return [each for each in found if not each.causes]


def unknown(found: Iterable[Firing]) -> list[Firing]:
    """The alerts that nothing explains, and that are not known to be noisy."""
    return [each for each in unexplained(found) if each.alert not in NOISY]


def missing(found: Sequence[Firing], events: Iterable[Event], begin: int, end: int) -> list[tuple[str, str]]:
    """Events between two Unix times, and alerts that should have fired for them and did not."""
    fired = {(each.alert, cause) for each in found for cause in each.causes}
    return [
        (event.name, alert)
        for event in events
        if begin <= event.begin and event.end <= end
        for alert in event.fires
        if (alert, event.name) not in fired
    ]


def table(found: Sequence[Firing], begin: int, days: int) -> str:
    """Markdown: the numbers of each day, the alerts with their causes, and those that fired by chance."""
    by_chance = [each for each in found if not each.causes and each.alert in NOISY]
    others = [each for each in found if each not in by_chance]
    return "\n".join((*_by_day(found, by_chance, begin, days), *_causes(others), *_chance(by_chance)))


def _by_day(found: Sequence[Firing], by_chance: Sequence[Firing], begin: int, days: int) -> Iterator[str]:
    yield "| day | paged | production: others | staging | no environment | of these by chance | not explained |"
    yield "|---|---|---|---|---|---|---|"
    for day in range(days):
        of_day = [each for each in found if begin + day * DAY <= each.begin < begin + (day + 1) * DAY]
        cells = (
            sum(each.pages for each in of_day),
            sum(each.environment == _PAGES and not each.pages for each in of_day),
            sum(each.environment not in ("", _PAGES) for each in of_day),
            sum(each.environment == "" and not each.pages for each in of_day),
            sum(each in by_chance for each in of_day),
            len(unknown(of_day)),
        )
        yield f"| {_time(begin + day * DAY, '%A')} | {' | '.join(map(str, cells))} |"
    yield ""


def _causes(found: Iterable[Firing]) -> Iterator[str]:
    yield "| from | minutes | environment | service | alert | severity | cause |"
    yield "|---|---|---|---|---|---|---|"
    for each in found:
        number = "" if each.number == 1 else f" ({each.number})"
        yield (
            f"| {_time(each.begin, '%a %H:%M')} | {_minutes(each)} | {each.environment} | {each.service} "
            f"| `{each.alert}`{number} | {each.severity} | {'; '.join(each.causes) or '**not explained**'} |"
        )
    yield ""


def _chance(found: Sequence[Firing]) -> Iterator[str]:
    yield "| alert | production | of these paged | staging | longest, minutes | why it fires without a cause |"
    yield "|---|---|---|---|---|---|"
    for alert, reason in NOISY.items():
        fired = [each for each in found if each.alert == alert]
        production = sum(each.environment == _PAGES for each in fired)
        longest = max(map(_minutes, fired), default=0)
        cells = (production, sum(each.pages for each in fired), len(fired) - production, longest)
        yield f"| `{alert}` | {' | '.join(map(str, cells))} | {reason} |"
    yield ""


def _minutes(firing: Firing) -> int:
    return max(1, round((firing.end - firing.begin) / 60))


def _time(at: int, form: str) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime(form)
