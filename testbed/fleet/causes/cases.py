"""Seeded incidents, each with one cause: a route, an instance, a country, a client, and so on.

Every incident has two hours of its own, with four instances of one service. Chance decides what is harmless at the same
time: a release or a restart ten minutes or half an hour before, an additional instance, more traffic.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from testbed.drill.backfill import Points
from testbed.fleet.replay.signals import STEP_SECONDS, Recorder, part, poisson
from testbed.fleet.replay.timeline import HOUR, MINUTE, MONDAY

KINDS: Final = ("route", "instance", "country", "client", "address", "dependency", "release", "database")
SLOT: Final = 3 * HOUR
_BEGINS, _LASTS, _ENDS = 70 * MINUTE, 25 * MINUTE, 2 * HOUR
_RELEASED: Final = (40 * MINUTE, 60 * MINUTE)
_SERVICE: Final = "document-service"
_ROUTES: Final = ("/v1/documents", "/v1/documents/{id}", "/v1/signatures", "/v1/validations", "/v1/search", "/login")
_COUNTRIES: Final = ("DE", "FR", "CH", "AT", "IT")
_CLIENTS: Final = ("acme", "bank", "registry", "portal")
_DEPENDENCIES: Final = ("database", "vault", "timestamps")
_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_HTTP: Final = "http_server_request_duration_seconds"
_DOCUMENTS: Final = "trust_document_processing_duration_seconds_count"
_LATENCY, _SLOWNESS = 0.06, 150.0
_SHARES: Final = {"instance": (0.35, 0.7), "release": (0.12, 0.5), "dependency": (0.3, 0.6)}
_NOISE: Final = 0.005


@dataclass(frozen=True)
class Case:
    """An incident.

    Attributes:
        kind: One of `KINDS`.
        seed: Number that decides everything else.
        number: Number of its slot.
    """

    kind: str
    seed: int
    number: int

    @property
    def start(self) -> int:
        return MONDAY + self.number * SLOT

    @property
    def begin(self) -> int:
        """When the incident begins, Unix time."""
        return self.start + _BEGINS

    @property
    def end(self) -> int:
        return self.begin + _LASTS

    def random(self, purpose: str) -> Random:
        return Random(f"{purpose} {self.kind} {self.seed}")  # noqa: S311 - no secret

    @property
    def is_slow(self) -> bool:
        """Whether requests are slow instead of failing."""
        return self.kind == "database" or (self.kind in ("route", "instance", "release") and self.seed % 2 == 1)

    @property
    def alert(self) -> str:
        if self.kind in ("country", "client"):
            return "TrustSlaViolation"
        if self.kind == "address":
            return "TrustExcessiveRateLimiting"
        return "TrustServiceHighLatency" if self.is_slow else "TrustServiceHighErrorRate"

    @property
    def value(self) -> str:
        """The route, country and so on."""
        rng = self.random("value")
        return {
            # A route with fewer requests would not raise the alert.
            "route": rng.choice(_ROUTES[: 2 if self.is_slow else 3]),
            "instance": f"instance-{rng.randrange(4)}-{self.number}",
            "country": rng.choice(_COUNTRIES),
            "client": rng.choice(_CLIENTS),
            "address": f"203.0.113.{rng.randrange(1, 255)}",
            "dependency": rng.choice(_DEPENDENCIES),
            "release": "1.1.0",
            "database": "",
        }[self.kind]

    @property
    def cause(self) -> tuple[str, str]:
        """Label and value, as `trust-otel explain` names the cause."""
        label = {
            "route": "http_route",
            "instance": "service_instance_id",
            "country": "geo_country_iso_code",
            "client": "trust_client_name",
            "address": "client_address",
            "dependency": "trust_dependency_name",
            "release": "service_version",
            "database": "trust_db_client_slow_operations_total",
        }[self.kind]
        return label, self.value


def cases(seeds: Sequence[int], kinds: Sequence[str] = KINDS) -> tuple[Case, ...]:
    """One of each kind for each seed."""
    pairs = [(kind, seed) for kind in kinds for seed in seeds]
    return tuple(Case(kind, seed, number) for number, (kind, seed) in enumerate(pairs))


def history(incidents: Sequence[Case]) -> Mapping[str, list[Points]]:
    """All samples, by name."""
    found: dict[str, list[Points]] = defaultdict(list)
    for case in incidents:
        for instance in _instances(case):
            for name, points in instance.samples():
                found[name].append(points)
    return found


def _instances(case: Case) -> Iterator[_Instance]:
    rng = case.random("fleet")
    stop = case.start + _ENDS
    harmless = rng.choice(("", "", "release", "restart")) if case.kind != "release" else ""
    if case.kind == "release":
        changed, version = case.begin, case.value
    else:
        changed, version = case.start + rng.choice(_RELEASED), "1.1.0" if harmless == "release" else "1.0.0"
    growth = rng.choice((1.0, 1.0, 1.4))
    number = 4 + rng.choice((0, 0, 1))
    for each in range(number):
        name = f"instance-{each}-{case.number}"
        begin = case.start if each < 4 else case.begin - 20 * MINUTE
        if each < 4 and (harmless or case.kind == "release"):
            replaced = changed + each * MINUTE // 2
            yield _Instance(case, f"{name}-old", "1.0.0", begin, replaced + STEP_SECONDS, growth / 4)
            begin = replaced
        yield _Instance(case, name, version if each < 4 else "1.0.0", begin, stop, growth / number)


class _Instance:
    def __init__(self, case: Case, name: str, version: str, begin: int, end: int, load: float) -> None:
        self._case = case
        self._name = name
        self._version = version
        self._begin, self._end = begin, end
        self._load = load
        self._rng = case.random(f"{name} {begin}")
        self._recorder = Recorder(
            {
                "deployment_environment_name": "production",
                "service_namespace": "trust",
                "service_name": _SERVICE,
                "service_version": version,
                "service_instance_id": name,
            }
        )
        fleet = case.random("fault")
        self._share = fleet.uniform(*_SHARES.get(case.kind, (0.5, 0.8)))
        self._affected = fleet.sample(_ROUTES, 2)

    def samples(self) -> Iterator[tuple[str, Points]]:
        for at in range(self._begin, self._end, STEP_SECONDS // 2):
            stops = at + STEP_SECONDS > self._end and self._end < self._case.start + _ENDS
            self._recorder.set("trust_otel_instance_up", float(not stops))
            if at % STEP_SECONDS == 0:
                self._recorder.set("process_uptime_seconds", at - self._begin)
                self._step(self._case.begin <= at < self._case.end)
            self._recorder.export(at, fast=at % STEP_SECONDS != 0)
        yield from self._recorder.taken()

    def _step(self, wrong: bool) -> None:
        for number, route in enumerate(_ROUTES):
            self._requests(route, 4.0 / (number + 1), self._fault(route) if wrong else 0.0)
        self._documents(wrong)
        self._uses(wrong)

    def _fault(self, route: str) -> float:
        """Share of a route's requests that fail or are slow."""
        case = self._case
        hit = {
            "route": route == case.value,
            "instance": self._name == case.value,
            "release": self._version == case.value,
            "dependency": route in self._affected,
            "database": True,
        }
        return self._share if hit.get(case.kind, False) else 0.0

    def _requests(self, route: str, rate: float, share: float) -> None:
        number = poisson(self._rng, rate * self._load * STEP_SECONDS)
        bad = part(self._rng, number, share)
        failed = 0 if self._case.is_slow else bad
        failed += part(self._rng, number - failed, _NOISE)
        wrong = part(self._rng, number - failed, 0.03)
        place = {"http_request_method": "POST", "http_route": route, "url_scheme": "https"}
        slow = bad if self._case.is_slow else 0
        for code, count in (("200", number - failed - wrong), ("500", failed), ("404", wrong)):
            self._durations({**place, "http_response_status_code": code}, count, slow if code == "200" else 0)

    def _durations(self, labels: Mapping[str, str], count: int, slow: int) -> None:
        if not count:
            return
        self._recorder.add(f"{_HTTP}_count", count, **labels)
        times = [self._rng.expovariate(1 / (_LATENCY * (_SLOWNESS if each < slow else 1))) for each in range(count)]
        for bound in (*_BOUNDS, math.inf):
            le = "+Inf" if bound == math.inf else f"{bound:g}"
            self._recorder.count(f"{_HTTP}_bucket", sum(time <= bound for time in times), **labels, le=le)

    def _documents(self, wrong: bool) -> None:
        for country in _COUNTRIES:
            for client in _CLIENTS:
                number = poisson(self._rng, 0.06 * self._load * STEP_SECONDS)
                hit = wrong and self._case.value in (country, client)
                failed = part(self._rng, number, self._share if hit else _NOISE)
                place = {"trust_document_type": "passport", "geo_country_iso_code": country}
                for outcome, count in (("success", number - failed), ("failure", failed)):
                    self._recorder.add(_DOCUMENTS, count, **place, trust_client_name=client, trust_outcome=outcome)
                    sla = {"trust_sla_name": "document_processing", "trust_client_name": client}
                    self._recorder.add("trust_sla_events_total", count, **sla, trust_outcome=outcome)
        self._recorder.set("trust_sla_objective_ratio", 0.97, trust_sla_name="document_processing")

    def _uses(self, wrong: bool) -> None:
        for name in _DEPENDENCIES:
            down = wrong and self._case.kind == "dependency" and name == self._case.value
            labels = {"trust_dependency_name": name, "trust_dependency_type": "http"}
            self._recorder.set("trust_dependency_up", float(not down), **labels)
        database = {"db_system_name": "postgresql", "db_namespace": "trust"}
        operations = poisson(self._rng, 20 * self._load * STEP_SECONDS)
        is_slow = wrong and self._case.kind == "database"
        slow = part(self._rng, operations, self._share / 2 if is_slow else 0.0005)
        self._recorder.add("trust_db_client_slow_operations_total", slow, **database)
        pool = {"db_client_connection_pool_name": "postgresql/trust"}
        self._recorder.set("db_client_connection_pending_requests", 4.0 if is_slow else 0.0, **pool)
        attacked = wrong and self._case.kind == "address"
        for number in range(8):
            failures = poisson(self._rng, 0.01 * self._load * STEP_SECONDS)
            self._recorder.add("trust_security_auth_failures_total", failures, client_address=f"192.0.2.{number}")
        if attacked:
            failures = poisson(self._rng, 2 * self._load * STEP_SECONDS)
            self._recorder.add("trust_security_auth_failures_total", failures, client_address=self._case.value)
            refused = poisson(self._rng, 3 * self._load * STEP_SECONDS)
            self._recorder.add("trust_security_rate_limited_total", refused, trust_rate_limit_name="login")
