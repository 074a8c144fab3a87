"""The registry conforms to OpenTelemetry Weaver's schema."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from trust_otel import __version__
from trust_otel.semconv import generator

_SCHEMA = Draft202012Validator(json.loads(Path(__file__).with_name("registry.schema.json").read_text(encoding="utf-8")))
_FILES = sorted(file for file in Path(generator.__file__).with_name("registry").glob("*.yaml"))
_REGISTRIES = [file for file in _FILES if file.name != "registry_manifest.yaml"]


def _faults(document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in _SCHEMA.iter_errors(document)]


def _example() -> dict[str, Any]:
    colour = {
        "id": "colour",
        "type": "string",
        "brief": "A colour.",
        "stability": "development",
        "examples": ["red"],
    }
    side = {"members": [{"id": "left", "value": "left", "stability": "development"}]}
    return {
        "groups": [
            {
                "id": "registry.test",
                "type": "attribute_group",
                "brief": "Test.",
                "attributes": [
                    colour,
                    {"id": "side", "type": side, "brief": "A side.", "stability": "development"},
                ],
            },
            {
                "id": "metric.test.count",
                "type": "metric",
                "metric_name": "test.count",
                "instrument": "counter",
                "unit": "1",
                "stability": "development",
                "brief": "A count.",
                "attributes": [{"ref": "colour", "requirement_level": {"conditionally_required": "If known."}}],
            },
        ]
    }


@pytest.mark.parametrize("file", _REGISTRIES, ids=lambda file: file.stem)
def test_registry_file_is_valid(file: Path) -> None:
    assert _faults(yaml.safe_load(file.read_text(encoding="utf-8"))) == []


def test_the_manifest_is_of_this_version() -> None:
    manifest = yaml.safe_load(_FILES[0].with_name("registry_manifest.yaml").read_text(encoding="utf-8"))
    assert manifest["name"] == "trust-otel"
    assert manifest["semconv_version"] == __version__


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("groups", 0, "type"), "attributes"),
        (("groups", 0, "brief"), None),
        (("groups", 0, "unit"), "s"),
        (("groups", 0, "attributes", 0, "stability"), "experimental"),
        (("groups", 0, "attributes", 0, "type"), "text"),
        (("groups", 0, "attributes", 0, "examples"), [1]),
        (("groups", 0, "attributes", 0, "exmples"), ["red"]),
        (("groups", 0, "attributes", 1, "type"), {"members": [{"id": "left", "value": "left"}]}),
        (("groups", 0, "attributes", 1, "type"), {"members": []}),
        (("groups", 1, "instrument"), "summary"),
        (("groups", 1, "unit"), 1),
        (("groups", 1, "metric_name"), "Test.Count"),
        (("groups", 1, "attributes", 0, "requirement_level"), "always"),
        (("groups", 1, "attributes", 0, "requirement_level"), {"required": "If known."}),
        (("groups", 1, "attributes", 0, "ref"), None),
        (("metrics",), []),
    ],
)
def test_invalid_value_is_found(place: tuple[str | int, ...], value: Any) -> None:
    document: Any = deepcopy(_example())
    assert _faults(document) == []
    target = document
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    assert _faults(document)


@pytest.mark.parametrize("missing", ["metric_name", "instrument", "unit", "stability", "brief", "attributes"])
def test_metric_without_a_required_part_is_found(missing: str) -> None:
    document = _example()
    del document["groups"][1][missing]
    assert _faults(document)
