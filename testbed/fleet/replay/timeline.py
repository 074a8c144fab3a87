"""What happens in the week, and which alerts may fire for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from random import Random
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
MONDAY: Final = int(datetime(2026, 3, 2, tzinfo=timezone.utc).timestamp())
"""Begin of the week, Unix time."""

DOCUMENTS: Final = "document-service"
SIGNING: Final = "signing-service"
VALIDATION: Final = "validation-service"
ALL_SERVICES: Final = (DOCUMENTS, SIGNING, VALIDATION)

# Rates over half an hour still contain what happened then.
_LATE_SECONDS: Final = 45 * MINUTE
_BUDGETS: Final = frozenset({"TrustAvailabilityBudgetBurn", "TrustLatencyBudgetBurn", "TrustValidationBudgetBurn"})
# Budgets are compared over up to three days.
_BUDGET_LATE_SECONDS: Final = 3 * DAY


@dataclass(frozen=True)
class Scale:
    """How many instances of each service run.

    Attributes:
        production: At any time.
        added: Further ones in production, on working days from 8 to 18 o'clock.
        staging: At any time.
    """

    production: int = 2
    added: int = 2
    staging: int = 1


@dataclass(frozen=True)
class Fault:
    """What an event changes. Shares are of all requests, factors of the usual value.

    Attributes:
        errors: Share of requests that fail with 5xx, and of gRPC calls with UNAVAILABLE.
        client_errors: Requests with 4xx per request that succeeds.
        slowness: Factor of latencies.
        traffic: Factor of the number of requests.
        slow_operations: Share of slow database operations.
        waiting: Requests that wait for a connection of the pool, on each instance.
        pool_timeouts: Number of requests for a connection that time out at the begin of the event.
        refused: Requests that a rate limit refuses, per second.
        logins: Failed logins per second from `address`.
        address: Client address.
        dependency: Name of a dependency that does not answer.
        signing_errors: Share of signing operations that end in an error.
        invalid: Share of validated certificates that are invalid.
        down: Whether the instances do not run.
        silent: Whether exports do not arrive.
        node: The node concerned, from 0; None for all.
        not_ready: Whether the node is not ready.
        memory: Share of the container's memory limit in use; 0 for the usual one.
        host_memory: Share of the host's memory in use; 0 for the usual one.
        failed_checks: Compliance checks that fail at the begin of the event.
        incidents: Detected incidents per second.
        collector: Number of the Collector that does not run; None for none.
        version: Version of the release that runs meanwhile; empty for the usual one.
    """

    errors: float = 0
    client_errors: float = 0
    slowness: float = 1
    traffic: float = 1
    slow_operations: float = 0
    waiting: int = 0
    pool_timeouts: int = 0
    refused: float = 0
    logins: float = 0
    address: str = ""
    dependency: str = ""
    signing_errors: float = 0
    invalid: float = 0
    down: bool = False
    silent: bool = False
    node: int | None = None
    not_ready: bool = False
    memory: float = 0
    host_memory: float = 0
    failed_checks: int = 0
    incidents: float = 0
    collector: int | None = None
    version: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happens.

    Attributes:
        name: What happens, as written in the table.
        begin: Unix time.
        end: Unix time.
        environment: Where; empty for what belongs to no environment.
        services: The services concerned.
        fault: What it changes.
        replica: The number of the instance concerned; None for all.
        fires: Alerts that must fire for it.
        may_fire: Further alerts that it explains.
    """

    name: str
    begin: int
    end: int
    environment: str
    services: tuple[str, ...] = ALL_SERVICES
    fault: Fault = field(default_factory=Fault)
    replica: int | None = None
    fires: tuple[str, ...] = ()
    may_fire: tuple[str, ...] = ()

    def explains(self, alert: str, environment: str, service: str, begin: int, end: int) -> bool:
        """Whether it is a cause of an alert that fires from `begin` to `end`."""
        late = _BUDGET_LATE_SECONDS if alert in _BUDGETS else _LATE_SECONDS
        return (
            alert in (*self.fires, *self.may_fire)
            and environment in ("", self.environment)
            and (service not in ALL_SERVICES or service in self.services)
            and begin <= self.end + late
            and end >= self.begin
        )


