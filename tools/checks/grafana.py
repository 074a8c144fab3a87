"""Grafana dashboards (schema v1) as typed data, with the panels in rows flattened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WITHOUT_DATA = ("row", "text", "alertlist")
"""Panel types without queries."""


class DashboardFileError(ValueError):
    """The file is not a dashboard; the message names it."""


@dataclass(frozen=True)
class Target:
    """One query of a panel; `source` is PromQL with Grafana variables."""

    ref: str
    source: str
    datasource: Mapping[str, str]
    legend: str
    instant: bool
    ranged: bool
    interval: str
    table: bool


@dataclass(frozen=True)
class Override:
    """A field override: a matcher and the properties to set, by id."""

    matcher: str
    options: Any
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Panel:
    """A panel or row; `place` is x, y, width and height, `json` the complete panel."""

    number: int
    kind: str
    title: str
    description: str
    datasource: Mapping[str, str]
    place: tuple[int, int, int, int]
    targets: tuple[Target, ...]
    defaults: Mapping[str, Any]
    overrides: tuple[Override, ...]
    links: tuple[str, ...]
    json: Mapping[str, Any]

    def __str__(self) -> str:
        return f"panel {self.number} ({self.title})"

    @property
    def has_data(self) -> bool:
        """Whether its type has queries."""
        return self.kind not in WITHOUT_DATA

    @property
    def is_table(self) -> bool:
        """Whether its fields are labels and values, instead of one field per series."""
        return bool(self.targets) and all(target.table for target in self.targets)

    def properties(self, name: str) -> Iterator[tuple[Override | None, Any]]:
        """The values of a field property, each with its override; None for the default."""
        if name in self.defaults:
            yield None, self.defaults[name]
        yield from ((override, override.properties[name]) for override in self.overrides if name in override.properties)

    def transformations(self, name: str) -> list[Mapping[str, Any]]:
        """The options of all transformations of one type."""
        return [each.get("options", {}) for each in self.json.get("transformations", []) if each.get("id") == name]

    def data_links(self) -> Iterator[tuple[Override | None, str]]:
        """The URLs of data links, each with its override."""
        for override, links in self.properties("links"):
            yield from ((override, link["url"]) for link in links)


@dataclass(frozen=True)
class Dashboard:
    """A dashboard; `json` is the complete dashboard."""

    file: str
    uid: str
    panels: tuple[Panel, ...]
    variables: tuple[Mapping[str, Any], ...]
    annotations: tuple[Mapping[str, Any], ...]
    json: Mapping[str, Any]


def read_dashboard(file: Path) -> Dashboard:
    """The dashboard of a file. Raises DashboardFileError."""
    return dashboard_in(file.read_text(encoding="utf-8"), file.name)


def dashboard_in(content: str, file: str) -> Dashboard:
    """The dashboard of a file's content. Raises DashboardFileError."""
    try:
        found = json.loads(content)
        return Dashboard(
            file=file,
            uid=found["uid"],
            panels=tuple(_panel(each) for each in _flattened(found["panels"])),
            variables=tuple(found.get("templating", {}).get("list", [])),
            annotations=tuple(found.get("annotations", {}).get("list", [])),
            json=found,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DashboardFileError(f"{file}: {error!r}") from error


def _flattened(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        if panel["type"] == "row":
            yield from panel.get("panels") or []


def _panel(found: Mapping[str, Any]) -> Panel:
    fields = found.get("fieldConfig", {})
    place = found["gridPos"]
    return Panel(
        number=found["id"],
        kind=found["type"],
        title=found.get("title", ""),
        description=found.get("description", ""),
        datasource=found.get("datasource", {}),
        place=(place["x"], place["y"], place["w"], place["h"]),
        targets=tuple(_target(each) for each in found.get("targets", [])),
        defaults=fields.get("defaults", {}),
        overrides=tuple(_override(each) for each in fields.get("overrides", [])),
        links=tuple(each["url"] for each in found.get("links", [])),
        json=found,
    )


def _target(found: Mapping[str, Any]) -> Target:
    return Target(
        ref=found["refId"],
        source=found["expr"],
        datasource=found.get("datasource", {}),
        legend=found.get("legendFormat", ""),
        instant=bool(found.get("instant")),
        ranged=bool(found.get("range")),
        interval=found.get("interval", ""),
        table=found.get("format") == "table",
    )


def _override(found: Mapping[str, Any]) -> Override:
    matcher = found["matcher"]
    properties = {each["id"]: each.get("value") for each in found["properties"]}
    return Override(matcher["id"], matcher.get("options"), properties)
