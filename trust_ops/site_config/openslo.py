"""Objectives as OpenSLO (https://github.com/OpenSLO/OpenSLO, `openslo/v1`), and back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import yaml
from pydantic import ValidationError

from trust_ops.site_config.errors import Problem, RenderError, remedy_of
from trust_ops.site_config.objectives import Objective
from trust_ops.site_config.slo_rules import errors, events

VERSION: Final = "openslo/v1"

_PREFIX: Final = "trust-otel."
# OpenSLO has no field for these. The others are fields of the SLO.
_ANNOTATED: Final = (
    *("namespace", "environment", "indicator", "protocol", "http_route", "grpc_method", "threshold_seconds", "page"),
)
# OpenSLO requires a service.
_EVERY_SERVICE: Final = "every-service"
_EVERY_SERVICE_NOTE: Final = f"{_PREFIX}every_service"
# Queries stay on one line.
_WIDTH: Final = 2000
_FIELDS: Final = {
    "spec": {
        *("description", "service", "indicator", "indicatorRef", "timeWindow", "budgetingMethod", "objectives"),
        "alertPolicies",
    },
    "spec.objectives[0]": {
        *("displayName", "op", "value", "target", "targetPercent", "timeSliceTarget", "timeSliceWindow"),
        *("indicator", "indicatorRef", "compositeWeight"),
    },
}
_REASONS: Final = {
    "spec.alertPolicies": "trust-otel alerts by burn rate; remove it, and set `page` in the site file",
    "spec.indicatorRef": "a reference is not followed; write the indicator into the SLO",
    "spec.indicator.spec.thresholdMetric": "only ratios of events can be objectives; use ratioMetric",
    "spec.indicator.spec.ratioMetric.raw": "a ratio that is already computed has no events; use bad and total",
    "spec.objectives[0].op": "only ratios of events can be objectives, and a ratio has no operator; remove it",
    "spec.objectives[0].value": "only ratios of events can be objectives, and a ratio has no value; remove it",
    "spec.objectives[0].timeSliceTarget": "time slices are not counted; remove it",
    "spec.objectives[0].timeSliceWindow": "time slices are not counted; remove it",
    "spec.objectives[0].compositeWeight": "composite SLOs are not supported; write an SLO for each objective",
    "spec.objectives[0].indicator": "composite SLOs are not supported; write an SLO for each objective",
    "spec.objectives[0].indicatorRef": "composite SLOs are not supported; write an SLO for each objective",
}
"""Why a field of the specification cannot be expressed."""


class _UniqueKeys(yaml.SafeLoader):
    """Rejects a key that is set twice, of which YAML's parser would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value} is set twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Imported:
    """Objectives of OpenSLO files, and what was not kept."""

    objectives: tuple[Objective, ...]
    notes: tuple[str, ...]


def dump(objectives: Sequence[Objective]) -> str:
    """The objectives as YAML documents, one SLO each."""
    return yaml.safe_dump_all(map(_exported, objectives), sort_keys=False, width=_WIDTH, allow_unicode=True)


def load(text: str, file: str) -> Imported:
    """The objectives in the YAML documents of a file. Raises RenderError with every field that cannot be expressed."""
    try:
        documents = [document for document in yaml.load_all(text, _UniqueKeys) if document is not None]
    except yaml.YAMLError as error:
        where = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise RenderError([Problem(file, f"it is not valid YAML: {where}")]) from error
    except RecursionError as error:
        raise RenderError([Problem(file, "it is nested too deeply")]) from error
    found: list[Objective] = []
    notes: list[str] = []
    problems: list[Problem] = []
    for number, document in enumerate(documents, start=1):
        reader = _Reader(document, _title(document, file, number))
        objective = reader.objective()
        notes += reader.notes
        problems += reader.problems
        if objective is not None:
            found.append(objective)
    if problems:
        raise RenderError(problems)
    if not found:
        notes.append(f"{file}: it contains no SLO")
    return Imported(tuple(found), tuple(notes))


