"""`python -m benchmarks.dashboards`: duration of the queries of every panel with 10,000 series (15 minutes).

The example service runs under load for a minute, and its last export is kept. Copies of it, as many as have 10,000
series of the largest metric, then export an hour of increasing counters to a real Prometheus. promtool evaluates the
recording rules for that hour.

The 15 days before are written as blocks: the series that rules recorded for all copies and that panels read, and those
that one copy exports. Series that are recorded every 2 minutes have all samples, since totals add them up. The others
have one every 4 minutes, which is enough for queries that read the value at each point of a graph.

Each query is sent as by a dashboard, with 240 points or as instant query: for the default time range of the dashboard,
and for 15 days.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections import defaultdict
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
from testbed.drill.backfill import Points, record, store
from testbed.load_generator import LoadConfig, generate_load
from tools.checks.grafana import Target, read_dashboard
from tools.checks.promql import seconds
from tools.checks.variables import as_sent
from trust_ops.stack import Addresses, Stack
from trust_ops.stack.files import project_file

_SERIES: Final = 10_000
_SHOWN: Final = 3600
_HISTORY: Final = 15 * 86_400
_HISTORY_STEP: Final = 240
_TOTALS_STEP: Final = 120
_ENVIRONMENT: Final = "demo"
_STEP: Final = 15
_POINTS: Final = 240
_TRIES: Final = 3
_LIMIT_SECONDS: Final = 0.2
# Rules read other rules' results only after these are stored; rules are three levels deep.
_LEVELS: Final = 3
_RECORDED: Final = re.compile(r"\b[a-z_]+:\w+:\w+")
_DASHBOARDS = Path(__file__).parents[1] / "monitoring" / "grafana"


@dataclass(frozen=True)
class Timing:
    """One query of a panel.

    Attributes:
        dashboard: Uid of the dashboard.
        panel: Number and title of the panel.
        ref: The query's refId.
        shown: Seconds of the time range.
        seconds: Median duration.
        series: Number of series in the result.
        samples: Number of samples that Prometheus read, as it counts them: those of `@ end()` once for each point.
    """

    dashboard: str
    panel: str
    ref: str
    shown: int
    seconds: float
    series: int
    samples: int


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
            console.print("writing 15 days ...")
            _write_history(stack, addresses, now - _SHOWN, Path(folder))
            timings = sorted(_timed(addresses.prometheus, now), key=lambda each: -each.seconds)
            stored = _ask(addresses.prometheus, "query", {"query": 'count({__name__!=""})', "time": now - _STEP})
    by_default = [each for each in timings if each.shown != _HISTORY]
    _print(console, by_default, "in the default time range")
    _print(console, [each for each in timings if each.shown == _HISTORY], "in 15 days")
    console.print(
        f"{copies * sum(map(_series_of, _metrics(export)))} series of the services, "
        f"{stored['result'][0]['value'][1]} in Prometheus; the limit is {_LIMIT_SECONDS * 1000:.0f} ms."
    )
    sys.exit(any(each.seconds > _LIMIT_SECONDS for each in by_default))


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
    rules = [project_file(f"monitoring/prometheus/trust-service-{name}.yml") for name in ("recording", "slo")]
    record(addresses.prometheus, stack.directory / "prometheus" / "data", rules, now - _SHOWN, now, _STEP)
    _await_reload(addresses.prometheus)


def _await_reload(prometheus: str) -> None:
    """Wait until Prometheus has loaded new blocks, which it does once a minute."""
    before = _reloads(prometheus)
    while _reloads(prometheus) < before + 1:
        time.sleep(1)


def _reloads(prometheus: str) -> int:
    metrics = httpx.get(f"{prometheus}/metrics", trust_env=False).text
    return int(re.findall(r"^prometheus_tsdb_reloads_total (\d+)$", metrics, re.MULTILINE)[0])


def _write_history(stack: Stack, addresses: Addresses, end: int, scratch: Path) -> None:
    """Write 15 days up to `end` (Unix time) of what the first copy exports and of what is recorded for all copies."""
    names = {
        name for file in _DASHBOARDS.glob("*.json") for name in _RECORDED.findall(file.read_text(encoding="utf-8"))
    }
    recorded = f'{{__name__=~"{"|".join(sorted(names))}"}}'
    chosen = ('{service_instance_id="instance-0", __name__!~".+:.+:.+"}', recorded)
    found = [
        series
        for query in chosen
        for series in _ask(addresses.prometheus, "query", {"query": query, "time": end + _SHOWN - _STEP})["result"]
    ]
    begin = end - _HISTORY + _SHOWN
    # Parts, because promtool reads a text file.
    part = _HISTORY // 5
    for first in range(begin, end, part):
        series: dict[str, list[Points]] = defaultdict(list)
        for each in found:
            labels = {name: value for name, value in each["metric"].items() if name != "__name__"}
            name = each["metric"]["__name__"]
            series[name].append((labels, _course(name, float(each["value"][1]), begin, first, min(first + part, end))))
        store(stack.directory / "prometheus" / "data", series, scratch)
    _await_reload(addresses.prometheus)


def _course(name: str, value: float, begin: int, first: int, end: int) -> Iterator[tuple[int, float]]:
    step = _TOTALS_STEP if name.endswith((":increase2m", ":sum_offset1m")) else _HISTORY_STEP
    grows = name.endswith(("_total", "_count", "_sum", "_bucket", ":sum_offset1m"))
    for at in range(first, end, step):
        yield at, value * (1 + (at - begin) / _SHOWN if grows else 1)


def _timed(prometheus: str, now: int) -> Iterator[Timing]:
    for file in sorted(_DASHBOARDS.glob("*.json")):
        dashboard = read_dashboard(file)
        by_default = int(seconds(dashboard.json["time"]["from"].removeprefix("now-")))
        for panel in dashboard.panels:
            for target in panel.targets:
                for shown in (by_default, _HISTORY):
                    yield _measured(prometheus, target, shown, now, dashboard.uid, str(panel))


def _measured(prometheus: str, target: Target, shown: int, now: int, uid: str, panel: str) -> Timing:
    tries = [_once(prometheus, target, shown, now) for _ in range(_TRIES)]
    answer = tries[0][1]
    samples = answer["stats"]["samples"]["totalQueryableSamples"]
    return Timing(uid, panel, target.ref, shown, median(took for took, _ in tries), len(answer["result"]), samples)


def _once(prometheus: str, target: Target, shown: int, now: int) -> tuple[float, Any]:
    step = max(_STEP, shown // _POINTS)
    query = as_sent(target.source, seconds=shown, step_seconds=step, environment=_ENVIRONMENT)
    parameters: dict[str, str | int] = {"query": query, "time": now, "stats": "all"}
    if target.ranged:
        parameters = {"query": query, "start": now - shown, "end": now, "step": step, "stats": "all"}
    begin = time.perf_counter()
    result = _ask(prometheus, "query_range" if target.ranged else "query", parameters)
    return time.perf_counter() - begin, result


def _ask(prometheus: str, what: str, parameters: Mapping[str, str | int]) -> Any:
    answer = httpx.post(f"{prometheus}/api/v1/{what}", data=parameters, trust_env=False, timeout=120).json()
    if answer["status"] != "success":
        raise RuntimeError(f"{answer['error']} ({parameters['query']})")
    return answer["data"]


def _print(console: Console, timings: list[Timing], when: str) -> None:
    table = Table("dashboard", "panel", "query", "ms", "series", "samples", title=f"The slowest 20 queries {when}")
    for each in timings[:20]:
        table.add_row(
            *(each.dashboard, each.panel, each.ref, f"{each.seconds * 1000:.0f}"),
            *(str(each.series), f"{each.samples:,}"),
        )
    console.print(table)
    slow = sum(each.seconds > _LIMIT_SECONDS for each in timings)
    console.print(f"{len(timings)} queries, {slow} of them above the limit.")


if __name__ == "__main__":
    main()
