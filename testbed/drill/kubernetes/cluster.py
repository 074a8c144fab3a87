"""The nodes and pods of the fake cluster, and their faults."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from testbed.drill.kubernetes.counter import Clock, SteadyCounter

_MEBIBYTE = 2**20
_PACKETS_PER_SECOND = 400.0
# Share of each period of a crash loop in which the container runs. In the rest, the kubelet waits (back-off).
_RUNNING_SHARE = 0.2

CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
STATUSES = ("true", "false", "unknown")


class Node:
    """A node; initially healthy.

    Attributes:
        unschedulable: Whether it is cordoned.
        conditions: Status of each condition: `true`, `false` or `unknown`.
    """

    memory_bytes = 8192 * _MEBIBYTE

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.unschedulable = False
        self.conditions = {condition: "true" if condition == "Ready" else "false" for condition in CONDITIONS}

    def set_condition(self, condition: str, status: str) -> None:
        """Change a condition. Raises ValueError on an unknown condition or status."""
        if condition not in CONDITIONS or status not in STATUSES:
            raise ValueError(f"a node has no condition {condition}={status}: {CONDITIONS}, each one of {STATUSES}")
        self.conditions[condition] = status


class Traffic:
    """Network traffic of a pod in one direction."""

    def __init__(self, clock: Clock) -> None:
        self.packets = SteadyCounter(_PACKETS_PER_SECOND, clock)
        self.errors = SteadyCounter(0, clock)
        self.dropped = SteadyCounter(0, clock)

    def fail(self, share: float) -> None:
        """Set the share of packets with errors."""
        self.errors.set_rate(_PACKETS_PER_SECOND * share)


@dataclass(frozen=True)
class _CrashLoop:
    since: float
    every: float
    restarts_before: int


class Pod:
    """A pod with one container; initially healthy.

    Attributes:
        working_set_bytes: Working set of the container's memory.
        received, sent: Network traffic.
    """

    memory_limit_bytes = 512 * _MEBIBYTE

    def __init__(self, name: str, *, namespace: str, container: str, node: Node, clock: Clock) -> None:
        self.name = name
        self.namespace = namespace
        self.container = container
        self.node = node
        self.uid = str(uuid5(NAMESPACE_URL, f"{namespace}/{name}"))
        self.working_set_bytes = 200 * _MEBIBYTE
        self.received, self.sent = Traffic(clock), Traffic(clock)
        self.processor_seconds = SteadyCounter(0.05, clock)
        self._clock = clock
        self._restarts = 0
        self._loop: _CrashLoop | None = None

    def start_crash_loop(self, *, every: float) -> None:
        """Crash now, and again every `every` seconds.

        A real kubelet waits 10 s, then twice as long each time, up to 5 minutes.
        """
        self._loop = _CrashLoop(self._clock(), every, self.restarts)

    def recover(self) -> None:
        """Stop crashing; counters keep their values."""
        self._restarts, self._loop = self.restarts, None

    @property
    def restarts(self) -> int:
        """Number of container restarts."""
        loop = self._loop
        if loop is None:
            return self._restarts
        return loop.restarts_before + int((self._clock() - loop.since) / loop.every)

    @property
    def waiting(self) -> bool:
        """Whether the container waits for a restart (CrashLoopBackOff)."""
        loop = self._loop
        if loop is None:
            return False
        rounds = (self._clock() - loop.since) / loop.every
        # The loop starts with a crash, so the container does not run in the first period.
        return rounds < 1 or rounds % 1 > _RUNNING_SHARE


@dataclass
class Cluster:
    """Two workers, each with a pod of the trust service."""

    clock: Clock = time.time
    nodes: list[Node] = field(default_factory=lambda: [Node("worker-1", "192.0.2.11"), Node("worker-2", "192.0.2.12")])
    pods: list[Pod] = field(init=False)
    created: float = field(init=False)

    def __post_init__(self) -> None:
        self.created = self.clock()
        self.pods = [
            Pod(
                f"trust-service-6b7f9c5d4-{suffix}",
                namespace="trust",
                container="trust-service",
                node=node,
                clock=self.clock,
            )
            for node, suffix in zip(self.nodes, ("2xkqz", "9wplm"), strict=True)
        ]
