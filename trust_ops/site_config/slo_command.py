"""`trust-otel slo`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click
from click.core import ParameterSource

from trust_ops.site_config import openslo
from trust_ops.site_config.command import read_text, settings_of, site_option
from trust_ops.site_config.errors import RenderError
from trust_ops.site_config.objectives import Objective, problems

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
    notes: list[str] = []
    wrong: list[object] = []
    for file in files:
        try:
            imported = openslo.load(read_text(file), str(file))
        except RenderError as error:
            wrong.append(error)
        else:
            found += imported.objectives
            notes += imported.notes
    wrong += (f"{found[position].name}: {remedy}" for position, _, remedy in problems(found, timedelta.max))
    if wrong:
        raise click.ClickException("\n".join(["nothing is imported:", *map(str, wrong)]))
    for note in notes:
        click.echo(note, err=True)
    click.echo(openslo.site_text(found), nl=False)