def site_text(objectives: Sequence[Objective]) -> str:
    """The objectives as they are declared in a site file."""
    declared = [objective.model_dump(exclude_defaults=True) for objective in objectives]
    return yaml.safe_dump({"objectives": declared}, sort_keys=False, width=_WIDTH, allow_unicode=True)


def _exported(objective: Objective) -> dict[str, Any]:
    declared = objective.model_dump(exclude_defaults=True)
    annotations = {f"{_PREFIX}{name}": _text(declared[name]) for name in _ANNOTATED if name in declared}
    if objective.service is None:
        annotations[_EVERY_SERVICE_NOTE] = "true"
    spec: dict[str, Any] = {"description": objective.description} if objective.description else {}
    return {
        "apiVersion": VERSION,
        "kind": "SLO",
        "metadata": {"name": objective.name, "annotations": annotations},
        "spec": {
            **spec,
            "service": objective.service or _EVERY_SERVICE,
            "indicator": _indicator(objective),
            "timeWindow": [{"duration": objective.window, "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"target": objective.target}],
        },
    }


def _indicator(objective: Objective) -> dict[str, Any]:
    # Rates, which go up and down.
    ratio: dict[str, Any] = {"counter": False}
    for name, of in (("bad", errors), ("total", events)):
        query = re.sub(r"\n *", " ", of(objective, "rate", "5m"))
        ratio[name] = {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}
    return {"metadata": {"name": objective.name}, "spec": {"ratioMetric": ratio}}


def _text(value: object) -> str:
    """A setting as an annotation, whose values are strings."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(name: str, text: object) -> object:
    """A setting of an annotation; what cannot be read stays, and is an error of the setting."""
    if name == "page":
        return {"true": True, "false": False}.get(str(text), text)
    if name == "threshold_seconds":
        with suppress(ValueError):
            return float(str(text))
    return text


def _title(document: object, file: str, number: int) -> str:
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{file}: {name if isinstance(name, str) else f'document {number}'}"


class _Reader:
    """Reads one document.

    Attributes:
        notes: What was not kept.
        problems: What cannot be expressed.
    """

    def __init__(self, document: object, title: str) -> None:
        self.notes: list[str] = []
        self.problems: list[Problem] = []
        self._title = title
        self._document: Mapping[str, Any] = document if isinstance(document, Mapping) else {}

    def objective(self) -> Objective | None:
        """The objective, or None if there are problems or the document declares something else."""
        if self._document.get("apiVersion") != VERSION:
            self._refuse("apiVersion", f"{self._document.get('apiVersion')!r} is not {VERSION}")
            return None
        kind = self._document.get("kind")
        if kind in ("Service", "DataSource"):
            self._note(f"a {kind} is not imported")
            return None
        if kind != "SLO":
            self._refuse("kind", f"{kind!r} cannot be imported, only SLO")
            return None
        metadata = self._mapping(self._document, "metadata")
        spec = self._mapping(self._document, "spec")
        settings = {
            "name": metadata.get("name"),
            "description": spec.get("description", ""),
            **self._annotations(metadata),
            **self._service(metadata, spec),
            **self._window(spec),
            **self._target(spec),
        }
        self._check(metadata, spec)
        return None if self.problems else self._built(settings, spec)

    def _built(self, settings: Mapping[str, Any], spec: Mapping[str, Any]) -> Objective | None:
        try:
            objective = Objective.model_validate(settings)
        except ValidationError as error:
            for details in error.errors():
                field = ".".join(map(str, details["loc"]))
                reason = "it is missing" if details["input"] is None else remedy_of(details)
                self._refuse(_field(field) if field else "spec", reason)
            return None
        if spec.get("indicator") != _indicator(objective):
            self._note("spec.indicator: its queries are replaced by those of trust-otel")
        return objective

    def _annotations(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        annotations = self._mapping(metadata, "annotations") if "annotations" in metadata else {}
        for key, value in annotations.items():
            name = str(key).removeprefix(_PREFIX)
            if name in _ANNOTATED and name != key:
                found[name] = _value(name, value)
            elif key != _EVERY_SERVICE_NOTE:
                self._note(f"metadata.annotations.{key} is not kept")
        if "indicator" not in found:
            self._refuse(
                "spec.indicator",
                f"a query cannot be translated; add the annotation {_PREFIX}indicator with availability, latency or "
                "validation, and the query of trust-otel is used",
            )
        return found

    def _service(self, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
        annotations = metadata.get("annotations")
        every = isinstance(annotations, Mapping) and annotations.get(_EVERY_SERVICE_NOTE) == "true"
        if not every and spec.get("service") is None:
            self._refuse("spec.service", "it is missing")
        return {} if every else {"service": spec.get("service")}

    def _window(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        windows = spec.get("timeWindow")
        if windows is None:
            return {}
        if not isinstance(windows, list) or len(windows) != 1 or not isinstance(windows[0], Mapping):
            self._refuse("spec.timeWindow", "it must be a list of one window")
            return {}
        (window,) = windows
        if window.get("isRolling") is not True or "calendar" in window:
            self._refuse("spec.timeWindow[0]", "a window of the calendar is not supported; use isRolling: true")
        return {"window": window.get("duration")}

    def _target(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        objectives = spec.get("objectives")
        if not isinstance(objectives, list) or not objectives:
            self._refuse("spec.objectives", "it must be a list of one objective")
            return {}
        if len(objectives) > 1:
            self._refuse("spec.objectives[1]", "an SLO has one objective here; write an SLO for each")
        first = _first(objectives)
        if "displayName" in first:
            self._note("spec.objectives[0].displayName is not kept")
        if ("target" in first) == ("targetPercent" in first):
            self._refuse("spec.objectives[0].target", "exactly one of target and targetPercent must be set")
            return {}
        percent = first.get("targetPercent")
        if isinstance(percent, int | float) and not isinstance(percent, bool):
            return {"target": float(Decimal(str(percent)) / 100)}
        return {"target": first.get("target", percent)}

    def _check(self, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """Refuse or note everything else that the document says."""
        for name in metadata.keys() - {"name", "annotations"}:
            self._note(f"metadata.{name} is not kept")
        if "indicator" not in spec and "indicatorRef" not in spec:
            self._refuse("spec.indicator", "it is missing")
        for path, known in _FIELDS.items():
            node = spec if path == "spec" else _first(spec.get("objectives"))
            for name in node.keys() - known:
                self._refuse(f"{path}.{name}", f"it is not a field of {VERSION}")
        method = spec.get("budgetingMethod")
        if method != "Occurrences":
            self._refuse("spec.budgetingMethod", f"{method!r} is not supported, only Occurrences")
        for path in _REASONS:
            if _present(self._document, path):
                self._refuse(path, _REASONS[path])

    def _mapping(self, parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        value = parent.get(name)
        if isinstance(value, Mapping):
            return value
        self._refuse(name, "it must be an object")
        return {}

    def _refuse(self, field: str, reason: str) -> None:
        self.problems.append(Problem(f"{self._title}: {field}", reason))

    def _note(self, text: str) -> None:
        self.notes.append(f"{self._title}: {text}")


def _field(setting: str) -> str:
    """The field of OpenSLO that a setting is read from."""
    if setting in _ANNOTATED:
        return f"metadata.annotations.{_PREFIX}{setting}"
    fields = {
        "name": "metadata.name",
        "target": "spec.objectives[0].target",
        "window": "spec.timeWindow[0].duration",
    }
    return fields.get(setting, f"spec.{setting}")


def _first(objectives: object) -> Mapping[str, Any]:
    first = objectives[0] if isinstance(objectives, list) and objectives else None
    return first if isinstance(first, Mapping) else {}


def _present(document: object, path: str) -> bool:
    """Whether the document has a field that is not empty."""
    node = document
    for step in _steps(path):
        if isinstance(step, int):
            if not isinstance(node, list) or len(node) <= step:
                return False
            node = node[step]
        elif isinstance(node, Mapping) and step in node:
            node = node[step]
        else:
            return False
    return node not in (None, [], {})


def _steps(path: str) -> Iterator[str | int]:
    for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", path):
        yield name
        if index:
            yield int(index)
