"""The dashboards conform to the types of each supported Grafana, which would silently ignore mistakes."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.grafana_versions import CURRENT, NEWEST, OLDEST
from tools.preview.building import HOME, install
from tools.preview.server import DASHBOARDS

Json = dict[str, Any]
Change = Callable[[Json], None]

# Tests are skipped without Node.js, except in CI, where they fail.
pytestmark = pytest.mark.skipif(
    any(shutil.which(command) is None for command in ("node", "npm")) and "CI" not in os.environ,
    reason="Node.js or npm is not on this machine",
)


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    install(print)


def _check(*files: Path) -> str:
    """Errors in the dashboards."""
    command = ["npm", "run", "--silent", "check", "--", *map(str, files)]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode == 0) == (done.stderr == ""), done
    return done.stderr


def test_every_dashboard_conforms_to_grafanas_types() -> None:
    files = sorted(DASHBOARDS.glob("*.json"))
    assert files
    assert _check(*files) == ""


SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RIGHT: Json = {
    "uid": "right",
    "title": "Right",
    "schemaVersion": 41,
    "tags": ["test"],
    "templating": {"list": [{"name": "interval", "type": "interval", "query": "15s,1m"}]},
    "annotations": {"list": []},
    "panels": [
        {
            "id": 1,
            "type": "timeseries",
            "title": "Graph",
            "datasource": SOURCE,
            "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
            "targets": [{"refId": "A", "datasource": SOURCE, "expr": "up", "range": True, "instant": False}],
            "options": {
                "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["max"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
            "fieldConfig": {
                "defaults": {"unit": "reqps", "color": {"mode": "thresholds"}, "custom": {"drawStyle": "line"}},
                "overrides": [
                    {
                        "matcher": {"id": "byName", "options": "A"},
                        "properties": [{"id": "custom.lineWidth", "value": 2}, {"id": "unit", "value": "s"}],
                    }
                ],
            },
            "transformations": [{"id": "reduce", "options": {"reducers": ["lastNotNull"]}}],
        },
        {
            "id": 2,
            "type": "stat",
            "title": "Number",
            "datasource": SOURCE,
            "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8},
            "targets": [{"refId": "A", "datasource": SOURCE, "expr": "up", "range": False, "instant": True}],
            "options": {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"], "values": False}},
            "fieldConfig": {"defaults": {}, "overrides": []},
        },
    ],
}


def _set(path: str, value: object) -> Change:
    *parents, last = path.split("/")

    def change(dashboard: Json) -> None:
        place: Any = dashboard
        for each in parents:
            place = place[int(each) if isinstance(place, list) else each]
        place[int(last) if isinstance(place, list) else last] = value

    return change


_DEFAULTS = "panels/0/fieldConfig/defaults"
_PROPERTIES = "panels/0/fieldConfig/overrides/0/properties"

WRONG: dict[str, tuple[Change, str]] = {
    "enumeration": (_set("panels/0/options/tooltip/mode", "many"), "many"),
    "option": (_set("panels/0/options/tooltipp", {}), "tooltipp"),
    "option of another kind of panel": (_set("panels/1/options/pieType", "donut"), "pieType"),
    "field option": (_set(f"{_DEFAULTS}/custom/lineWith", 2), "lineWith"),
    "type of a field option": (_set(f"{_DEFAULTS}/custom/lineWidth", "2"), "number"),
    "standard option": (_set(f"{_DEFAULTS}/units", "s"), "units"),
    "colour mode": (_set(f"{_DEFAULTS}/color/mode", "rainbow"), "rainbow"),
    "unit": (_set(f"{_DEFAULTS}/unit", "reqsps"), '"reqsps"'),
    "unit of an override": (_set(f"{_PROPERTIES}/1/value", "seconds"), '"seconds"'),
    "property of an override": (_set(f"{_PROPERTIES}/0/id", "custom.lineWith"), "custom.lineWith"),
    "matcher": (_set("panels/0/fieldConfig/overrides/0/matcher/id", "byTitle"), "byTitle"),
    "reducer": (_set("panels/1/options/reduceOptions/calcs", ["latest"]), "latest"),
    "reducer of a legend": (_set("panels/0/options/legend/calcs", ["average"]), "average"),
    "reducer of a transformation": (_set("panels/0/transformations/0/options/reducers", ["newest"]), '"newest"'),
    "transformation": (_set("panels/0/transformations/0/id", "reduction"), "reduction"),
    "query format": (_set("panels/0/targets/0/format", "tables"), "tables"),
    "query option": (_set("panels/0/targets/0/legend", "{{job}}"), "legend"),
    "data source": (_set("panels/0/datasource/type", "loki"), "loki"),
    "kind of panel": (_set("panels/0/type", "graph"), "panel 1 (Graph)"),
    "setting of the dashboard": (_set("refreshes", "30s"), "refreshes"),
    "kind of variable": (_set("templating/list/0/type", "label"), "label"),
}


def test_a_right_dashboard_passes(tmp_path: Path) -> None:
    (tmp_path / "right.json").write_text(json.dumps(RIGHT))
    assert _check(tmp_path / "right.json") == ""


def test_each_mistake_is_found(tmp_path: Path) -> None:
    """All in one run, because loading the types is slow."""
    for name, (change, _) in WRONG.items():
        dashboard = copy.deepcopy(RIGHT)
        change(dashboard)
        (tmp_path / f"{name}.json").write_text(json.dumps(dashboard))
    said = _check(*tmp_path.glob("*.json"))
    unseen = [name for name, (_, word) in WRONG.items() if not _mentioned(said, name, word)]
    assert not unseen, said


def _mentioned(said: str, name: str, word: str) -> bool:
    """Whether a paragraph about the file contains the word, for each version."""
    paragraphs = [each for each in said.replace("\n  ", " ").splitlines() if word in each]
    prefixes = [f"{name}.json: Grafana {version}: " for version in (OLDEST, CURRENT, NEWEST)]
    return all(any(each.startswith(prefix) for each in paragraphs) for prefix in prefixes)


OF_NEWER_VERSIONS: dict[str, tuple[Change, str]] = {
    "value": (_set("panels/1/options/percentChangeColorMode", "inverted"), "percentChangeColorMode"),
    "option of Grafana 12": (_set(f"{_DEFAULTS}/custom/showValues", True), "showValues"),
}


def test_an_option_that_only_newer_versions_have_is_a_mistake(tmp_path: Path) -> None:
    """Unless it has its default value: a newer Grafana would look different."""
    for name, (change, _) in OF_NEWER_VERSIONS.items():
        dashboard = copy.deepcopy(RIGHT)
        change(dashboard)
        (tmp_path / f"{name}.json").write_text(json.dumps(dashboard))
    said = _check(*tmp_path.glob("*.json"))
    for name, (_, word) in OF_NEWER_VERSIONS.items():
        assert f"{name}.json: Grafana {OLDEST}: " in said
        assert f"{name}.json: Grafana {NEWEST}: " not in said
        assert word in said
