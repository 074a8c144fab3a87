"""What several versions of Grafana compute for the panels of the dashboards."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from testbed.fleet import SHOWN_SECONDS
from tests.support.dashboards import FILES
from tests.support.fleet import Fleet
from tools.preview.building import HOME, install

OLDEST: Final = "10.4"
CURRENT: Final = "11.6"
NEWEST: Final = "12.4"

Json = dict[str, Any]
Panels = Mapping[tuple[str, int], Json]
"""By uid of the dashboard and id of the panel."""


@dataclass(frozen=True)
class Table:
    """A table as in the file, and the heading and the cells of each column as computed."""

    panel: Json
    columns: Mapping[str, Sequence[Json]]

    @property
    def headings(self) -> list[str]:
        """The headings in the order that the file asks for."""
        return list(self._names().values())

    @property
    def value_headings(self) -> list[str]:
        """The headings of the queries' values."""
        return [heading for name, heading in self._names().items() if name.startswith("Value")]

    def _names(self) -> dict[str, str]:
        (options,) = [each["options"] for each in self.panel["transformations"] if each["id"] == "organize"]
        order = options["indexByName"]
        return {name: options["renameByName"].get(name, name) for name in sorted(order, key=order.__getitem__)}


def computed(fleet: Fleet, variables: Mapping[str, Sequence[str]]) -> dict[str, Panels]:
    """The panels of all dashboards by version of Grafana, at the end of the fleet's data."""
    install(print)
    span = [str(fleet.end - SHOWN_SECONDS), str(fleet.end)]
    command = ["node", "computed.mjs", fleet.url, *span, json.dumps(variables), *map(str, FILES)]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        version: {(uid, int(panel)): shown for uid, panels in dashboards.items() for panel, shown in panels.items()}
        for version, dashboards in json.loads(done.stdout).items()
    }


def tables(panels: Panels) -> Iterator[Table]:
    """The tables with columns."""
    for file in FILES:
        dashboard = json.loads(file.read_text())
        for panel in dashboard["panels"]:
            if panel["type"] == "table":
                ((columns),) = [frame["columns"] for frame in panels[dashboard["uid"], panel["id"]]["frames"]] or [[]]
                if columns:
                    yield Table(panel, {each["name"]: each["cells"] for each in columns})


def links(panels: Panels) -> set[str]:
    """The URLs that cells and values link to."""
    return {
        url
        for panel in panels.values()
        for frame in panel["frames"]
        for column in frame["columns"]
        for cell in column["cells"]
        for url in cell["links"]
    }
