"""Which processes run when: deployments, restarts and scaling replace them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random
from typing import Final
from uuid import UUID

from testbed.fleet.replay.timeline import ALL_SERVICES, DAY, HOUR, MONDAY, Event, Scale

NODES: Final = 4
_ENVIRONMENTS: Final = ("production", "staging")
_OVERLAP_SECONDS: Final = 30
_ROLLING_SECONDS: Final = 60
_RESTART_SECONDS: Final = 60
_VERSION: Final = "1.0.0"


@dataclass(frozen=True)
class Process:
    """A process of a replica.

    Attributes:
        begin: Unix time of its start.
        end: Unix time of its end.
        clean: Whether it shuts down, and exports that it does.
        version: Version of the service.
    """

    environment: str
    service: str
    replica: int
    begin: int
    end: int
    clean: bool
    version: str = _VERSION

    @property
    def node(self) -> int:
        """Its node, from 0. Staging has one of its own."""
        return self.replica % (NODES - 1) if self.environment == "production" else NODES - 1

    @cached_property
    def id(self) -> str:
        """A random UUID, as the SDK generates it."""
        return str(UUID(int=self.random("id").getrandbits(128), version=4))

    @property
    def pod(self) -> str:
        return f"{self.service}-{self.id[:8]}-{self.id[-5:]}"

    @property
    def labels(self) -> dict[str, str]:
        return {
            "deployment_environment_name": self.environment,
            "service_namespace": "trust",
            "service_name": self.service,
            "service_version": self.version,
            "service_instance_id": self.id,
        }

    def random(self, purpose: str) -> Random:
        """Random numbers of its own."""
        return Random(f"{purpose} {self.environment} {self.service} {self.replica} {self.begin}")  # noqa: S311


def replicas_at(at: int, environment: str, scale: Scale) -> int:
    """How many replicas a service has at a time."""
    if environment == "staging":
        return scale.staging
    day, hour = divmod(at - MONDAY, DAY)
    return scale.production + (scale.added if day % 7 < 5 and 8 * HOUR <= hour < 18 * HOUR else 0)


def processes(begin: int, end: int, scale: Scale, events: Sequence[Event]) -> tuple[Process, ...]:
    """All processes that run between two Unix times."""
    found: list[Process] = []
    for environment in _ENVIRONMENTS:
        number = scale.production + scale.added if environment == "production" else scale.staging
        for service in ALL_SERVICES:
            for replica in range(number):
                added = environment == "production" and replica >= scale.production
                found += _of_replica(environment, service, replica, added, begin, end, events)
    return tuple(found)


def _of_replica(
    environment: str, service: str, replica: int, added: bool, begin: int, end: int, events: Sequence[Event]
) -> Iterator[Process]:
    """The processes of one replica, one after the other."""
    releases = [
        event
        for event in events
        if event.fault.version and event.environment == environment and service in event.services
    ]
    for first, last in _hours(added, begin, end):
        changes = {
            *_deployments(environment, service, replica),
            *(at for release in releases for at in (release.begin, release.end)),
        }
        starts = [first, *sorted(at for at in changes if first < at < last)]
        for start, following in zip(starts, [*starts[1:], last], strict=True):
            stop = following + (0 if following == last else _OVERLAP_SECONDS)
            version = next((each.fault.version for each in releases if each.begin <= start < each.end), _VERSION)
            for process in _with_failures(environment, service, replica, (start, stop), events):
                yield replace(process, version=version)


def _hours(added: bool, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """When a replica exists: always, or only in the hours with much traffic."""
    # A day longer, so that nothing starts or stops at the edges.
    if not added:
        yield begin - DAY, end + DAY
        return
    for day in range((begin - MONDAY) // DAY, (end - MONDAY) // DAY + 1):
        if day % 7 < 5:
            yield MONDAY + day * DAY + 8 * HOUR, MONDAY + day * DAY + 18 * HOUR


def _deployments(environment: str, service: str, replica: int) -> Iterator[int]:
    """When a deployment replaces the replica's process: one replica after the other."""
    days = (1, 3) if environment == "production" else range(5)
    hours = (14,) if environment == "production" else (9, 11, 16)
    for day in days:
        for hour in hours:
            yield MONDAY + day * DAY + hour * HOUR + ALL_SERVICES.index(service) * 600 + replica * _ROLLING_SECONDS


def _with_failures(
    environment: str, service: str, replica: int, span: tuple[int, int], events: Sequence[Event]
) -> Iterator[Process]:
    """The processes between two times: one, or several if it is killed."""
    start, stop = span
    for event in events:
        if not event.fault.down or event.environment != environment or service not in event.services:
            continue
        if event.replica not in (None, replica) or not start < event.begin < stop:
            continue
        killed = Process(environment, service, replica, start, event.begin, clean=False)
        if event.fault.node not in (None, killed.node):
            continue
        yield killed
        start = event.begin + _RESTART_SECONDS if event.fault.node is not None else event.end
    if start < stop:
        yield Process(environment, service, replica, start, stop, clean=True)
