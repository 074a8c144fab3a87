"""Starts a node with the monitoring stack until Ctrl-C: `python -m testbed.cluster`."""

from __future__ import annotations

import os
import shlex
import signal
import tempfile
from pathlib import Path

import click

from testbed.cluster.deployment import deployment
from testbed.cluster.permissions import missing
from testbed.cluster.programs import build_all


@click.command()
@click.option("--build-only", is_flag=True, help="Build or fetch all programs, and end.")
def main(build_only: bool) -> None:
    """Run a Kubernetes node with the monitoring stack on this machine, in namespaces of its own, until Ctrl-C."""
    lacking = missing()
    if lacking and not build_only:
        raise click.ClickException(f"a node cannot run here: {lacking}")
    if build_only:
        build_all(os.environ, click.echo)
        return
    with (
        tempfile.TemporaryDirectory(prefix="trust-otel-cluster-") as folder,
        deployment(Path(folder), click.echo) as ready,
    ):
        click.echo("All pods are ready. In another terminal, as root:")
        click.echo(f"  {shlex.join(ready.node.shell())}")
        click.echo("  kubectl get pods --all-namespaces")
        click.echo("Ctrl-C ends it and removes everything.")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


main()
