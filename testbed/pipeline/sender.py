"""Sends numbered counters at a steady rate, as services do: what is refused is sent again."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Final

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, NumberDataPoint

from testbed.pipeline.hops import Pipeline

METRIC: Final = "trust.testbed.events"
SERIES: Final = f"{METRIC.replace('.', '_')}_total"

_RETRY_SECONDS: Final = 0.2


@dataclass
class Sent:
    """What was accepted: of each instance, the time in milliseconds and the value of each export."""

    by_instance: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    refused: int = 0
    """Requests that were not accepted at once, and sent again."""

    def points(self, series: int) -> int:
        """The accepted data points, where each export has one point for each series."""
        return series * sum(map(len, self.by_instance.values()))


class Sender:
    """Instances of a service that export in turn; `rate` in data points per second, `series` in each export."""

    def __init__(self, pipeline: Pipeline, *, rate: float, instances: int = 10, series: int = 1000) -> None:
        self.series = series
        self.sent = Sent()
        self._exports = [_Export(f"sender-{number}", series) for number in range(instances)]
        self._interval = series / rate
        self._pipeline = pipeline
        self._headers = {
            "content-type": "application/x-protobuf",
            "authorization": f"Bearer {pipeline.credentials.token('services')}",
        }
        self._url = f"https://{pipeline.agent.endpoints['HTTP']}/v1/metrics"

    def send_during(self, action: Callable[[], None]) -> None:
        """Send until `action` has returned, and the last export has been accepted."""
        ended = Event()
        thread = Thread(target=self._run, args=(ended,), name="sender")
        thread.start()
        try:
            action()
        finally:
            ended.set()
            thread.join()

    def _run(self, ended: Event) -> None:
        begin = time.monotonic()
        number = 0
        while not ended.is_set():
            export = self._exports[number % len(self._exports)]
            self._deliver(export, number + 1)
            number += 1
            ended.wait(max(0.0, begin + number * self._interval - time.monotonic()))

    def _deliver(self, export: _Export, value: int) -> None:
        milliseconds, content = export.at(time.time(), value)
        while not self._accepted(content):
            self.sent.refused += 1
            time.sleep(_RETRY_SECONDS)
        self.sent.by_instance[export.instance][milliseconds] = value

    def _accepted(self, content: bytes) -> bool:
        try:
            return self._pipeline.client.post(self._url, content=content, headers=self._headers).is_success
        except httpx.TransportError:
            return False


class _Export:
    """The request of an instance, of which each export changes only times and values."""

    def __init__(self, instance: str, series: int) -> None:
        self.instance = instance
        self._request = ExportMetricsServiceRequest()
        resource = self._request.resource_metrics.add()
        for key, text in (("service.name", "sender"), ("service.instance.id", instance)):
            resource.resource.attributes.add(key=key).value.string_value = text
        metric = resource.scope_metrics.add().metrics.add(name=METRIC)
        metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        metric.sum.is_monotonic = True
        start = time.time_ns() - 1_000_000_000
        self._points: list[NumberDataPoint] = []
        for number in range(series):
            point = metric.sum.data_points.add(start_time_unix_nano=start)
            point.attributes.add(key="number").value.string_value = str(number)
            self._points.append(point)

    def at(self, seconds: float, value: int) -> tuple[int, bytes]:
        milliseconds = int(seconds * 1000)
        for point in self._points:
            point.time_unix_nano = milliseconds * 1_000_000
            point.as_int = value
        return milliseconds, self._request.SerializeToString()
