"""Generates the Python modules of the vocabulary and its page from `registry/*.yaml` (the schema of Weaver).

Run as `python -m trust_otel.semconv.generator`; with `--check` it writes nothing and exits with 1 if a file is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from trust_otel.semconv.catalogue import catalogue_page
from trust_otel.semconv.definitions import Attribute, Event, InstrumentKind, Metric

_PACKAGE = Path(__file__).parent
_REGISTRY = _PACKAGE / "registry"
_TYPES = ("attribute_group", "metric", "event")
_INSTRUMENTS = ("counter", "updowncounter", "gauge", "histogram")
_GENERATED = "Generated from registry/*.yaml by `make generate`; edit the registry, not this file."


class RegistryError(ValueError):
    """The registry violates Weaver's schema or a rule of this project; the message names the group."""


class Registry(NamedTuple):
    """The content of a registry, by name, sorted."""

    attributes: dict[str, Attribute]
    metrics: dict[str, Metric]
    events: dict[str, Event]


def read_registry(directory: Path = _REGISTRY) -> Registry:
    """Read every YAML file of a registry.

    Raises:
        RegistryError: A group is invalid, a name is duplicate, or a reference is undefined.
    """
    groups = [group for path in sorted(directory.glob("*.yaml")) for group in _groups(path)]
    attributes: dict[str, Attribute] = {}
    for group in _of_type(groups, "attribute_group"):
        with _complete(group):
            for entry in group["attributes"]:
                _add(attributes, _attribute(entry), group["id"])
    metrics: dict[str, Metric] = {}
    for group in _of_type(groups, "metric"):
        with _complete(group):
            _add(metrics, _metric(group, attributes), group["id"])
    events: dict[str, Event] = {}
    for group in _of_type(groups, "event"):
        with _complete(group):
            _add(events, _event(group, attributes), group["id"])
    _reject_unused(attributes, metrics, events)
    return Registry(dict(sorted(attributes.items())), dict(sorted(metrics.items())), dict(sorted(events.items())))


