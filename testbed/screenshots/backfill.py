"""Two weeks that the service never had, as its rules would have recorded them: a past for trends and forecasts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from testbed.drill.backfill import Course, store
from testbed.load_generator import CLIENT_NAMES, DOCUMENT_TYPES
from testbed.load_generator.population import CURRENCIES
from trust_otel.semconv.metrics import TRUST_DOCUMENT_PROCESSING_DURATION, TRUST_REVENUE_AMOUNT

_DAY = 86_400
_DAYS = 14
# Less than what Prometheus looks back for the last value.
_STEP_SECONDS = 240
_GROWTH_A_WEEK = 0.04
_NIGHT, _WEEKEND = 0.6, 0.7
_NOISE = 0.03
# An instance that ended shortly before the scene begins: without it the rules' half hours would begin at nothing.
_LAST_INSTANCE = "of-the-past"
_LAST_SECONDS, _GAP_SECONDS, _EXPORT_SECONDS = 40 * 60, 120, 15

# Per second, as of the traffic of the scene.
_DOCUMENTS = 1.7
_REVENUE = {"EUR": 54.0, "CHF": 8.0, "USD": 15.0}
# By what is recorded of a total: how it compares. A day and a week ago there was less.
_RECORDED = {"rate30m": 1.0, "rate30m_expected": 1.0, "rate30m_usual_min": 0.95}
_FEES, _COSTS = 0.17, 0.05
_OPERATIONS = {"validation": 3.4, "signing": 2.4, "issuance": 0.9, "renewal": 0.17, "revocation": 0.11}
_OUTCOMES = {"success": 0.95, "failure": 0.05}
_SLAS = {"document_processing": _DOCUMENTS, "validation_fast": 3.4, "available": 11.6}
_MISSED = 0.003
_POOL_USED, _POOL_GROWTH = 0.05, 0.002
_CPU_USED, _CPU_GROWTH = 0.4, 0.01

Labels = Mapping[str, str]


def make_past(data: Path, labels: Labels, host: str, now: float, scratch: Path) -> None:
    """Write the series into the storage folder of a Prometheus that does not run, up to a minute before `now`.

    Args:
        data: The folder.
        labels: Of the service, as its series have them.
        host: The instance label of the host that it runs on.
        now: Unix time.
        scratch: Where a file may be written.
    """
    # The last of them a minute ago: Prometheus looks back from the start of the scene for less than two steps.
    end = int(now) - 60
    moments = range(end - _DAYS * _DAY, end + 1, _STEP_SECONDS)
    chance = Random(1)  # noqa: S311 - no secret
    shape = [(at, _shape(at, now) * chance.gauss(1, _NOISE)) for at in moments]
    courses: dict[str, list[Course]] = {}
    for name, more, level in levels():
        courses.setdefault(name, []).append(({**labels, **more}, [(at, level * factor) for at, factor in shape]))
    weeks = [(at, (at - now) / (7 * _DAY)) for at in moments]
    pool = {**labels, "db_client_connection_pool_name": "postgresql/postgres"}
    used = [(at, _POOL_USED + _POOL_GROWTH * week) for at, week in weeks]
    courses["service_pool:db_client_connections_used:ratio"] = [(pool, used)]
    busy = [(at, _CPU_USED + _CPU_GROWTH * week) for at, week in weeks]
    courses["host:node_cpu_busy:ratio_rate5m"] = [({"instance": host}, busy)]
    exports = range(int(now) - _LAST_SECONDS, int(now) - _GAP_SECONDS, _EXPORT_SECONDS)
    for name, more, level in counters():
        counted = [(at, level * (at - exports.start)) for at in exports]
        courses.setdefault(name, []).append(({**labels, "service_instance_id": _LAST_INSTANCE, **more}, counted))
    store(data, courses, scratch)


def _shape(at: float, now: float) -> float:
    """How the level of a moment compares with that of now: lower at night, at weekends, and in the past."""
    growth: float = (1 + _GROWTH_A_WEEK) ** ((at - now) / (7 * _DAY))
    return _clock(at) / _clock(now) * growth


def _clock(at: float) -> float:
    # The most at noon, the least at midnight; Unix time began on a Thursday.
    day = 1 - (1 - _NIGHT) * (1 + math.cos(2 * math.pi * at / _DAY)) / 2
    return day * (_WEEKEND if int(at / _DAY + 3) % 7 >= 5 else 1)


def levels() -> Iterator[tuple[str, Labels, float]]:
    """Name, labels and present level of each series that has a day and a week."""
    yield from _totals()
    yield from _documents()
    yield from _money()
    for operation, level in _OPERATIONS.items():
        for outcome, part in _OUTCOMES.items():
            labels = {"trust_certificate_operation": operation, "trust_outcome": outcome}
            yield "service_operation:trust_certificate_operations:rate5m", labels, level * part
    for sla, level in _SLAS.items():
        yield "service:trust_sla_events:rate30m", {"trust_sla_name": sla}, level
        yield "service:trust_sla_misses:rate30m", {"trust_sla_name": sla}, level * _MISSED


def counters() -> Iterator[tuple[str, Labels, float]]:
    """Name, labels and growth per second of the counters of which rules make half hours."""
    documents = f"{TRUST_DOCUMENT_PROCESSING_DURATION.prometheus_name}_count"
    revenue = TRUST_REVENUE_AMOUNT.prometheus_name
    for country, currency in CURRENCIES.items():
        place = {"geo_country_iso_code": country}
        for kind in DOCUMENT_TYPES:
            labels = {**place, "trust_document_type": kind, "trust_outcome": "success"}
            yield documents, labels, _DOCUMENTS / len(CURRENCIES) / len(DOCUMENT_TYPES)
        for client in CLIENT_NAMES:
            labels = {**place, "trust_currency": currency, "trust_client_name": client}
            yield revenue, labels, _of_country(currency) / len(CLIENT_NAMES)


def _of_country(currency: str) -> float:
    """What each of the countries with the currency brings."""
    return _REVENUE[currency] / list(CURRENCIES.values()).count(currency)


def _totals() -> Iterator[tuple[str, Labels, float]]:
    for suffix, part in _RECORDED.items():
        yield f"service:trust_document_processing:{suffix}", {}, _DOCUMENTS * part
        for currency, amount in _REVENUE.items():
            yield f"service:trust_revenue_amount:{suffix}", {"trust_currency": currency}, amount * part
    # Nobody is warned of more revenue than usual.
    yield "service:trust_document_processing:rate30m_usual_max", {}, _DOCUMENTS


def _documents() -> Iterator[tuple[str, Labels, float]]:
    for kind in DOCUMENT_TYPES:
        for outcome, part in _OUTCOMES.items():
            labels = {"trust_document_type": kind, "trust_outcome": outcome}
            level = _DOCUMENTS * part / len(DOCUMENT_TYPES)
            yield "service_document:trust_document_processing:rate5m", labels, level
    for country in CURRENCIES:
        place = {"geo_country_iso_code": country}
        yield "service_country:trust_document_processing:rate5m", place, _DOCUMENTS / len(CURRENCIES)


def _money() -> Iterator[tuple[str, Labels, float]]:
    for country, currency in CURRENCIES.items():
        labels = {"geo_country_iso_code": country, "trust_currency": currency}
        yield "service_country:trust_revenue_amount:rate5m", labels, _of_country(currency)
    for currency, amount in _REVENUE.items():
        for client in CLIENT_NAMES:
            labels = {"trust_currency": currency, "trust_client_name": client}
            yield "service_client:trust_revenue_amount:rate5m", labels, amount / len(CLIENT_NAMES)
        yield "service:trust_fee_amount:rate5m", {"trust_currency": currency}, amount * _FEES
        yield "service:trust_cost_amount:rate5m", {"trust_currency": currency}, amount * _COSTS
