"""Evaluates the rules over the history, with a real Prometheus.

Expressions are evaluated by Prometheus as range queries with the step of the samples, recording rules first, each after
those that it reads. promtool does not evaluate alerts over a history; `for` and `keep_firing_for` are applied here as
Prometheus does (rules/alerting.go).
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import time
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from testbed.drill.backfill import Points, store
from testbed.fleet.replay.replicas import processes
from testbed.fleet.replay.signals import STEP_SECONDS, Platform, ServiceProcess, usual
from testbed.fleet.replay.timeline import DAY, DOCUMENTS, HOUR, Event, Scale
from tools.checks.promql import Selector, walk
from tools.checks.rules import Rule, read_rules
from trust_ops.stack.binaries import find
from trust_ops.stack.files import project_file
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries

NOT_REPLAYED: Final = {
    "TrustInstanceClockOff": "reads samples that are ahead of their time; in a history, all later ones are",
    "TrustEscalation": "follows from how long a critical alert fires",
    "TrustWatchdog": "always fires",
}
# A recorded series that is not followed by a range.
_INSTANT: Final = re.compile(
    r"(?<![\w:])(?P<name>\w+:\w+:\w+)(?![\w:])(?P<matchers>\{[^}]*\})?(?P<offset>\s+offset\s+\w+)?(?![\w:]|\s*[\[{]|\s+offset)"
)
RULE_FILES: Final = tuple(
    project_file(f"monitoring/prometheus/trust-service-{name}.yml") for name in ("recording", "slo", "alerts")
)
_WINDOW: Final = 1800
_START_SECONDS: Final = 60


@dataclass(frozen=True)
class Fired:
    """An alert that fired, with its labels, from its first to its last evaluation (Unix time)."""

    rule: Rule
    labels: Mapping[str, str]
    begin: int
    end: int


def replay(folder: Path, begin: int, end: int, scale: Scale, events: Sequence[Event]) -> Iterator[Fired]:
    """Write the history between two Unix times into the storage of a Prometheus, and evaluate all rules over it."""
    data = folder / "data"
    data.mkdir(parents=True)
    # So that rates over half an hour are complete at the begin.
    first = begin - HOUR
    _write(data, folder, first, end, scale, events)
    yield from evaluate(folder, first, begin, end)


def evaluate(folder: Path, first: int, begin: int, end: int, only: Collection[str] = ()) -> Iterator[Fired]:
    """Evaluate the rules over the storage in a folder; alerts between two Unix times.

    Args:
        folder: Its `data` is the storage.
        first: Unix time of the first evaluation of recording rules.
        begin: Unix time of the first evaluation of alerts.
        end: Unix time after which there is none.
        only: Names of the alerts; empty for all.
    """
    data = folder / "data"
    read = [rule for rule in read_rules(RULE_FILES) if not (rule.is_alert and only and rule.name not in only)]
    steps = {rule.name: _step(rule) for rule in read if not rule.is_alert}
    rules = [replace(rule, source=as_stored(rule.source, steps)) for rule in read]
    for level in levels(rules):
        with prometheus(folder) as url:
            found: dict[str, list[Points]] = defaultdict(list)
            for rule in level:
                for labels, times, values in _evaluated(url, rule, first, end, _step(rule)):
                    found[rule.name].append((labels, zip(times, values, strict=True)))
        store(data, found, folder)
    with prometheus(folder) as url:
        for rule in rules:
            if rule.is_alert and rule.name not in NOT_REPLAYED:
                yield from _fired(url, rule, begin, end)


def _step(rule: Rule) -> int:
    return max(STEP_SECONDS, int(rule.interval or 0))


def as_stored(source: str, steps: Mapping[str, int]) -> str:
    """The expression for a storage in which recorded series have no stale markers, as promtool writes none.

    Prometheus ends a recorded series at the first evaluation without a result. Here it would last five minutes longer,
    so that the expression reads the last evaluation only.

    Args:
        source: PromQL.
        steps: Seconds between the evaluations of each recorded series.
    """

    def read(found: re.Match[str]) -> str:
        step = steps.get(found["name"])
        offset = found["offset"] or ""
        matchers = found["matchers"] or ""
        return found[0] if step is None else f"last_over_time({found['name']}{matchers}[{step}s]{offset})"

    return _INSTANT.sub(read, source)


def levels(rules: Sequence[Rule]) -> list[list[Rule]]:
    """The recording rules that alerts read: first those that read no other, then those that read these, and so on."""
    recorded: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        if not rule.is_alert:
            recorded[rule.name].append(rule)

    def read(rule: Rule) -> set[str]:
        return {part.name for part in walk(rule.expression()) if isinstance(part, Selector)} & recorded.keys()

    depth: dict[str, int] = {}

    def visit(name: str) -> int:
        if name not in depth:
            depth[name] = 0
            depth[name] = 1 + max((visit(each) for rule in recorded[name] for each in read(rule)), default=0)
        return depth[name]

    for rule in rules:
        if rule.is_alert and rule.name not in NOT_REPLAYED:
            for name in read(rule):
                visit(name)
    return [
        [rule for name, found in depth.items() if found == level for rule in recorded[name]]
        for level in range(1, max(depth.values()) + 1)
    ]


def _write(data: Path, scratch: Path, begin: int, end: int, scale: Scale, events: Sequence[Event]) -> None:
    running = processes(begin, end, scale, events)
    services = [ServiceProcess(process, events, scale) for process in running]
    platform = Platform(running, events)
    store(data, _usual_week(begin), scratch)
    # Day by day: a week would not fit into memory.
    for day in range(begin, end, DAY):
        found: dict[str, list[Points]] = defaultdict(list)
        sources: list[ServiceProcess | Platform] = [*services, platform]
        for source in sources:
            for name, points in source.day(day, min(day + DAY, end)):
                found[name].append(points)
        store(data, found, scratch)


def _usual_week(begin: int) -> Mapping[str, list[Points]]:
    """What the rules recorded in the week before, to compare with."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]] = defaultdict(list)
    for environment in ("production", "staging"):
        service = {
            "deployment_environment_name": environment,
            "service_namespace": "trust",
            "service_name": DOCUMENTS,
        }
        for name, labels, value, at in usual(begin - 7 * DAY - HOUR, begin, environment, STEP_SECONDS):
            found[name, tuple({**service, **labels}.items())].append((at, value))
    result: dict[str, list[Points]] = defaultdict(list)
    for (name, pairs), values in found.items():
        result[name].append((dict(pairs), _averaged(values)))
    return result


