"""`trust-otel render`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click
from click.core import ParameterSource

from trust_ops.site_config import alert_links, env_file, files, variables
from trust_ops.site_config.errors import Problem, RenderError
from trust_ops.site_config.site import DEFAULTS, Site
from trust_ops.site_config.site_file import read_site
from trust_ops.stack.binaries import find
from trust_ops.stack.errors import BinaryUnavailable
from trust_ops.stack.recipes import binaries

site_option = click.option(
    "--site",
    "site_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("monitoring/site.yml"),
    show_default=True,
    help="File with the settings of the site; docs/site.md lists them.",
)


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
@click.option(
    "--templates",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory of Alertmanager's templates; default: those of this version.",
)
@site_option
@click.option(
    "--check",
    is_flag=True,
    help="Check the result with amtool and promtool, and whether each team may open the links of its alerts.",
)
@click.pass_context
def render(
    context: click.Context,
    path: Path,
    from_environment: bool,
    output: Path,
    secrets_dir: str | None,
    templates: Path | None,
    site_file: Path,
    check: bool,
) -> None:
    """Render Alertmanager's configuration, the rules and the access to Grafana for a site.

    Alertmanager does not read environment variables. This command inserts addresses into the templates and writes each
    secret to a file of its own. docs/alerting.md lists the variables of monitoring/.env, docs/site.md the settings of
    monitoring/site.yml.
    """
    required = context.get_parameter_source("site_file") is not ParameterSource.DEFAULT
    where = "the environment" if from_environment else str(path)
    environment = os.environ if from_environment else _variables(path)
    site, rendered = _rendered(
        site_file, required, environment, where, secrets_dir or str((output / files.SECRETS).absolute()), templates
    )
    try:
        written = files.write(rendered, output)
    except OSError as error:
        raise click.ClickException(
            f"{output} cannot be written ({error}); choose another directory with --output"
        ) from error
    for path in written:
        click.echo(path)
    if check:
        _check(output, site, site_file)


def _rendered(
    site_file: Path,
    required: bool,
    environment: Mapping[str, str],
    where: str,
    secrets_folder: str,
    templates: Path | None,
) -> tuple[Site, files.Rendered]:
    """Raises ClickException with all problems of the site file and of the variables."""
    found: list[str] = []
    site = DEFAULTS
    try:
        site = settings_of(site_file, required)
    except RenderError as error:
        found.append(f"invalid settings:\n{error}")
    old = variables.moved(environment)
    if old and environment is os.environ:
        # The variable may be there for another command.
        for problem in old:
            click.echo(f"{problem.subject} is ignored: {problem.remedy}", err=True)
        old = []
    try:
        rendered = files.render(environment, secrets_folder, site, templates)
    except OSError as error:
        raise click.ClickException(f"--templates: {error.filename} cannot be read ({error.strerror})") from error
    except RenderError as error:
        old += error.problems
    if old:
        found.append(f"invalid variables in {where}:\n{RenderError(old)}")
    if found:
        raise click.ClickException("nothing was written\n" + "\n".join(found))
    return site, rendered


def settings_of(path: Path, required: bool) -> Site:
    """The settings of the site file; the defaults if it is not required and missing. Raises RenderError."""
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        if required:
            raise RenderError(
                [Problem(str(path), "there is no such file; create it from monitoring/site.example.yml")]
            ) from error
        click.echo(f"{path} does not exist: the defaults of docs/site.md are used", err=True)
        return DEFAULTS
    return read_site(text, str(path))


def read_text(path: Path) -> str:
    """The text of a file. Raises FileNotFoundError, or RenderError if it cannot be read or is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        raise RenderError([Problem(str(path), f"it is not UTF-8 ({error}); save it as UTF-8")]) from error
    except OSError as error:
        raise RenderError([Problem(str(path), f"it cannot be read ({error})")]) from error


def _variables(path: Path) -> Mapping[str, str]:
    try:
        text = path.read_bytes().decode()
        parsed = env_file.parse(text, os.environ)
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"{path} cannot be read ({error}); create it from monitoring/.env.example, or use --from-environment"
        ) from error
    except RenderError as error:
        raise click.ClickException(f"invalid variables in {path}, nothing was written:\n{error}") from error
    for warning in parsed.warnings:
        click.echo(f"{path}: {warning}", err=True)
    return parsed.values


def _check(folder: Path, site: Site, site_file: Path) -> None:
    """Raises ClickException with what the tools reject, and with the links that a team may not open."""
    commands = {
        "amtool": ["check-config", str(folder / files.CONFIGURATION)],
        "promtool": ["check", "rules", *(str(folder / name) for name in files.RULES)],
    }
    rejected = [
        f"{tool} rejects what was rendered:\n{said}" for tool in commands if (said := _said(tool, commands[tool]))
    ]
    rejected += (f"{site_file}: {problem}" for problem in alert_links.not_opened(site))
    for warning in alert_links.unlisted_teams(site):
        click.echo(f"{site_file}: {warning}", err=True)
    if rejected:
        raise click.ClickException("\n".join(rejected))
    click.echo("amtool and promtool accept what was rendered")


def _said(tool: str, arguments: list[str]) -> str | None:
    """What the tool prints if it rejects a file."""
    try:
        executable = find(binaries()[tool], os.environ, lambda line: click.echo(line, err=True))
    except BinaryUnavailable as error:
        raise click.ClickException(str(error)) from error
    answer = subprocess.run(  # noqa: S603 - our own executable
        [str(executable), *arguments], capture_output=True, text=True, check=False
    )
    return f"{answer.stdout}{answer.stderr}" if answer.returncode else None
