"""`trust-otel stack`: the local stack on the command line."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from trust_ops import variables
from trust_ops.stack.binaries import find
from trust_ops.stack.errors import ComponentError, StackError
from trust_ops.stack.recipes import binaries
from trust_ops.stack.stack import Stack
from trust_ops.stack.state import Addresses, ComponentStatus

_directory = variables.option(
    variables.STACK_DIRECTORY, "--directory", type=click.Path(file_okay=False, path_type=Path)
)


@click.group()
def stack() -> None:
    """Run a Collector and a Prometheus on this machine.

    They run as ordinary processes on free loopback ports. Executables are taken from
    TRUST_OTEL_COLLECTOR_BINARY and TRUST_OTEL_PROMETHEUS_BINARY, from PATH or from
    ~/.cache/trust-otel; otherwise they are built with Go, once.
    """


@stack.command()
@_directory
@click.option("--detach", is_flag=True, help="Run the stack in the background; stop it with `down`.")
def up(directory: Path, detach: bool) -> None:
    """Start the stack and print its addresses.

    Runs in the foreground until Ctrl-C, then stops the components that it started, even when it is
    killed. Components that are already running in the directory are reused and keep running.
    """
    local = Stack(directory, on_progress=_progress, detached=detach)
    with _errors_as_text(), signals_as_interrupt(), local:
        try:
            _print_addresses(local.up())
            if detach or not local.started_anything():
                _progress("the stack keeps running; stop it with `trust-otel stack down`")
                return
            _progress("press Ctrl-C to stop")
            _watch(local)
        except KeyboardInterrupt:
            _progress("stopping")


@stack.command()
@_directory
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(directory: Path, as_json: bool) -> None:
    """Show the state and address of each component. Exits with 0 only when all are healthy."""
    local = Stack(directory)
    found, addresses = local.status(), local.addresses()
    healthy = bool(found) and all(component.healthy for component in found)
    if as_json:
        click.echo(json.dumps(_status_object(local.directory, healthy, addresses, found), indent=2))
    elif addresses is None:
        click.echo(f"There is no stack in {local.directory}. Start one with `trust-otel stack up`.")
    else:
        for component in found:
            state = _state(component)
            click.echo(f"{component.name:<12} {state:<10} {component.address}  log: {component.log}")
        _print_addresses(addresses)
    raise SystemExit(0 if healthy else 1)


@stack.command()
@_directory
def down(directory: Path) -> None:
    """Stop the stack. Its data and addresses are kept for the next `up`."""
    with _errors_as_text():
        Stack(directory, on_progress=_progress).down()


@stack.command()
def build() -> None:
    """Find, build or download every executable, and print its path.

    The first run takes a few minutes; later runs use the cache. If one executable is unavailable, the
    others are still built.
    """
    every = binaries()
    width = max(map(len, every))
    missing = []
    for binary in every.values():
        try:
            click.echo(f"{binary.name:<{width}} {find(binary, os.environ, _progress)}")
        except StackError as error:
            missing.append(str(error))
    if missing:
        raise click.ClickException("\n\n".join(missing))


def _progress(line: str) -> None:
    click.echo(line, err=True)


def _print_addresses(addresses: Addresses) -> None:
    for name, url in addresses.always().items():
        click.echo(f"{name:<30} {url}")


def _state(component: ComponentStatus) -> str:
    if component.healthy:
        return "healthy"
    return "unhealthy" if component.running else "stopped"


def _status_object(
    directory: Path, healthy: bool, addresses: Addresses | None, found: list[ComponentStatus]
) -> dict[str, object]:
    return {
        "directory": str(directory),
        "healthy": healthy,
        "addresses": None if addresses is None else addresses.always(),
        "components": [asdict(component) | {"log": str(component.log)} for component in found],
    }


def _watch(local: Stack) -> None:
    while True:
        for name in local.crashed():
            raise ComponentError(local.failure(name, "has exited"))
        if not any(component.running for component in local.status()):
            _progress("the stack was stopped by another process")
            return
        time.sleep(1)


@contextmanager
def _errors_as_text() -> Iterator[None]:
    try:
        yield
    except StackError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT, SIGTERM and SIGHUP, so that started components are stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    # SIGINT too: in a background job of a shell script, Python leaves it ignored.
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