def _groups(path: Path) -> list[dict[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RegistryError(f"{path.name}: {error}") from error
    groups = document.get("groups", []) if isinstance(document, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise RegistryError(f"{path.name}: must contain a list of groups")
    return cast("list[dict[str, Any]]", groups)


@contextmanager
def _complete(group: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except KeyError as missing:
        raise RegistryError(f"{group.get('id')}: {missing.args[0]} is missing") from missing


def _of_type(groups: Iterable[dict[str, Any]], group_type: str) -> Iterable[dict[str, Any]]:
    for group in groups:
        if group.get("type") not in _TYPES:
            raise RegistryError(f"{group.get('id')}: type must be one of {', '.join(_TYPES)}")
        if not group.get("brief"):
            raise RegistryError(f"{group.get('id')}: brief is missing")
        if group["type"] == group_type:
            yield group


def _add(known: dict[str, Any], definition: Attribute | Metric | Event, group_id: str) -> None:
    if definition.name in known:
        raise RegistryError(f"{group_id}: {definition.name} is defined twice")
    known[definition.name] = definition


def _annotations(entry: Mapping[str, Any]) -> dict[str, Any]:
    return dict(entry.get("annotations", {}).get("trust_otel", {}))


def _attribute(entry: Mapping[str, Any]) -> Attribute:
    declared = entry["type"]
    members: tuple[str | int, ...] = ()
    if isinstance(declared, dict):
        members = tuple(member["value"] for member in declared["members"])
        declared = "int" if all(isinstance(member, int) for member in members) else "string"
    if not members and not entry.get("examples"):
        raise RegistryError(f"{entry['id']}: an open attribute needs examples")
    return Attribute(
        name=entry["id"],
        type=declared,
        brief=entry["brief"],
        members=members,
        examples=tuple(entry.get("examples", ())),
        **_annotations(entry),
    )


def _metric(group: Mapping[str, Any], attributes: Mapping[str, Attribute]) -> Metric:
    name = group["metric_name"]
    if group["id"] != f"metric.{name}":
        raise RegistryError(f"{group['id']}: id must be metric.{name}")
    if group["instrument"] not in _INSTRUMENTS:
        raise RegistryError(f"{group['id']}: instrument must be one of {', '.join(_INSTRUMENTS)}")
    buckets = tuple(float(bound) for bound in _annotations(group).get("buckets", ()))
    if (group["instrument"] == "histogram") != bool(buckets):
        raise RegistryError(f"{group['id']}: a histogram needs buckets, and other instruments must have none")
    if list(buckets) != sorted(set(buckets)):
        raise RegistryError(f"{group['id']}: buckets must be in ascending order")
    return Metric(
        name=name,
        instrument=cast(InstrumentKind, group["instrument"]),
        unit=group["unit"],
        brief=group["brief"],
        attributes=_referenced(group, attributes),
        required=_required(group),
        buckets=buckets,
        note=group.get("note", ""),
        third_party=_annotations(group).get("third_party", False),
    )


def _event(group: Mapping[str, Any], attributes: Mapping[str, Attribute]) -> Event:
    name = group["name"]
    if group["id"] != f"event.{name}":
        raise RegistryError(f"{group['id']}: id must be event.{name}")
    return Event(
        name=name,
        kind=_annotations(group)["kind"],
        brief=group["brief"],
        attributes=_referenced(group, attributes),
        required=_required(group),
        note=group.get("note", ""),
    )


def _referenced(group: Mapping[str, Any], attributes: Mapping[str, Attribute]) -> tuple[Attribute, ...]:
    missing = [entry["ref"] for entry in group["attributes"] if entry["ref"] not in attributes]
    if missing:
        raise RegistryError(f"{group['id']}: no definition of {', '.join(missing)}")
    return tuple(attributes[entry["ref"]] for entry in group["attributes"])


def _required(group: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(entry["ref"] for entry in group["attributes"] if entry["requirement_level"] == "required")


def _reject_unused(
    attributes: Mapping[str, Attribute], metrics: Mapping[str, Metric], events: Mapping[str, Event]
) -> None:
    users: list[Metric | Event] = [*metrics.values(), *events.values()]
    used = {attribute.name for user in users for attribute in user.attributes}
    unused = sorted(set(attributes) - used)
    if unused:
        raise RegistryError(f"no metric or event uses {', '.join(unused)}")


def constant_name(name: str) -> str:
    """Name of the Python constant of a metric or attribute."""
    return name.replace(".", "_").upper()


def attributes_module(attributes: Mapping[str, Attribute]) -> str:
    """Source of `attributes.py`: a constant per attribute."""
    lines = [f'"""Attributes of the registry. {_GENERATED}"""', ""]
    lines += ["from typing import Final", "", "from trust_otel.semconv.definitions import Attribute", ""]
    for attribute in attributes.values():
        lines.append(f"{constant_name(attribute.name)}: Final = Attribute(")
        lines += _arguments(attribute)
        lines.append(")")
    return "\n".join(lines) + "\n"


def metrics_module(metrics: Mapping[str, Metric]) -> str:
    """Source of `metrics.py`: a constant per metric, and a mapping of all by name."""
    return _module("metric", metrics)


def events_module(events: Mapping[str, Event]) -> str:
    """Source of `events.py`: a constant per event, and a mapping of all by name."""
    return _module("event", events)


def _module(kind: str, definitions: Mapping[str, Metric] | Mapping[str, Event]) -> str:
    name = kind.capitalize()
    lines = [f'"""{name}s of the registry. {_GENERATED}"""', ""]
    lines += ["from collections.abc import Mapping", "from typing import Final", ""]
    lines += [
        "from trust_otel.semconv import attributes",
        f"from trust_otel.semconv.definitions import {name}",
        "",
    ]
    for definition in definitions.values():
        lines.append(f"{constant_name(definition.name)}: Final = {name}(")
        lines += _arguments(definition)
        lines.append(")")
    lines += ["", f"ALL: Final[Mapping[str, {name}]] = {{", f"    {kind}.name: {kind}", f"    for {kind} in ("]
    lines += [f"        {constant_name(name)}," for name in definitions]
    lines += ["    )", "}"]
    return "\n".join(lines) + "\n"


def _arguments(definition: Attribute | Metric | Event) -> Iterable[str]:
    for field in fields(definition):
        value = getattr(definition, field.name)
        if field.default is not MISSING and value == field.default:
            continue
        yield f"    {field.name}={_source(value)},"


def _source(value: object) -> str:
    if isinstance(value, frozenset):
        return f"frozenset({_source(tuple(sorted(value)))})"
    if isinstance(value, tuple):
        return "(" + "".join(f"{_source(item)}, " for item in value) + ")"
    if isinstance(value, Attribute):
        return f"attributes.{constant_name(value.name)}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def generated_files(root: Path = _PACKAGE.parents[1]) -> dict[Path, str]:
    """The content of each generated file, by path."""
    attributes, metrics, events = read_registry()
    return {
        _PACKAGE / "attributes.py": attributes_module(attributes),
        _PACKAGE / "metrics.py": metrics_module(metrics),
        _PACKAGE / "events.py": events_module(events),
        root / "docs" / "conventions.md": catalogue_page(metrics, events),
    }


def main() -> int:
    """Write the generated files, or check that they are up to date; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is stale")
    check = parser.parse_args().check
    stale = [
        path
        for path, content in generated_files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    for path in stale:
        if check:
            sys.stderr.write(f"stale: {path.name}; run `make generate`\n")
        else:
            path.write_text(generated_files()[path], encoding="utf-8")
            sys.stderr.write(f"wrote {path.name}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
