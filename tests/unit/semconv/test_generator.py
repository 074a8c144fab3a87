"""The generator: from the registry to constants and documentation."""

from pathlib import Path

import pytest

from trust_otel.semconv import attributes, events, generator, metrics
from trust_otel.semconv.generator import RegistryError, generated_files, read_registry

_ATTRIBUTE = """
  - id: registry.test
    type: attribute_group
    brief: Test.
    attributes:
      - id: colour
        type: string
        brief: A colour.
        examples: [red]
"""
_METRIC = """
  - id: metric.test.count
    type: metric
    metric_name: test.count
    instrument: counter
    unit: "1"
    brief: A count.
    attributes:
      - {ref: colour, requirement_level: required}
"""
_EVENT = """
  - id: event.test.thing
    type: event
    name: test.thing
    brief: Happened.
    annotations:
      trust_otel: {kind: audit}
    attributes:
      - {ref: colour, requirement_level: required}
"""


def _registry(directory: Path, *groups: str) -> Path:
    (directory / "test.yaml").write_text("groups:" + "".join(groups))
    return directory


@pytest.mark.parametrize("path", generated_files(), ids=lambda path: path.name)
def test_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == generated_files()[path], "run `make generate`"


def test_generation_is_deterministic() -> None:
    assert generated_files() == generated_files()


def test_constants_match_the_registry() -> None:
    known = read_registry()
    assert known.metrics == metrics.ALL
    assert known.events == events.ALL
    for name, attribute in known.attributes.items():
        assert getattr(attributes, generator.constant_name(name)) == attribute


def test_small_registry_is_read(tmp_path: Path) -> None:
    known = read_registry(_registry(tmp_path, _ATTRIBUTE, _METRIC, _EVENT))
    assert list(known.attributes) == ["colour"]
    metric, event = known.metrics["test.count"], known.events["test.thing"]
    assert metric.attributes == event.attributes == (known.attributes["colour"],)
    assert metric.required == event.required == {"colour"}
    assert event.kind == "audit"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type: metric", "type: span", "metric.test.count: type must be"),
        ("brief: A count.", "brief: ''", "metric.test.count: brief is missing"),
        ("id: metric.test.count", "id: metric.other", "metric.other: id must be metric.test.count"),
        ("instrument: counter", "instrument: summary", "metric.test.count: instrument must be one of"),
        ("instrument: counter", "instrument: histogram", "metric.test.count: a histogram needs buckets"),
        (
            "instrument: counter",
            "annotations: {trust_otel: {buckets: [1]}}\n    instrument: counter",
            "other instruments must have none",
        ),
        (
            "instrument: counter",
            "annotations: {trust_otel: {buckets: [2, 1]}}\n    instrument: histogram",
            "buckets must be in ascending order",
        ),
        (
            "instrument: counter",
            "annotations: {trust_otel: {buckets: [1, 1]}}\n    instrument: histogram",
            "buckets must be in ascending order",
        ),
        ("ref: colour", "ref: color", "no definition of color"),
        ("examples: [red]", "note: none", "colour: an open attribute needs examples"),
    ],
)
def test_error_in_the_registry_names_its_group(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = _ATTRIBUTE + _METRIC
    assert old in text
    with pytest.raises(RegistryError, match=message):
        read_registry(_registry(tmp_path, text.replace(old, new)))


def test_duplicate_metric_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"test\.count is defined twice"):
        read_registry(_registry(tmp_path, _ATTRIBUTE, _METRIC, _METRIC))


def test_duplicate_attribute_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="colour is defined twice"):
        read_registry(_registry(tmp_path, _ATTRIBUTE, _ATTRIBUTE, _METRIC))


def test_unused_attribute_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no metric or event uses colour"):
        read_registry(_registry(tmp_path, _ATTRIBUTE))


@pytest.mark.parametrize(
    "missing", ['unit: "1"', "metric_name: test.count", "instrument: counter", "brief: A colour.", "type: string"]
)
def test_error_for_a_missing_key_names_its_group(tmp_path: Path, missing: str) -> None:
    text = _ATTRIBUTE + _METRIC
    assert missing in text
    with pytest.raises(RegistryError, match=r"metric\.test\.count|colour|registry\.test"):
        read_registry(_registry(tmp_path, text.replace(missing, "deprecated: ''")))


@pytest.mark.parametrize("missing", ["kind: audit", "    name: test.thing", "    brief: Happened."])
def test_error_names_the_incomplete_event(tmp_path: Path, missing: str) -> None:
    with pytest.raises(RegistryError, match=r"event\.test\.thing: \w+ is missing"):
        read_registry(_registry(tmp_path, _ATTRIBUTE, _METRIC, _EVENT.replace(missing, "")))


@pytest.mark.parametrize("text", ["", "groups:", "[]", "groups: {}", "groups: [1]", "a: b: c"])
def test_error_names_the_invalid_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(RegistryError, match=r"odd\.yaml"):
        read_registry(tmp_path)


def test_manifest_without_groups_is_valid(tmp_path: Path) -> None:
    (tmp_path / "registry_manifest.yaml").write_text("name: test")
    assert read_registry(tmp_path) == ({}, {}, {})


def test_every_open_attribute_is_bounded() -> None:
    for attribute in read_registry().attributes.values():
        if not attribute.members:
            assert 0 < attribute.limit <= 1000, attribute.name


def test_every_reference_of_the_page_is_in_the_registry() -> None:
    page = next(content for path, content in generated_files().items() if path.name == "conventions.md")
    known = read_registry()
    for metric in known.metrics.values():
        assert f"### `{metric.name}`" in page
        assert f"`{metric.prometheus_name}`" in page
    for event in known.events.values():
        assert f"| `{event.name}` | {event.kind} |" in page
    for attribute in known.attributes.values():
        assert f"| `{attribute.name}` | `{attribute.label}` |" in page
