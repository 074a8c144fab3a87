"""Faults of the pipeline under load, and what they lose: nothing, or the table says how much."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed.pipeline.hops import Pipeline
from testbed.pipeline.program import Program
from testbed.pipeline.sender import SERIES, Sender, Sent

_PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Result:
    """Data points sent and stored during a fault; `recovery` in seconds from its end until everything was stored."""

    fault: str
    sent: int
    arrived: int
    lost: int
    doubled: int
    refused: int
    recovery: float


Fault = Callable[[Pipeline, float], None]
"""Harms the pipeline for so many seconds, and mends it."""


def no_fault(pipeline: Pipeline, seconds: float) -> None:
    """Nothing happens."""
    del pipeline
    time.sleep(seconds)


def gateway_killed(pipeline: Pipeline, seconds: float) -> None:
    """One gateway after the other is killed (SIGKILL), and started again."""
    _killed_in_turn(pipeline.gateways, seconds)


def agent_killed(pipeline: Pipeline, seconds: float) -> None:
    """The agent is killed (SIGKILL) and started again, several times."""
    _killed_in_turn((pipeline.agent,), seconds)


def agent_restarted(pipeline: Pipeline, seconds: float) -> None:
    """The agent is stopped (SIGTERM) and started again, as by an update."""
    time.sleep(seconds / 2)
    pipeline.agent.stop()
    pipeline.agent.start()
    time.sleep(seconds / 2)


def prometheus_unavailable(pipeline: Pipeline, seconds: float) -> None:
    """Prometheus is killed, and comes back at the end."""
    pipeline.prometheus.stop(signal.SIGKILL)
    time.sleep(seconds)
    pipeline.prometheus.start()


def network_cut(pipeline: Pipeline, seconds: float) -> None:
    """The connections between agent and gateways are cut, and new ones refused."""
    pipeline.service.cut()
    time.sleep(seconds)
    pipeline.service.restore()


def queue_disk_full(pipeline: Pipeline, seconds: float) -> None:
    """Prometheus is unavailable, and the file system of the gateways' queues gets full and is freed again.

    Each queue must have a small file system of its own.
    """
    pipeline.prometheus.stop(signal.SIGKILL)
    fillers = [gateway.directory / gateway.name / "queue" / "filler" for gateway in pipeline.gateways]
    for filler in fillers:
        _fill(filler)
    time.sleep(seconds)
    for filler in fillers:
        filler.unlink()
    pipeline.prometheus.start()


FAULTS: Final[Mapping[str, Fault]] = {
    "none": no_fault,
    "gateways killed in turn": gateway_killed,
    "agent killed": agent_killed,
    "agent restarted": agent_restarted,
    "Prometheus unavailable": prometheus_unavailable,
    "network cut between agent and gateways": network_cut,
    "disk of the gateways' queues full": queue_disk_full,
}


def measured(pipeline: Pipeline, name: str, *, seconds: float, rate: float, series: int = 1000) -> Result:
    """Send at `rate` data points per second during the fault, and compare with what Prometheus has stored."""
    sender = Sender(pipeline, rate=rate, series=series)
    sender.send_during(lambda: FAULTS[name](pipeline, seconds))
    sent = sender.sent
    expected = sent.points(series)
    recovery = _until_stored(pipeline, expected)
    stored = _stored(pipeline, sent)
    arrived = sum(
        min(stored[instance, milliseconds, value], series)
        for instance, exports in sent.by_instance.items()
        for milliseconds, value in exports.items()
    )
    return Result(
        fault=name,
        sent=expected,
        arrived=arrived,
        lost=expected - arrived,
        doubled=stored.total() - arrived,
        refused=sent.refused,
        recovery=recovery,
    )


def _until_stored(pipeline: Pipeline, expected: int) -> float:
    """Seconds until as many data points are stored, or until no more have come for a while."""
    begin = changed = time.monotonic()
    stored = -1.0
    while stored < expected and time.monotonic() - changed < _PATIENCE_SECONDS:
        time.sleep(0.25)
        # Prometheus adds a 0 at the start time of a series.
        zeros = f"(count(min_over_time({SERIES}[1d]) == 0) or vector(0))"
        samples = pipeline.query(f"sum(count_over_time({SERIES}[1d])) - {zeros}")
        found = samples[0][1] if samples else 0.0
        if found != stored:
            stored, changed = found, time.monotonic()
    return changed - begin


def _stored(pipeline: Pipeline, sent: Sent) -> Counter[tuple[str, int, int]]:
    """In how many series there is a sample of this instance, time in milliseconds and value."""
    found: Counter[tuple[str, int, int]] = Counter()
    for instance in sent.by_instance:
        for samples in pipeline.samples(f'{SERIES}{{service_instance_id="{instance}"}}[1d]'):
            found.update((instance, round(at * 1000), int(value)) for at, value in samples if value)
    return found


def _killed_in_turn(programs: tuple[Program, ...], seconds: float) -> None:
    pause = min(10.0, seconds / 4)
    deadline = time.monotonic() + seconds
    number = 0
    while time.monotonic() + pause <= deadline:
        time.sleep(pause)
        program = programs[number % len(programs)]
        program.stop(signal.SIGKILL)
        program.start()
        number += 1


def _fill(file: Path) -> None:
    block = bytes(1 << 16)
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(block)
