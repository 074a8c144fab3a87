"""The command line: `trust-otel`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from os import environ
from typing import Any

import click

from trust_ops import settings_table
from trust_ops.doctor import Finding, examine
from trust_ops.explain.command import explain
from trust_ops.grafana.commands import grafana
from trust_ops.incidents.commands import incidents, review
from trust_ops.site_config.command import render
from trust_ops.site_config.slo_command import slo
from trust_ops.stack.commands import stack
from trust_otel.semconv import catalogue
from trust_otel.semconv.events import ALL as ALL_EVENTS
from trust_otel.semconv.metrics import ALL as ALL_METRICS
from trust_otel.text import visible_text
from trust_otel.version import __version__


class _Commands(click.Group):
    """Commands whose error messages are escaped: they may quote a server's response, with control characters in it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError:
            raise
        except click.ClickException as error:
            raise click.ClickException(visible_text(error.format_message(), keep="\n")) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Monitoring for trust services: the local stack, alert configuration, incidents and Grafana access."""


def _format_options(function: click.decorators.FC) -> click.decorators.FC:
    function = click.option("--json", "form", flag_value="json", help="Print JSON.")(function)
    return click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, as in docs/.")(function)


@main.command()
@_format_options
def settings(form: str | None) -> None:
    """Show every environment variable that trust-otel reads, with its current value."""
    if form == "json":
        click.echo(json.dumps(settings_table.settings_json(environ), indent=2))
    elif form == "markdown":
        click.echo(settings_table.settings_page(), nl=False)
    else:
        click.echo(settings_table.settings_text(environ))


@main.command()
@_format_options
def conventions(form: str | None) -> None:
    """Show every metric with its Prometheus name, every event and every attribute."""
    if form == "json":
        click.echo(json.dumps(catalogue.catalogue_json(ALL_METRICS, ALL_EVENTS), indent=2))
    elif form == "markdown":
        click.echo(catalogue.catalogue_page(ALL_METRICS, ALL_EVENTS), nl=False)
    else:
        click.echo(catalogue.catalogue_text(ALL_METRICS, ALL_EVENTS))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--prometheus", help="URL of Prometheus: check its settings, targets and rules too.")
def doctor(as_json: bool, prometheus: str | None) -> None:
    """Check the settings and what they refer to: OTLP endpoints, certificates, dependencies, databases, feeds, SLAs.

    Sends an empty export request to each OTLP endpoint.

    Run it where the service runs, with the service's environment. Exits with 1 when there is an error.
    """
    findings = []
    for finding in examine(environ, prometheus):
        findings.append(finding)
        if not as_json:
            click.echo(visible_text(_line(finding)))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    sys.exit(any(finding.status == "error" for finding in findings))


def _line(finding: Finding) -> str:
    remedy = f"; remedy: {finding.remedy}" if finding.remedy else ""
    return f"{finding.status:<8}{finding.step:<17}{finding.name}: {finding.seen}{remedy}"


main.add_command(render)
main.add_command(slo)
main.add_command(stack)
main.add_command(incidents)
main.add_command(review)
main.add_command(explain)
main.add_command(grafana)


if __name__ == "__main__":
    main()
