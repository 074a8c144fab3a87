"""`make demo`: starts stack, service and traffic, shows the numbers, and says whether every one is exact."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from examples.demo.live import LiveView
from examples.demo.report import Report, settle
from examples.demo.service import ServiceError, TrustService
from examples.demo.simulated import Simulation
from examples.demo.sources import EndpointSource, PrometheusSource, Source
from testbed.load_generator import SimulationError
from testbed.load_generator.command import Duration
from tools.preview import BuildFailed, Preview
from trust_ops.private_files import private_folder
from trust_ops.stack import BinaryUnavailable, Inputs, Stack, StackError
from trust_ops.stack.binaries import find
from trust_ops.stack.components import COMPONENTS
from trust_ops.stack.ports import free_ports
from trust_ops.stack.recipes import binaries

_FOLDER = Path(".trust-otel/demo")
_ALERTMANAGER = Path(__file__).with_name("alertmanager.yml")
_EXPORT_MILLISECONDS = "2000"
_SETTLE_SECONDS = 45.0
_UNTIL_INTERRUPTED = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Destination:
    """Where the service's metrics go, and where they are read."""

    telemetry: dict[str, str]
    addresses: dict[str, str]
    source: Source


@click.command()
@click.option("--for", "seconds", type=Duration(), help="Stop after this long, such as 60s; by default at Ctrl-C.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what was seen, as JSON.")
@click.option("--rate", type=click.FloatRange(1, 500), default=20, show_default=True, help="Operations a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same operations.")
def demo(seconds: float | None, report: Path | None, rate: float, seed: int) -> None:
    """Watch a real trust service's numbers arrive in a real Prometheus."""
    console = Console()
    shutil.rmtree(_FOLDER, ignore_errors=True)
    private_folder(_FOLDER)
    try:
        with _destination(console) as destination:
            seen = _run(console, destination, seconds, rate, seed)
    except (StackError, ServiceError, SimulationError) as error:
        raise click.ClickException(str(error)) from error
    if report:
        report.write_text(json.dumps(seen.as_json(), indent=2) + "\n")
        console.print(f"The report is in {report}.")
    _conclude(console, seen)


@contextmanager
def _destination(console: Console) -> Iterator[Destination]:
    def progress(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    with ExitStack() as stack:
        components = stack.enter_context(_stack(progress))
        try:
            addresses = components.up()
        except BinaryUnavailable as unavailable:
            progress(str(unavailable))
            console.print("Going on without Collector and Prometheus: the service serves its metrics itself.")
            yield _embedded()
            return
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
    # Alerts and the host are shown where they can be had; the demo goes on without.
    names = ["collector", "prometheus"]
    for name in ("alertmanager", "node-exporter") if sys.platform == "linux" else ("alertmanager",):
        try:
            find(binaries()[COMPONENTS[name].binary], os.environ, progress)
        except BinaryUnavailable as unavailable:
            progress(f"without {name}: {unavailable}")
        else:
            names.append(name)
    inputs = Inputs(alertmanager_config=_ALERTMANAGER)
    return Stack(_FOLDER / "stack", components=names, inputs=inputs, on_progress=progress)


def _dashboards(stack: ExitStack, prometheus: str, progress: Callable[[str], None]) -> dict[str, str]:
    try:
        preview = stack.enter_context(Preview(prometheus, on_progress=progress))
    except BuildFailed as failed:
        progress(f"without dashboards: {failed}")
        return {}
    return {"dashboards": preview.url}


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
        simulation = Simulation(service, seconds or _UNTIL_INTERRUPTED, rate, seed)
        until = f"for {seconds:.0f} s" if seconds else "until Ctrl-C"
        with LiveView(console, destination.source, lambda: f"{simulation.operations} operations, {until}") as view:
            totals = asyncio.run(simulation.run(view.tick))
            if totals.unanswered or totals.unexpected:
                console.print(f"{totals.unanswered} requests unanswered; unexpected answers: {totals.unexpected}")
            # While the service still runs: afterwards its series go stale.
            return settle(destination.source, addresses, totals.truth, _SETTLE_SECONDS, view.tick)


def _conclude(console: Console, seen: Report) -> None:
    equal = len(seen.truth) - len(seen.different)
    console.print(
        f"{equal} of {len(seen.truth)} totals in {seen.read_from} equal what the simulation caused, "
        f"{seen.settled_seconds} s after the last request.",
        soft_wrap=True,
    )
    for selection in seen.different:
        console.print(
            f"  {selection}: caused {seen.truth[selection]}, read {seen.prometheus[selection]}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if seen.different:
        sys.exit(1)


if __name__ == "__main__":
    demo()