def activity(at: int, environment: str) -> float:
    """Traffic at a time, relative to the busiest hour of the week."""
    hour = at % DAY / HOUR
    weekend = (at - MONDAY) // DAY % 7 >= 5
    if environment == "staging":
        return 0.08 if weekend or not 7 <= hour < 18 else 1.0
    by_day = max(0.0, math.sin(math.pi * (hour - 6) / 15)) if 6 <= hour < 21 else 0.0
    return (0.12 + 0.88 * by_day) * (0.4 if weekend else 1.0)


def week() -> tuple[Event, ...]:
    """Everything that happens in the week, in order of time."""
    return tuple(sorted((*_incidents(), *_work(), *_ordinary()), key=lambda event: event.begin))


def _at(day: int, hour: int, minute: int = 0) -> int:
    return MONDAY + day * DAY + hour * HOUR + minute * MINUTE


def _incidents() -> Iterator[Event]:
    yield Event(
        "a release answers a quarter of the requests with 500, until the rollback",
        *(_at(1, 10, 20), _at(1, 11, 5)),
        *("production", (DOCUMENTS,)),
        Fault(errors=0.25, version="1.1.0"),
        fires=("TrustServiceHighErrorRate", "TrustSlaViolation"),
        may_fire=("TrustAvailabilityBudgetBurn",),
    )
    yield Event(
        "the database is slow: a query without an index",
        *(_at(2, 13), _at(2, 16, 30)),
        *("production", (DOCUMENTS, VALIDATION)),
        Fault(slow_operations=0.15, slowness=8, waiting=4, pool_timeouts=6),
        fires=("TrustDatabaseSlowQueries", "TrustDatabaseConnectionProblems"),
        may_fire=("TrustLatencyBudgetBurn", "TrustServiceHighLatency", "TrustGrpcHighLatency"),
    )
    yield Event(
        "Vault is sealed: nothing can be signed",
        *(_at(3, 2, 10), _at(3, 2, 35)),
        *("production", (SIGNING,)),
        Fault(dependency="vault", signing_errors=1, errors=0.6),
        fires=("TrustVaultUnavailable", "TrustSigningFailures", "TrustGrpcHighErrorRate"),
        may_fire=("TrustServiceHighErrorRate", "TrustAvailabilityBudgetBurn"),
    )
    yield Event(
        "one address guesses passwords",
        *(_at(4, 21), _at(4, 21, 40)),
        *("production", (DOCUMENTS,)),
        Fault(logins=1.5, address="203.0.113.7", refused=0.5, incidents=1 / 300),
        fires=(
            *("TrustAuthFailuresFromAddress", "TrustBruteForceFromAddress"),
            *("TrustSuspiciousActivity", "TrustExcessiveRateLimiting"),
        ),
    )
    yield Event(
        "a node dies, and its instances start on others",
        *(_at(5, 4), _at(5, 4, 12)),
        "production",
        fault=Fault(node=1, down=True, not_ready=True),
        fires=("TrustKubernetesNodeUnhealthy", "TrustServiceInstanceDown", "TrustMonitoringTargetDown"),
    )
    yield Event(
        "a wrong configuration: no instance starts",
        *(_at(0, 15), _at(0, 15, 20)),
        *("staging", (VALIDATION,)),
        Fault(down=True),
        fires=("TrustServiceDown", "TrustServiceInstanceDown"),
    )


