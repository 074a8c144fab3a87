"""`make demo`: starts stack, service and traffic, shows live values, and compares totals with generated events."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console

from examples.demo.history import write_history
from examples.demo.live import LiveView
from examples.demo.profile import recorded
from examples.demo.report import Report, settle
from examples.demo.service import ServiceError, TrustService
from examples.demo.sources import EndpointSource, PrometheusSource, Source
from examples.demo.traffic import Traffic
from testbed.load_generator import LoadGeneratorError
from tools.preview import BuildFailed, Preview
from trust_ops.durations import Duration
from trust_ops.private_files import private_folder
from trust_ops.site_config import read_site, slo_rules
from trust_ops.stack import Addresses, BinaryUnavailable, Inputs, Stack, StackError
from trust_ops.stack.binaries import find
from trust_ops.stack.components import COMPONENTS
from trust_ops.stack.files import prometheus_files
from trust_ops.stack.ports import free_ports
from trust_ops.stack.recipes import binaries

_FOLDER = Path(".trust-otel/demo")
_CONFIGURATION = _FOLDER / "configuration"
_ALERTMANAGER = Path(__file__).with_name("alertmanager.yml")
_SITE = Path(__file__).with_name("site.yml")
_EXPORT_MILLISECONDS = "2000"
# As examples/demo/service.py sets them.
_SERVICE = {"job": "trust-service", "service_name": "trust-service", "deployment_environment_name": "demo"}
_SETTLE_SECONDS = 45.0
_UNTIL_INTERRUPTED = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Destination:
    """Where the service exports its metrics, and where they are read."""

    telemetry: dict[str, str]
    addresses: dict[str, str]
    source: Source


@click.command()
@click.option("--for", "duration", type=Duration(), help="Duration, such as 60s; by default until Ctrl-C.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a JSON report.")
@click.option("--rate", type=click.FloatRange(1, 500), default=20, show_default=True, help="Operations per second.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same operations.")
def demo(duration: timedelta | None, report: Path | None, rate: float, seed: int) -> None:
    """Run the example service with traffic, and show its metrics as Prometheus has them."""
    console = Console()
    shutil.rmtree(_FOLDER, ignore_errors=True)
    private_folder(_FOLDER)
    try:
        with _destination(console, rate) as destination:
            seen = _run(console, destination, None if duration is None else duration.total_seconds(), rate, seed)
    except (StackError, ServiceError, LoadGeneratorError) as error:
        raise click.ClickException(str(error)) from error
    if report:
        report.write_text(json.dumps(seen.as_json(), indent=2) + "\n")
        console.print(f"The report is in {report}.")
    _conclude(console, seen)


@contextmanager
def _destination(console: Console, rate: float) -> Iterator[Destination]:
    def progress(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    with ExitStack() as stack:
        components = stack.enter_context(_stack(progress))
        try:
            addresses = components.up()
        except BinaryUnavailable as unavailable:
            progress(str(unavailable))
            console.print("Continuing without Collector and Prometheus: metrics are read from the service's endpoint.")
            yield _embedded()
            return
        _write_history(components, addresses, rate, progress)
        yield Destination(
            telemetry={
                "OTEL_EXPORTER_OTLP_ENDPOINT": addresses.otlp_http,
                "OTEL_METRIC_EXPORT_INTERVAL": _EXPORT_MILLISECONDS,
            },
            addresses={
                "prometheus": addresses.prometheus,
                "collector": addresses.otlp_http,
                "collector_metrics": addresses.collector_prometheus_exporter,
                **_dashboards(stack, addresses.prometheus, progress),
            },
            source=PrometheusSource(addresses.prometheus),
        )


def _stack(progress: Callable[[str], None]) -> Stack:
    # Alertmanager and node_exporter are optional.
    names = ["collector", "prometheus"]
    for name in ("alertmanager", "node-exporter") if sys.platform == "linux" else ("alertmanager",):
        try:
            find(binaries()[COMPONENTS[name].binary], os.environ, progress)
        except BinaryUnavailable as unavailable:
            progress(f"without {name}: {unavailable}")
        else:
            names.append(name)
    inputs = Inputs(prometheus_config=_prometheus_config(), alertmanager_config=_ALERTMANAGER)
    return Stack(_FOLDER / "stack", components=names, inputs=inputs, on_progress=progress)


def _write_history(stack: Stack, addresses: Addresses, rate: float, progress: Callable[[str], None]) -> None:
    try:
        find(binaries()["promtool"], os.environ, progress)
    except BinaryUnavailable as unavailable:
        progress(f"without history: {unavailable}")
        return
    progress("Writing two hours of history ...")
    running = {component.name for component in stack.status()}
    write_history(
        stack,
        addresses.prometheus,
        addresses.optional["node-exporter"] if "node-exporter" in running else None,
        recorded(_FOLDER.resolve() / "certificates", _SERVICE),
        [_CONFIGURATION / f"trust-service-{name}.yml" for name in ("recording", "slo")],
        rate,
    )


def _prometheus_config() -> Path:
    """The project's configuration and rules, with the objectives of the demo."""
    private_folder(_CONFIGURATION)
    for file in prometheus_files():
        shutil.copy(file, _CONFIGURATION)
    site = read_site(_SITE.read_text(encoding="utf-8"), str(_SITE))
    (_CONFIGURATION / slo_rules.FILE).write_text(slo_rules.rule_file(site.objectives), encoding="utf-8")
    return _CONFIGURATION


def _dashboards(stack: ExitStack, prometheus: str, progress: Callable[[str], None]) -> dict[str, str]:
    try:
        preview = stack.enter_context(Preview(prometheus, on_progress=progress))
    except BuildFailed as failed:
        progress(f"without dashboards: {failed}")
        return {}
    # The operational dashboard shows the last hour.
    return {"dashboards": f"{preview.url}/d/trust-service-operational"}


def _embedded() -> Destination:
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}/metrics"
    return Destination(
        telemetry={
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        },
        addresses={"metrics": endpoint},
        source=EndpointSource(endpoint),
    )


def _run(console: Console, destination: Destination, seconds: float | None, rate: float, seed: int) -> Report:
    console.print("Starting the trust service ...")
    with TrustService(_FOLDER, destination.telemetry) as service:
        addresses = {"service": service.url, "grpc": service.grpc_target, **destination.addresses}
        for name, address in addresses.items():
            console.print(f"  {name:<18} {address}", highlight=False)
        traffic = Traffic(service, seconds or _UNTIL_INTERRUPTED, rate, seed)
        until = f"for {seconds:.0f} s" if seconds else "until Ctrl-C"
        with LiveView(console, destination.source, lambda: f"{traffic.operations} operations, {until}") as view:
            load = asyncio.run(traffic.run(view.tick))
            if load.unanswered or load.unexpected:
                console.print(f"{load.unanswered} requests unanswered; unexpected responses: {load.unexpected}")
            # While the service still runs: its series become stale when it stops.
            return settle(destination.source, addresses, load.expected_totals, _SETTLE_SECONDS, view.tick)


def _conclude(console: Console, seen: Report) -> None:
    equal = len(seen.expected_totals) - len(seen.different)
    console.print(
        f"{equal} of {len(seen.expected_totals)} totals in {seen.read_from} equal the generated events, "
        f"{seen.settled_seconds} s after the last request.",
        soft_wrap=True,
    )
    for selection in seen.different:
        console.print(
            f"  {selection}: expected {seen.expected_totals[selection]}, got {seen.prometheus[selection]}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if seen.different:
        sys.exit(1)


if __name__ == "__main__":
    demo()
