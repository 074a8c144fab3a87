"""Generates docs/dashboards.md, which lists every panel."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel, RowPanel

from monitoring.dashboards.pictures import PICTURES, Picture
from trust_ops.site_config.dashboards import first_environment
from trust_ops.site_config.site import DEFAULTS

_DEFAULT: Final = first_environment(DEFAULTS)

_INTRODUCTION: Final = f"""\
# Dashboards: every panel

Generated from `monitoring/dashboards/` by `make generate`. The JSON files that Grafana loads are in
`monitoring/grafana/`. [Grafana](grafana.md) describes their provisioning and access. Without Grafana, `make demo` shows
them in a [preview](preview.md).

All dashboards have the same variables: data source, environment, service, instance and resolution. The environment is a
single one: `{_DEFAULT}` if it exists, else the one with the most instances. The empty entry has the services that set
no `deployment.environment.name`. Services and instances can be several. An instance is named after its pod, or else its
service and host, with the first eight digits of its id. Panels about instances show the worst ones and the median,
because a fleet has too many for one graph. There is no heatmap: it would show that some instances or requests are slow,
as the worst instances, the median and the percentiles do, but neither which ones nor the alert threshold. Panels that
read recording rules show whole services and ignore the instance. If Prometheus does not know when a series began (a
scrape in text format, or without created-timestamp-zero-ingestion), panels do not count what the series has when it
first appears; alerts do. Thresholds are read from the alert rules when the dashboards are generated. To link to a
panel, use its id:
`/d/trust-service-operational?viewPanel=4`. Each panel must pass the [dashboard checks](dashboard-checks.md).

The pictures are taken by `make pictures` in the [preview](preview.md): over a seeded fleet (`testbed/fleet`), and of
real services in four outages, on a desktop and a phone, in both themes. Those of outages show the top of the page.
"""

_SITE: Final = """\
`trust-otel render` writes the dashboards of your site, in the directory `dashboards/` of its output ([site](site.md)):

- the lines, colours and texts of panels with an alert threshold follow `thresholds`;
- they open with the first of `environments` that pages, or else the first one, if it has instances;
- links to runbooks lead to `addresses.runbooks`;
- the error budget of SLAs covers four weeks, or the whole weeks in `retention` if they are fewer: two by default. No
  other window is longer than two weeks, so the shortest retention is 15 days.
"""


def page(dashboards: list[Dashboard]) -> str:
    """The page in Markdown."""
    return "\n".join([_INTRODUCTION, _SITE, *(line for each in dashboards for line in _section(each))])


def _section(dashboard: Dashboard) -> list[str]:
    lines = [f"## {dashboard.title}", "", f"`{dashboard.uid}`. {dashboard.description}", ""]
    for picture in (each for each in PICTURES if each.uid == dashboard.uid):
        lines += _picture(picture)
    for panel in dashboard.panels or []:
        if isinstance(panel, RowPanel):
            lines += [f"### {panel.title}", "", "| id | panel | what it shows | what to do |", "|---|---|---|---|"]
        else:
            lines.append(_row(panel))
    return [*_with_gaps(lines), ""]


def _picture(picture: Picture) -> list[str]:
    shown, *others = picture.files
    links = [f"[{_described(file)}](pictures/{file})" for file in (shown, *others)]
    return [
        f"![{picture.situation}](pictures/{shown})",
        "",
        f"{picture.situation}: {', '.join(links)}.",
        "",
        *(f"- **{each.reader}: {each.text}** {each.answer}" for each in picture.questions),
        "",
    ]


def _described(file: str) -> str:
    *_, theme, device = file.removesuffix(".png").split("-")
    return f"{device}, {theme}"


def _row(panel: Panel) -> str:
    meaning, _, action = (panel.description or "").partition("**What to do:** ")
    return f"| {panel.id_val} | {panel.title} | {_cell(meaning)} | {_cell(action)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _with_gaps(lines: list[str]) -> list[str]:
    """Adds an empty line before each heading that follows a table."""
    spaced: list[str] = []
    for line in lines:
        if line.startswith("###") and spaced and spaced[-1]:
            spaced.append("")
        spaced.append(line)
    return spaced