def _work() -> Iterator[Event]:
    """What somebody must do something about, without an outage."""
    yield Event(
        "a certificate is renewed two days after its last month began",
        *(_at(1, 9), _at(3, 9)),
        *("production", (SIGNING,)),
        fires=("TrustCertificateExpiring",),
    )
    yield Event(
        "an instance is killed: out of memory",
        *(_at(3, 11, 30), _at(3, 11, 31)),
        *("staging", (DOCUMENTS,)),
        Fault(down=True, memory=0.9),
        replica=0,
        fires=("TrustServiceInstanceDown",),
    )
    yield Event(
        "a compliance check fails",
        *(_at(3, 16), _at(3, 16, 1)),
        *("production", (SIGNING,)),
        Fault(failed_checks=1),
        replica=0,
        fires=("TrustComplianceFailure",),
    )


def _ordinary() -> Iterator[Event]:
    """What needs nobody: an alert for it is noise."""
    rng = Random("ordinary")  # noqa: S311 - no secret
    yield from _pauses(rng)
    yield from _clients(rng)
    yield Event(
        "a node loses its network for 40 seconds",
        *(_at(2, 3, 12), _at(2, 3, 12) + 40),
        "production",
        fault=Fault(node=2, silent=True),
    )
    for collector in (0, 1):
        begin = _at(2, 7, 30) + collector * 3 * MINUTE
        yield Event("the Collectors are upgraded", begin, begin + 45, "", fault=Fault(collector=collector))
    yield Event("Vault elects a leader", _at(1, 22), _at(1, 22) + 20, "production", fault=Fault(dependency="vault"))
    for day in range(7):
        backup = Fault(host_memory=0.8, slowness=1.5)
        yield Event("the nightly backup", _at(day, 1, 30), _at(day, 1, 50), "production", fault=backup)


def _pauses(rng: Random) -> Iterator[Event]:
    """Garbage collection and noisy neighbours."""
    for environment, service in _everywhere():
        for day in range(7):
            for _ in range(3):
                begin = _at(day, 0) + rng.randrange(DAY)
                yield Event(
                    "an instance pauses",
                    begin,
                    begin + rng.randrange(5, 60),
                    environment,
                    (service,),
                    Fault(slowness=rng.uniform(5, 25), waiting=rng.choice((0, 0, 2))),
                    replica=rng.randrange(2),
                )


def _clients(rng: Random) -> Iterator[Event]:
    """Clients that do something wrong for some minutes."""
    for day in range(7):
        for _ in range(3):
            begin = _at(day, 8) + rng.randrange(11 * HOUR)
            wrong = Fault(client_errors=rng.uniform(0.3, 2))
            place = ("production", (rng.choice(ALL_SERVICES),))
            yield Event("a client sends wrong requests", begin, begin + rng.randrange(60, 400), *place, wrong)
        begin = _at(day, 8, 30) + rng.randrange(HOUR)
        office = Fault(logins=rng.uniform(0.01, 0.06), address="198.51.100.20")
        yield Event("people of an office mistype passwords", begin, begin + 600, "production", (DOCUMENTS,), office)
        batch = Fault(refused=0.1, traffic=1.3)
        yield Event("a nightly batch is slowed down", _at(day, 3), _at(day, 3, 15), "production", (DOCUMENTS,), batch)
        tests = Fault(invalid=0.5, client_errors=0.5, traffic=6)
        # Half of the certificates that they validate are invalid, so that this alert says what is so.
        alerts = ("TrustCertificateValidationFailures",)
        end = _at(day, 2, 12)
        yield Event("the nightly tests", _at(day, 2), end, "staging", ALL_SERVICES, tests, may_fire=alerts)
    for day, hour in ((0, 11), (4, 14)):
        full = Fault(pool_timeouts=1, waiting=2)
        begin = _at(day, hour, 12)
        yield Event("a pool is full for a moment", begin, begin + 40, "production", (DOCUMENTS,), full, replica=1)


def _everywhere() -> Iterable[tuple[str, str]]:
    return ((environment, service) for environment in ("production", "staging") for service in ALL_SERVICES)
