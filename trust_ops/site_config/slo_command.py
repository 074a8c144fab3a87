"""`trust-otel slo`."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from trust_ops.site_config import openslo
from trust_ops.site_config.command import settings_of, site_option
from trust_ops.site_config.errors import RenderError
from trust_ops.site_config.objectives import Objective

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def slo() -> None:
    """Service level objectives as OpenSLO files."""


@slo.command(name="export")
@site_option
@click.pass_context
def export(context: click.Context, site_file: Path) -> None:
    """Print the objectives of a site as OpenSLO (openslo/v1), one document each."""
    required = context.get_parameter_source("site_file") is not ParameterSource.DEFAULT
    try:
        site = settings_of(site_file, required)
    except RenderError as error:
        raise click.ClickException(f"invalid settings, nothing is exported:\n{error}") from error
    click.echo(openslo.dump(site.objectives), nl=False)


@slo.command(name="import")
@click.argument("files", type=_FILE, nargs=-1, required=True)
def import_(files: tuple[Path, ...]) -> None:
    """Print the objectives of OpenSLO files as `objectives` of a site file.

    A field that an objective cannot express is an error. What is only not kept is reported on standard error.
    """
    found: list[Objective] = []
    for file in files:
        try:
            imported = openslo.load(file.read_text(encoding="utf-8"), str(file))
        except (RenderError, UnicodeDecodeError) as error:
            raise click.ClickException(f"nothing is imported:\n{error}") from error
        found += imported.objectives
        for note in imported.notes:
            click.echo(note, err=True)
    click.echo(openslo.site_text(found), nl=False)
