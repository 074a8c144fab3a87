"""Writes the fleet, and what the recording rules make of it, into the storage of a Prometheus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from testbed.drill import backfill
from testbed.drill.backfill import Points, store
from testbed.fleet.course import Course
from testbed.fleet.infrastructure import infrastructure
from testbed.fleet.services import ENVIRONMENTS, GONE_INSTANCE, courses_of, instances
from testbed.screenshots.backfill import levels
from trust_ops.stack.files import project_file

STEP_SECONDS: Final = 30
SHOWN_SECONDS: Final = 1800
"""How long there is data of every instance."""
GONE_SECONDS: Final = 300
"""How long ago the killed instance reported."""
RULE_LEVELS: Final = 3
"""Recording rules read the results of others, three levels deep, and see only those that are stored."""
_RECORD_SECONDS: Final = 60
# The fleet's documents, and its revenue by currency, relative to those of `levels`.
_DOCUMENTS: Final = 6.5
_REVENUE: Final = {"EUR": 0.81, "CHF": 2.75}
_HISTORY_DAYS: Final = 15
# Less than Prometheus' lookback delta.
_HISTORY_STEP: Final = 240


def seed(data: Path, end: int, scratch: Path) -> None:
    """Write the fleet up to `end` (Unix time) into the storage of a stopped Prometheus."""
    begin = end - SHOWN_SECONDS
    found: dict[str, list[Points]] = defaultdict(list)
    for instance in instances():
        last = end - GONE_SECONDS if instance == GONE_INSTANCE else end
        for course in courses_of(instance, begin):
            found[course.name].append((course.labels, _points(course, begin, last)))
    for course in infrastructure(begin):
        found[course.name].append((course.labels, _points(course, begin, end)))
    store(data, found, scratch)
    history: dict[str, list[Points]] = defaultdict(list)
    for environment in ENVIRONMENTS:
        for name, labels, level in _history(environment):
            history[name].append((labels, _constant(level, end - _HISTORY_DAYS * 86_400, begin)))
    store(data, history, scratch)


def record(url: str, data: Path, end: int) -> None:
    """Evaluate the recording rules with a running Prometheus. It reads the results, in `data`, after a restart.

    Raises CalledProcessError with promtool's output.
    """
    rules = [project_file(f"monitoring/prometheus/trust-service-{name}.yml") for name in ("recording", "slo")]
    backfill.record(url, data, rules, end - SHOWN_SECONDS, end, _RECORD_SECONDS)


def _points(course: Course, begin: int, end: int) -> Iterable[tuple[int, float]]:
    return ((at, course.first + course.per_second * (at - begin)) for at in range(begin, end + 1, STEP_SECONDS))


def _history(environment: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """The recorded series of two weeks, for trends and forecasts."""
    service = {
        "deployment_environment_name": environment,
        "service_namespace": "trust",
        "service_name": "document-service",
    }
    factor = 1 if environment == "production" else 40
    for name, labels, level in levels():
        currency = labels.get("trust_currency", "")
        # The recording rules have the countries and clients of the fleet.
        if currency in ("", *_REVENUE) and not {"geo_country_iso_code", "trust_client_name"} & labels.keys():
            yield name, {**service, **labels}, level * factor * _REVENUE.get(currency, _DOCUMENTS)
    pool = {**service, "db_client_connection_pool_name": "postgresql/trust"}
    yield "service_pool:db_client_connections_used:ratio", pool, 0.2 if environment == "production" else 0.6
    if environment == "production":
        yield from (("host:node_cpu_busy:ratio_rate5m", {"instance": f"node-{n + 1:02}:9100"}, 0.4) for n in range(20))


def _constant(level: float, begin: int, end: int) -> Iterable[tuple[int, float]]:
    return ((at, level) for at in range(begin, end, _HISTORY_STEP))
