"""The history with which the demo opens.

Two hours of an earlier instance, which ended when the demo started, and of the host, and the levels of two weeks that
trends and forecasts read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

from examples.demo.profile import PREVIOUS_INSTANCE, RATE, SECONDS, Recorded
from testbed.drill.backfill import Points, record, store
from testbed.screenshots.backfill import level_factor
from trust_ops.stack import PrometheusClient, Stack
from trust_otel.semconv.metrics import PROCESS_UPTIME, TRUST_OTEL_INSTANCE_UP
from trust_otel.semconv.scraped import read_scraped

HISTORY_SECONDS: Final = 2 * 3600
STEP_SECONDS: Final = 30

_DAY: Final = 86_400
_HOUR: Final = 3600
_DAYS: Final = 14
# Less than Prometheus' lookback delta.
_TREND_STEP: Final = 240
_LOOKBACK: Final = 300
# Until the new instance exports.
_START_SECONDS: Final = 30
# Longer than the range in which rules look for an instance: it is gone when the demo starts.
_GONE_SECONDS: Final = 60
_RULE_STEP: Final = 60
_NOISE: Final = 0.08
# Counters are multiples of what was recorded, by a binary fraction: then sums of them are exact, and no operation looks
# as if it had no audit record.
_FRACTIONS: Final = 512
_TIMES: Final = 1e9
_RECORD: Final = re.compile(r"[a-z_]\w*:[\w:]+")
_TREND: Final = re.compile(r"service\w*:trust_\w+:(rate5m|rate30m|increase2m)|(service_pool|host):.+")
_RATIOS: Final = ("service_pool:", "host:")
_INCREASE, _INCREASE_SECONDS = ":increase2m", 120
# With it, the service would be down until the new instance reports.
_LEFT_OUT: Final = "service_delivery:trust_otel_instances:count"
# They read weeks at each step; panels show the last value.
_FORECASTS: Final = "trust-service.recording.forecast"
_FORECAST_SECONDS: Final = 240

Named = tuple[str, Points]
"""Name of a series, and its labels and values."""
Groups = list[dict[str, Any]]


def write_history(
    stack: Stack, prometheus: str, exporter: str | None, series: Iterable[Recorded], files: Sequence[Path], rate: float
) -> None:
    """Write the history into the storage of a running stack, and restart its Prometheus.

    Args:
        stack: The stack.
        prometheus: URL of its Prometheus.
        exporter: URL of its node_exporter, if it has one.
        series: The recorded series of the service.
        files: Files of recording rules.
        rate: Operations per second.

    Raises StackError, or CalledProcessError with promtool's output.
    """
    end = int(time.time())
    found = [*service_history(series, end, rate), *(_host_history(exporter, end) if exporter else ())]
    for groups in rule_levels(files):
        _add(stack, found)
        # Prometheus reads new blocks when it starts.
        stack.start("prometheus")
        found = list(_trends(prometheus, groups, end))
        _record(stack, prometheus, groups, end)
    _add(stack, found)
    stack.start("prometheus")


def service_history(series: Iterable[Recorded], end: int, rate: float) -> Iterator[Named]:
    """The series of the earlier instance until `end` (Unix time), with operations at this rate per second."""
    moments = range(end - HISTORY_SECONDS, end + 1, STEP_SECONDS)
    multiples = _multiples(moments, rate)
    # Prometheus returns the last value until the new instance exports.
    last = end - _LOOKBACK + _START_SECONDS
    for each in series:
        labels = {**each.labels, "service_instance_id": PREVIOUS_INSTANCE, "instance": PREVIOUS_INSTANCE}
        if each.counts:
            points = [(at, each.value * multiple) for at, multiple in zip(moments, multiples, strict=True)]
        elif each.name == TRUST_OTEL_INSTANCE_UP.prometheus_name:
            # 0 means that it shut down.
            points = [(at, float(at <= end - _GONE_SECONDS)) for at in moments]
        elif each.name.endswith("_up"):
            points = [(at, each.value) for at in moments]
        else:
            points = [(at, _gauge(each, at, end)) for at in moments if at <= last]
        yield each.name, (labels, points)


def rule_levels(files: Sequence[Path]) -> list[Groups]:
    """The groups of recording rules by level: a rule reads only results of lower levels."""
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    read: dict[str, set[str]] = {rule["record"]: set() for group in groups for rule in group["rules"]}
    for rule in (rule for group in groups for rule in group["rules"]):
        read[rule["record"]] |= set(_RECORD.findall(rule["expr"])) & read.keys()

    def level(name: str) -> int:
        return 1 + max(map(level, read[name]), default=-1)

    levels = {name: level(name) for name in read if name != _LEFT_OUT}
    return [
        [
            {**group, "rules": [rule for rule in group["rules"] if levels.get(rule["record"]) == number]}
            for group in groups
        ]
        for number in range(max(levels.values()) + 1)
    ]


def _add(stack: Stack, series: Iterable[Named]) -> None:
    """Stop Prometheus, and write series into its storage."""
    stack.stop("prometheus")
    named: dict[str, list[Points]] = {}
    for name, points in series:
        named.setdefault(name, []).append(points)
    if named:
        store(_data(stack), named, stack.directory)


def _record(stack: Stack, prometheus: str, groups: Groups, end: int) -> None:
    file = stack.directory / "history.yml"
    forecasts = [group for group in groups if group["name"] == _FORECASTS]
    others = [group for group in groups if group["name"] != _FORECASTS]
    for chosen, seconds in ((others, HISTORY_SECONDS), (forecasts, _FORECAST_SECONDS)):
        file.write_text(yaml.safe_dump({"groups": chosen}), encoding="utf-8")
        record(prometheus, _data(stack), [file], end - seconds, end, _RULE_STEP)


def _data(stack: Stack) -> Path:
    return stack.directory / "prometheus" / "data"


def _multiples(moments: range, rate: float) -> list[float]:
    """The increase since the start of the instance, as multiples of the recorded one."""
    rng = Random(1)  # noqa: S311 - no secret
    scale = rate / RATE / SECONDS
    steps = (moments.step * scale * level_factor(at, moments[-1]) * rng.gauss(1, _NOISE) for at in moments[1:])
    return [round(multiple * _FRACTIONS) / _FRACTIONS for multiple in accumulate(steps, initial=_DAY * scale)]


def _gauge(series: Recorded, at: int, end: int) -> float:
    if series.name == PROCESS_UPTIME.prometheus_name:
        return _DAY + at - (end - HISTORY_SECONDS)
    if series.value < _TIMES:
        return series.value
    # A time. If it was recent, it is as recent at each moment; else, it is as far from the end.
    ago = series.recorded_at - series.value
    return at - ago if 0 <= ago < _HOUR else end - ago


def _host_history(exporter: str, end: int) -> Iterator[Named]:
    """The series of the host that rules and dashboards read: counters with their mean rate since the host's start."""
    kinds = {metric.name: metric.kind for metric in read_scraped().values() if metric.job == "node"}
    text = httpx.get(f"{exporter}/metrics", trust_env=False).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    (started,) = (sample.value for sample in samples if sample.name == "node_boot_time_seconds")
    moments = range(end - HISTORY_SECONDS, end + 1, STEP_SECONDS)
    for sample in samples:
        if sample.name in kinds:
            labels = {**sample.labels, "job": "node", "instance": urlsplit(exporter).netloc}
            rate = sample.value / (end - started) if kinds[sample.name] == "counter" else 0
            yield sample.name, (labels, [(at, max(0, sample.value - rate * (end - at))) for at in moments])


def _trends(prometheus: str, groups: Groups, end: int) -> Iterator[Named]:
    """Two weeks before the history of the results of these rules that trends and forecasts read."""
    rng = Random(2)  # noqa: S311 - no secret
    begin = end - HISTORY_SECONDS
    moments = range(begin - _DAYS * _DAY, begin, _TREND_STEP)
    factors = [level_factor(at, end) * rng.gauss(1, _NOISE / 2) for at in moments]
    with PrometheusClient(prometheus) as client:
        for rule in (rule for group in groups for rule in group["rules"] if _TREND.fullmatch(rule["record"])):
            scale = _TREND_STEP / _INCREASE_SECONDS if rule["record"].endswith(_INCREASE) else 1
            varying = not rule["record"].startswith(_RATIOS)
            for sample in client.query(rule["expr"]):
                level = sample.value * scale
                points = [(at, level * (factor if varying else 1)) for at, factor in zip(moments, factors, strict=True)]
                yield rule["record"], (sample.labels, points)
