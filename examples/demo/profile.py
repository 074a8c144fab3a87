"""The series of the service under the demo's traffic, recorded once.

To record them again, run `make demo`, and after five minutes `python -m examples.demo.profile URL` with the URL of its
Prometheus.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trust_ops.stack import PrometheusClient, Sample
from trust_otel.semconv.metrics import ALL

RATE: Final = 20.0
"""Operations per second of the recorded traffic: the demo's default."""

PREVIOUS_INSTANCE: Final = "previous"
"""Id of the instance of the history."""

SECONDS: Final = 240
"""Duration of the recording."""

_FILE: Final = Path(__file__).with_name("profile.jsonl")
_ROOT: Final = Path(__file__).parents[2]
_SERIES: Final = (
    f'{{service_name="trust-service", service_instance_id!~"|{PREVIOUS_INSTANCE}", '
    '__name__!~"ALERTS.*|target_info|.+:.+"}'
)
_RESOURCE: Final = frozenset(
    {"__name__", "job", "instance", "service_name", "service_instance_id", "deployment_environment_name"}
)
_SOURCE: Final = "trust_otel_source_name"
# Of the folder of certificates, and of the folder of this project.
_CERTIFICATES, _PROJECT = "<certificates>", "<project>"


@dataclass(frozen=True)
class Recorded:
    """A series.

    Attributes:
        name: Name in Prometheus.
        labels: Labels without those of an instance.
        value: Increase of a counter in the recorded time, or value of a gauge.
        counts: Whether it is a counter: also the buckets, count and sum of a histogram.
        recorded_at: Unix time of the recording.
    """

    name: str
    labels: Mapping[str, str]
    value: float
    counts: bool
    recorded_at: float


def recorded(certificates: Path, service: Mapping[str, str]) -> Iterator[Recorded]:
    """The recorded series, as a service with this folder of certificates and these labels has them."""
    recorded_at, *lines = map(json.loads, _FILE.read_text(encoding="utf-8").splitlines())
    for name, own, value in lines:
        labels = {**service, **own}
        if _SOURCE in labels:
            source = labels[_SOURCE].replace(_CERTIFICATES, str(certificates)).replace(_PROJECT, str(_ROOT))
            labels[_SOURCE] = source
        if isinstance(value, dict):
            for bound, increase in value.items():
                yield Recorded(name, {**labels, "le": bound}, increase, True, recorded_at)
        elif name in _COUNTERS:
            yield Recorded(name, labels, value, True, recorded_at)
        else:
            yield Recorded(name, labels, value, False, recorded_at)


def _counters() -> Iterator[str]:
    for metric in ALL.values():
        if metric.instrument == "histogram":
            yield from (f"{metric.prometheus_name}_{part}" for part in ("bucket", "count", "sum"))
        elif metric.instrument == "counter":
            yield metric.prometheus_name


_COUNTERS: Final = frozenset(_counters())


def _record(url: str) -> Iterator[str]:
    """The time, and a line for each series; one line for all buckets of a histogram."""
    now = time.time()
    with PrometheusClient(url) as client:
        samples = client.query(f"{_SERIES} @ {now:.3f}")
        earlier = {_identity(each): each.value for each in client.query(f"{_SERIES} @ {now - SECONDS:.3f}")}
    lines: dict[str, Any] = {}
    for sample in samples:
        name = sample.labels["__name__"]
        labels = {label: text for label, text in sorted(sample.labels.items()) if label not in _RESOURCE}
        if _SOURCE in labels:
            is_certificates = labels[_SOURCE].endswith("/certificates")
            labels[_SOURCE] = _CERTIFICATES if is_certificates else labels[_SOURCE].replace(str(_ROOT), _PROJECT)
        bound = labels.pop("le", None)
        change = sample.value - earlier.get(_identity(sample), 0) if name in _COUNTERS else sample.value
        value = round(change, 6)
        key = json.dumps([name, labels])
        if bound is None:
            lines[key] = value
        elif value:
            lines.setdefault(key, {})[bound] = value
    yield json.dumps(round(now))
    for key, value in sorted(lines.items()):
        yield json.dumps([*json.loads(key), value])


def _identity(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(sample.labels.items()))


if __name__ == "__main__":
    _FILE.write_text("".join(f"{line}\n" for line in _record(sys.argv[1])), encoding="utf-8")
