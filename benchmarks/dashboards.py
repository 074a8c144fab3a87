"""`python -m benchmarks.dashboards`: duration of the queries of every panel with 10,000 series (6 minutes).

The example service runs under load for a minute, and its last export is kept. Copies of it, as many as have 10,000
series of the largest metric, then export an hour of increasing counters to a real Prometheus. promtool evaluates the
recording rules for that hour. Each query is sent as by a dashboard: for an hour with 240 points, or as instant query.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any, Final

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from rich.console import Console
from rich.table import Table

from examples.demo.service import TrustService
from testbed.load_generator import LoadConfig, generate_load
from tools.checks.grafana import Target, read_dashboard
from tools.checks.variables import as_sent
from trust_ops.stack import Addresses, Stack
from trust_ops.stack.binaries import find
from trust_ops.stack.files import project_file
from trust_ops.stack.recipes import binaries

_SERIES: Final = 10_000
_SHOWN: Final = 3600
_ENVIRONMENT: Final = "demo"
_STEP: Final = 15
_TRIES: Final = 3
_LIMIT_SECONDS: Final = 0.2
# Rules read other rules' results only after these are stored; rules are three levels deep.
_LEVELS: Final = 3
_DASHBOARDS = Path(__file__).parents[1] / "monitoring" / "grafana"


@dataclass(frozen=True)
class Timing:
    """One query of a panel, with its median duration in seconds and its number of series."""

    dashboard: str
    panel: str
    ref: str
    seconds: float
    series: int


def main() -> None:
    """Measure, print, and exit with 1 if a query exceeds the limit."""
    console = Console(width=140)
    with tempfile.TemporaryDirectory() as folder:
        console.print("running a service under load for a minute ...")
        export = _exported(Path(folder))
        copies = ceil(_SERIES / max(_series_of(metric) for metric in _metrics(export)))
        console.print(f"sending an hour of {copies} copies to Prometheus ...")
        with Stack(Path(folder) / "stack", components=("prometheus",), on_progress=lambda _: None) as stack:
            addresses = stack.up()
            now = int(time.time())
            _send(export, copies, addresses, now)
            console.print("evaluating the recording rules for that hour ...")
            for _ in range(_LEVELS):
                _record(stack, addresses, now)
            timings = sorted(_timed(addresses.prometheus, now), key=lambda each: -each.seconds)
            stored = _ask(addresses.prometheus, "query", {"query": 'count({__name__!=""})', "time": now - _STEP})
    _print(console, timings, copies * sum(map(_series_of, _metrics(export))), stored)
    sys.exit(any(each.seconds > _LIMIT_SECONDS for each in timings))


def _exported(folder: Path) -> ExportMetricsServiceRequest:
    """The last export of the example service after a minute of traffic."""
    with (
        _receiver() as (url, received),
        TrustService(folder, {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "5000"}) as service,
    ):
        traffic = LoadConfig(
            url=service.url,
            admin_token=service.admin_token,
            grpc_target=service.grpc_target,
            rate=20,
            duration_seconds=60,
        )
        asyncio.run(generate_load(traffic, None, asyncio.Event()))
        time.sleep(6)
        return received[-1]


@contextmanager
def _receiver() -> Iterator[tuple[str, list[ExportMetricsServiceRequest]]]:
    received: list[ExportMetricsServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/metrics":
                received.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Do not log requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()


def _metrics(export: ExportMetricsServiceRequest) -> Iterator[Metric]:
    return (m for resource in export.resource_metrics for scope in resource.scope_metrics for m in scope.metrics)


def _points(metric: Metric) -> Any:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


def _series_of(metric: Metric) -> int:
    if metric.WhichOneof("data") == "histogram":
        # The buckets including +Inf, the sum and the count.
        return sum(len(point.explicit_bounds) + 3 for point in _points(metric))
    return len(_points(metric))


def _send(export: ExportMetricsServiceRequest, copies: int, addresses: Addresses, now: int) -> None:
    fleet = [_copy(export, number) for number in range(copies)]
    begin = now - _SHOWN
    with httpx.Client(base_url=addresses.prometheus, trust_env=False, timeout=60) as client:
        for at in range(begin, now, _STEP):
            for original, member in fleet:
                _grow(original, member, begin, at, (at - begin + _STEP) / _SHOWN)
                client.post(
                    "/api/v1/otlp/v1/metrics",
                    content=member.SerializeToString(),
                    headers={"Content-Type": "application/x-protobuf"},
                ).raise_for_status()


def _copy(
    export: ExportMetricsServiceRequest, number: int
) -> tuple[ExportMetricsServiceRequest, ExportMetricsServiceRequest]:
    original, member = ExportMetricsServiceRequest(), ExportMetricsServiceRequest()
    original.CopyFrom(export)
    for resource in original.resource_metrics:
        for attribute in resource.resource.attributes:
            if attribute.key == "service.name":
                # Two instances of each service.
                attribute.value.string_value = f"service-{number // 2}"
            elif attribute.key == "service.instance.id":
                attribute.value.string_value = f"instance-{number}"
    member.CopyFrom(original)
    return original, member


def _grow(
    original: ExportMetricsServiceRequest, member: ExportMetricsServiceRequest, begin: int, at: int, share: float
) -> None:
    for known, metric in zip(_metrics(original), _metrics(member), strict=True):
        kind = metric.WhichOneof("data")
        counts = kind == "sum" and metric.sum.is_monotonic
        for old, point in zip(_points(known), _points(metric), strict=True):
            point.time_unix_nano = at * 10**9
            point.start_time_unix_nano = begin * 10**9
            if kind == "histogram":
                # A hundred times as many as in the minute, so that integers increase in most steps.
                point.bucket_counts[:] = [int(count * 100 * share) for count in old.bucket_counts]
                point.count = sum(point.bucket_counts)
                point.sum = old.sum * 100 * share
            elif counts and point.WhichOneof("value") == "as_int":
                point.as_int = int(old.as_int * 100 * share)
            elif counts:
                point.as_double = old.as_double * 100 * share


def _record(stack: Stack, addresses: Addresses, now: int) -> None:
    promtool = find(binaries()["promtool"], os.environ, lambda _: None)
    subprocess.run(  # noqa: S603 - our own executable
        [
            str(promtool),
            *("tsdb", "create-blocks-from", "rules"),
            f"--start={now - _SHOWN}",
            f"--end={now}",
            f"--url={addresses.prometheus}",
            f"--output-dir={stack.directory / 'prometheus' / 'data'}",
            f"--eval-interval={_STEP}s",
            *(str(project_file(f"monitoring/prometheus/trust-service-{name}.yml")) for name in ("recording", "slo")),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    # Prometheus loads new blocks once a minute.
    before = _reloads(addresses.prometheus)
    while _reloads(addresses.prometheus) < before + 1:
        time.sleep(1)


def _reloads(prometheus: str) -> int:
    metrics = httpx.get(f"{prometheus}/metrics", trust_env=False).text
    return int(re.findall(r"^prometheus_tsdb_reloads_total (\d+)$", metrics, re.MULTILINE)[0])


def _timed(prometheus: str, now: int) -> Iterator[Timing]:
    for file in sorted(_DASHBOARDS.glob("*.json")):
        dashboard = read_dashboard(file)
        for panel in dashboard.panels:
            for target in panel.targets:
                tries = [_once(prometheus, target, now) for _ in range(_TRIES)]
                yield Timing(
                    dashboard.uid, str(panel), target.ref, median(seconds for seconds, _ in tries), tries[0][1]
                )


def _once(prometheus: str, target: Target, now: int) -> tuple[float, int]:
    query = as_sent(target.source, seconds=_SHOWN, step_seconds=_STEP, environment=_ENVIRONMENT)
    parameters: dict[str, str | int] = {"query": query, "time": now}
    if target.ranged:
        parameters = {"query": query, "start": now - _SHOWN, "end": now, "step": _STEP}
    begin = time.perf_counter()
    result = _ask(prometheus, "query_range" if target.ranged else "query", parameters)
    return time.perf_counter() - begin, len(result)


def _ask(prometheus: str, what: str, parameters: Mapping[str, str | int]) -> list[Any]:
    answer = httpx.post(f"{prometheus}/api/v1/{what}", data=parameters, trust_env=False, timeout=60).json()
    if answer["status"] != "success":
        raise RuntimeError(f"{answer['error']} ({parameters['query']})")
    result: list[Any] = answer["data"]["result"]
    return result


def _print(console: Console, timings: list[Timing], series: int, stored: list[Any]) -> None:
    table = Table("dashboard", "panel", "query", "ms", "series", title="The slowest 20 queries")
    for each in timings[:20]:
        table.add_row(each.dashboard, each.panel, each.ref, f"{each.seconds * 1000:.0f}", str(each.series))
    console.print(table)
    console.print(
        f"{len(timings)} queries; {series} series of the services, {stored[0]['value'][1]} in Prometheus; "
        f"the limit is {_LIMIT_SECONDS * 1000:.0f} ms."
    )


if __name__ == "__main__":
    main()
