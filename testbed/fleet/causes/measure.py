"""Explains alerts whose causes are known, and counts how often the cause is first or among the first three."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.drill.backfill import Points, store
from testbed.fleet.causes.cases import SLOT, Case, history
from testbed.fleet.causes.week import CAUSES
from testbed.fleet.replay.evaluation import RULE_FILES, Fired, evaluate, prometheus, replay
from testbed.fleet.replay.report import firings
from testbed.fleet.replay.signals import STEP_SECONDS
from testbed.fleet.replay.timeline import DAY, HOUR, Event, Scale
from trust_ops.explain.causes import DESCRIPTION
from trust_ops.explain.command import explained_at
from trust_ops.explain.events import Compared
from trust_ops.explain.history import History

_TIMEOUT_SECONDS, _MAX_SERIES = 60.0, 10_000


@dataclass(frozen=True)
class Question:
    """An alert with its true cause.

    Attributes:
        group: What it is counted with in the table.
        fired: The alert.
        cause: Label and value, or metric and nothing.
    """

    group: str
    fired: Fired
    cause: tuple[str, str]


@dataclass(frozen=True)
class Rank:
    """The place of the true cause, from 1; None if it was not found.

    Attributes:
        question: The alert.
        own: Among the causes of `trust-otel explain`.
        baseline: In the order of the largest absolute change.
        found: What `trust-otel explain` has first.
    """

    question: Question
    own: int | None
    baseline: int | None
    found: tuple[str, str] | None


def seeded(folder: Path, incidents: Sequence[Case]) -> list[Rank]:
    """Generate incidents, evaluate the rules, and explain the alerts. An incident without its alert has no rank."""
    data = folder / "data"
    data.mkdir(parents=True)
    store(data, history(incidents), folder)
    first, last = incidents[0].start, incidents[-1].start + SLOT
    fired = list(evaluate(folder, first, first, last, {case.alert for case in incidents}))
    questions = []
    for case in incidents:
        own = [each for each in fired if each.rule.name == case.alert and case.begin <= each.begin < case.end + HOUR]
        if not own:
            raise RuntimeError(f"{case.alert} did not fire: {case}")
        questions.append(Question(case.kind, min(own, key=lambda each: each.begin), case.cause))
    return ranks(folder, fired, questions)


def of_week(folder: Path, events: Sequence[Event], begin: int, end: int, scale: Scale) -> list[Rank]:
    """Explain the alerts of the replayed week's incidents, one of each notification."""
    fired = list(replay(folder, begin, end, scale, events))
    questions = []
    for group in firings(fired, events):
        known = [cause for cause in group.causes if cause in CAUSES]
        if known:
            first = next(
                each
                for each in fired
                if (each.rule.name, each.begin) == (group.alert, group.begin)
                and each.labels.get("service_name", each.rule.labels["service"]) == group.service
            )
            label, value = CAUSES[known[0]]
            cause = (label, first.labels.get(label, "") if value is None else value)
            questions.append(Question(known[0], first, cause))
    return ranks(folder, fired, questions)


def ranks(folder: Path, fired: Iterable[Fired], questions: Sequence[Question]) -> list[Rank]:
    """Explain each alert at the time at which it has fired for five minutes."""
    store(folder / "data", _alerts(fired), folder)
    with (
        prometheus(folder, RULE_FILES) as url,
        History(url, timeout=_TIMEOUT_SECONDS, max_series=_MAX_SERIES) as past,
    ):
        return [_rank(past, question) for question in questions]


def _rank(past: History, question: Question) -> Rank:
    fired = question.fired
    at = min(fired.end, fired.begin + 300)
    labels = tuple(f"{name}={value}" for name, value in fired.labels.items() if value)
    explained = explained_at(past, fired.rule.name, labels, at, DAY)
    own = [(cause.kind, cause.value) for cause in explained.causes]
    baseline = by_absolute_change(explained.compared)
    found = own[0] if own else None
    return Rank(question, _place(own, question.cause), _place(baseline, question.cause), found)


def _place(order: Sequence[tuple[str, str]], cause: tuple[str, str]) -> int | None:
    return order.index(cause) + 1 if cause in order else None


def _alerts(fired: Iterable[Fired]) -> Mapping[str, list[Points]]:
    found: dict[str, list[Points]] = defaultdict(list)
    # Samples of one series must be in order of time.
    runs: dict[tuple[tuple[str, str], ...], list[Fired]] = defaultdict(list)
    for each in fired:
        labels = {"alertname": each.rule.name, **each.labels}
        runs[tuple(sorted(labels.items()))].append(each)
    for pairs, all_runs in runs.items():
        own = {name: value for name, value in pairs if value}
        active = {
            at: float(run.begin - int(run.rule.wait))
            for run in all_runs
            for at in range(run.begin, run.end + 1, STEP_SECONDS)
        }
        times = sorted(active)
        found["ALERTS"].append(({**own, "alertstate": "firing"}, [(at, 1.0) for at in times]))
        found["ALERTS_FOR_STATE"].append((own, [(at, active[at]) for at in times]))
    return found


def by_absolute_change(compared: Compared) -> list[tuple[str, str]]:
    """The baseline: label and value, or metric, of all that was compared; the largest absolute change first."""
    changes: dict[tuple[str, str], float] = {}

    def note(key: tuple[str, str], change: float) -> None:
        changes[key] = max(changes.get(key, 0.0), abs(change))

    for measure in compared.measures:
        note((measure.metric.prometheus_name, ""), measure.actual - sum(measure.before.values()))
        for label in {name for key in (*measure.before, *measure.during) for name, _ in key} - DESCRIPTION:
            before, during = measure.by(label, measure.before), measure.by(label, measure.during)
            for value in {*before, *during} - {""}:
                note((label, value), during.get(value, 0.0) - before.get(value, 0.0))
    for name, (old, new) in compared.gauges.items():
        # What is only larger with time, such as an uptime, would always be first.
        if name.endswith("_seconds"):
            continue
        for key in old.keys() & new.keys():
            note((name, ""), new[key] - old[key])
            for pair in key:
                note(pair, new[key] - old[key])
    return sorted(changes, key=lambda key: -changes[key])


def table(found: Sequence[Rank]) -> str:
    """Markdown: the number of alerts of each group, and how often the cause is first and among the first three."""
    return "\n".join(_rows(found)) + "\n"


def _rows(found: Sequence[Rank]) -> Iterator[str]:
    yield "| cause | alerts | first | among three | largest change: first | among three |"
    yield "|---|---|---|---|---|---|"
    groups: dict[str, list[Rank]] = defaultdict(list)
    for rank in found:
        groups[rank.question.group].append(rank)
    for name, members in (*groups.items(), ("**all**", list(found))):
        cells = [len(members)]
        for places in ([each.own for each in members], [each.baseline for each in members]):
            cells += [sum(place is not None and place <= most for place in places) for most in (1, 3)]
        yield f"| {name} | {' | '.join(map(str, cells))} |"


def misses(found: Sequence[Rank]) -> Iterator[str]:
    """A line for each alert whose cause is not first."""
    for rank in found:
        if rank.own != 1:
            question = rank.question
            yield f"{question.group}: {question.fired.rule.name}: {question.cause} is {rank.own}, first {rank.found}"