def _averaged(values: Sequence[tuple[int, float]]) -> Iterable[tuple[int, float]]:
    """The mean of each half hour."""
    size = _WINDOW // STEP_SECONDS
    return (
        (at, sum(value for _, value in values[max(0, number - size + 1) : number + 1]) / size)
        for number, (at, _) in enumerate(values)
    )


@contextmanager
def prometheus(folder: Path, rule_files: Sequence[Path] = ()) -> Iterator[str]:
    """URL of a Prometheus with the data. It loads new blocks at its start."""
    (port,) = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    (folder / "prometheus.yml").write_text(json.dumps({"rule_files": [str(each) for each in rule_files]}))
    command = [
        str(find(binaries()["prometheus"], os.environ, lambda _: None)),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--query.timeout=10m",
    ]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own executable
    try:
        _wait(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/-/ready", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("Prometheus does not start")


def _evaluated(
    url: str, rule: Rule, begin: int, end: int, step: int
) -> Iterator[tuple[Mapping[str, str], Sequence[int], Sequence[float]]]:
    """The result of a rule's expression: labels, Unix times and values of each series.

    A range query has at most 11,000 steps, so there is one for each day.
    """
    found: dict[tuple[tuple[str, str], ...], tuple[array[int], array[float]]] = {}
    with httpx.Client(base_url=url, trust_env=False, timeout=600) as client:
        for day in range(begin, end, DAY):
            last = min(day + DAY, end) - step
            parameters: dict[str, Any] = {"query": rule.source, "start": day, "end": last, "step": step}
            answer = client.post("/api/v1/query_range", data=parameters).json()
            if answer["status"] != "success":
                raise RuntimeError(f"{rule}: {answer['error']}")
            for series in answer["data"]["result"]:
                labels = {**series["metric"], **({} if rule.is_alert else rule.labels)}
                labels.pop("__name__", None)
                times, values = found.setdefault(tuple(sorted(labels.items())), (array("q"), array("d")))
                times.extend(int(at) for at, _ in series["values"])
                values.extend(float(value) for _, value in series["values"])
    for pairs, (times, values) in found.items():
        # Two series that differ only in a label which the rule sets become one.
        order = sorted(range(len(times)), key=times.__getitem__)
        yield dict(pairs), array("q", (times[each] for each in order)), array("d", (values[each] for each in order))


def _fired(url: str, rule: Rule, begin: int, end: int) -> Iterator[Fired]:
    for labels, times, _ in _evaluated(url, rule, begin, end, STEP_SECONDS):
        for first, last in firing(times, rule.wait, rule.keep_firing):
            yield Fired(rule, {**labels, "severity": rule.labels.get("severity", "")}, first, last)


def firing(active: Sequence[int], wait: float, keep_firing: float) -> Iterator[tuple[int, int]]:
    """When an alert fires whose expression has a result at these evaluations.

    Args:
        active: Unix times, `STEP_SECONDS` apart while the result lasts.
        wait: Seconds of `for`.
        keep_firing: Seconds of `keep_firing_for`.
    """
    since: int | None = None
    fires: tuple[int, int] | None = None
    previous = -math.inf
    for at in active:
        if at - previous > STEP_SECONDS:
            # There was an evaluation without a result: a pending alert ends, a firing one lasts for `keep_firing_for`.
            if fires is not None and at - previous - STEP_SECONDS > keep_firing:
                yield fires[0], int(fires[1] + keep_firing)
                fires = None
            if fires is None:
                since = at
        if fires is not None:
            fires = (fires[0], at)
        elif since is not None and at - since >= wait:
            fires = (at, at)
        previous = at
    if fires is not None:
        yield fires[0], int(fires[1] + keep_firing)
