"""`trust-otel render`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click

from trust_ops.site_config import env_file, files
from trust_ops.site_config.errors import RenderError
from trust_ops.stack.binaries import find
from trust_ops.stack.errors import BinaryUnavailable
from trust_ops.stack.recipes import binaries


@click.command()
@click.option(
    "--env-file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("monitoring/.env"),
    show_default=True,
    help="File with the variables, in the format of `kubectl create secret generic --from-env-file`.",
)
@click.option("--from-environment", is_flag=True, help="Read the variables from the environment instead.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("monitoring/rendered"),
    show_default=True,
    help="Output directory.",
)
@click.option(
    "--secrets-dir",
    help="Directory of the secrets as Alertmanager sees it; default: secrets/ in the output directory.",
)
@click.option("--check", is_flag=True, help="Check the result with amtool.")
def render(path: Path, from_environment: bool, output: Path, secrets_dir: str | None, check: bool) -> None:
    """Render Alertmanager's configuration and the rules with the variables of monitoring/.env.

    Alertmanager does not read environment variables. This command inserts addresses into the templates and writes each
    secret to a file of its own. docs/alerting.md lists the variables.
    """
    try:
        environment = os.environ if from_environment else _variables(path)
        rendered = files.render(environment, secrets_dir or str((output / files.SECRETS).absolute()))
    except RenderError as error:
        where = "the environment" if from_environment else str(path)
        raise click.ClickException(f"invalid variables in {where}, nothing was written:\n{error}") from error
    try:
        written = files.write(rendered, output)
    except OSError as error:
        raise click.ClickException(
            f"{output} cannot be written ({error}); choose another directory with --output"
        ) from error
    for path in written:
        click.echo(path)
    if check:
        _check(output / files.CONFIGURATION)


def _variables(path: Path) -> Mapping[str, str]:
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"{path} cannot be read ({error}); create it from monitoring/.env.example, or use --from-environment"
        ) from error
    parsed = env_file.parse(text, os.environ)
    for warning in parsed.warnings:
        click.echo(f"{path}: {warning}", err=True)
    return parsed.values


def _check(configuration: Path) -> None:
    try:
        amtool = find(binaries()["amtool"], os.environ, lambda line: click.echo(line, err=True))
    except BinaryUnavailable as error:
        raise click.ClickException(str(error)) from error
    answer = subprocess.run(  # noqa: S603 - our own executable
        [str(amtool), "check-config", str(configuration)], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise click.ClickException(f"amtool rejects the configuration:\n{answer.stdout}{answer.stderr}")
    click.echo("amtool accepts the configuration")
