"""The command line of the load generator."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from importlib import import_module

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from testbed.load_generator.errors import LoadGeneratorError
from testbed.load_generator.run import LoadConfig, LoadReport, Progress, generate_load
from testbed.load_generator.scenarios import SCENARIOS
from trust_ops.durations import Duration
from trust_otel.text import visible_text

_SCENARIOS_HELP = "\b\nScenarios:\n" + "\n".join(
    f"  {scenario.name:<15} {scenario.help}" for scenario in SCENARIOS.values()
)


@click.command(epilog=_SCENARIOS_HELP)
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="URL of the service.")
@click.option("--grpc-target", help="gRPC address of the service, such as 127.0.0.1:50051; without it, no gRPC calls.")
@click.option(
    "--admin-token",
    envvar="TRUST_SERVICE_ADMIN_TOKEN",
    show_envvar=True,
    required=True,
    help="Token of the admin API.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="Operations per second.",
)
@click.option("--duration", type=Duration(), default="60s", show_default=True, help="Duration, such as 60s, 5m or 1h.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Random seed; the same seed gives the same operations."
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=64, show_default=True, help="Maximum concurrent operations."
)
@click.option(
    "--scenario",
    type=click.Choice(sorted(SCENARIOS)),
    help="Run one of the scenarios below.",
)
@click.option("--calm", is_flag=True, help="Leave out operations that may cause alerts.")
@click.option("--vault-url", envvar="VAULT_ADDR", show_envvar=True, help="Vault for the scenario `vault-sealed`.")
@click.option("--vault-token", envvar="VAULT_TOKEN", show_envvar=True, help="Token and unseal key of the Vault.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def main(
    url: str,
    grpc_target: str | None,
    admin_token: str,
    rate: float,
    duration: timedelta,
    seed: int,
    concurrency: int,
    scenario: str | None,
    calm: bool,
    vault_url: str | None,
    vault_token: str | None,
    as_json: bool,
) -> None:
    """Send realistic traffic to the example service, and print the expected totals.

    The totals are PromQL selectors with the value that Prometheus must return for a freshly started service.
    """
    errors = Console(stderr=True)
    config = LoadConfig(
        url=url,
        admin_token=admin_token,
        grpc_target=_available_target(grpc_target, errors),
        rate=rate,
        duration_seconds=duration.total_seconds(),
        seed=seed,
        concurrency=concurrency,
        scenario=scenario,
        calm=calm,
        vault_url=vault_url,
        vault_token=vault_token,
    )
    try:
        with _bar(errors) as on_progress:
            report = asyncio.run(_until_interrupted(config, on_progress))
    except LoadGeneratorError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        _print(report, Console())


async def _until_interrupted(config: LoadConfig, on_progress: Callable[[Progress], None]) -> LoadReport:
    """Stop gracefully on Ctrl-C; a second one interrupts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    return await generate_load(config, on_progress, stop)


def _available_target(grpc_target: str | None, errors: Console) -> str | None:
    if grpc_target is None:
        errors.print("gRPC is disabled: no --grpc-target")
        return None
    try:
        import_module("testbed.load_generator.grpc_client")
    except Exception as reason:  # an unsupported grpcio or protobuf raises errors of any type
        errors.print(f"gRPC is disabled: {reason}")
        return None
    return grpc_target


@contextmanager
def _bar(errors: Console) -> Iterator[Callable[[Progress], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=errors) as bar:
        task = bar.add_task("operations", total=None)
        yield lambda now: bar.update(task, total=now.planned, completed=now.ended)


def _print(report: LoadReport, console: Console) -> None:
    table = Table("total", "value", title=f"{report.operations} operations in {report.duration_seconds:.1f} s")
    uncertain = set(report.uncertain)
    for selector, value in report.expected_totals.items():
        table.add_row(selector, f"{value:.12g}" + (" ?" if selector in uncertain else ""))
    console.print(table)
    console.print(f"{report.skipped} operations skipped, {report.unanswered} requests unanswered")
    for response, times in report.unexpected.items():
        console.print(f"unexpected, {times} times: {visible_text(response)}", markup=False)
