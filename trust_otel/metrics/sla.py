"""Service level agreements: which events of a metric they cover, and which of those meet them.

    [sla.validation_fast]
    metric = "trust.certificate.operation.duration"
    where = { "trust.certificate.operation" = "validation" }    # a value or a list; `*` stands for anything
    failed = { "trust.outcome" = "error" }                      # not met, however fast
    threshold = 0.5                                             # met up to here, in the unit of the metric
    objective = 0.99                                            # share of the events that shall be met

Without `where` an SLA covers every event of the metric. At least one of `failed` and `threshold` is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final

from trust_otel.privacy.pii import looks_private
from trust_otel.recording.instruments import finite
from trust_otel.recording.labels import Labels
from trust_otel.semconv.attributes import TRUST_SLA_NAME
from trust_otel.semconv.definitions import Attribute, Metric
from trust_otel.semconv.metrics import ALL, HTTP_SERVER_REQUEST_BODY_SIZE, HTTP_SERVER_RESPONSE_BODY_SIZE
from trust_otel.toml_file import declarations, meant, raise_problems, shown

Selection = Mapping[str, tuple[str, ...]]

_METRICS: Final = {
    name: metric for name, metric in ALL.items() if metric.instrument == "histogram" and metric.unit in ("s", "By")
}
_BODY_SIZES: Final = (HTTP_SERVER_REQUEST_BODY_SIZE.name, HTTP_SERVER_RESPONSE_BODY_SIZE.name)
_KEYS: Final = ("metric", "where", "failed", "threshold", "objective")
_FAILED: Final = -1.0  # below every amount
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True)
class Sla:
    """A service level agreement on the events of one metric.

    Attributes:
        name: Value of `trust.sla.name`.
        metric: Name of a histogram of the vocabulary.
        objective: Share of events that shall be met, above 0 and up to 1.
        where: The values that each of these labels must have, for the SLA to cover an event.
        failed: Label values, any of which make an event one that is not met.
        threshold: Largest amount that is met, in the unit of the metric; `None` for any.
    """

    name: str
    metric: str
    objective: float
    where: Selection
    failed: Selection
    threshold: float | None = None

    def most(self, labels: Labels) -> float | None:
        """The largest amount that is met under these labels; `None` when the SLA does not cover them."""
        if not all(_has(labels, name, values) for name, values in self.where.items()):
            return None
        if any(_has(labels, name, values) for name, values in self.failed.items()):
            return _FAILED
        return inf if self.threshold is None else self.threshold


def _has(labels: Labels, name: str, values: tuple[str, ...]) -> bool:
    return name in labels and any(_fits(value, str(labels[name])) for value in values)


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text, re.DOTALL) is not None


def read_slas(path: str | Path, *, body_sizes: bool = True) -> tuple[Sla, ...]:
    """Read the SLAs of a TOML file.

    Args:
        path: The file.
        body_sizes: Whether the sizes of HTTP bodies are recorded.

    Raises:
        OSError: The file cannot be read.
        ValueError: The content is invalid; the message names each problem and a fix.
    """
    tables = declarations(
        path, "sla", "SLA", limit=TRUST_SLA_NAME.limit, setting="TRUST_OTEL_SLA_FILE", problems=_problems
    )
    if not body_sizes:
        raise_problems(
            f"SLA {shown(name)}: {table['metric']} is recorded only with TRUST_OTEL_HTTP_BODY_SIZES=true; set it"
            for name, table in tables.items()
            if table["metric"] in _BODY_SIZES
        )
    return tuple(_sla(name, table) for name, table in tables.items())


def _problems(name: str, table: object) -> Iterator[str]:
    if not _NAME.fullmatch(name) or looks_private(name):
        yield "take a name of letters, digits, `_`, `.` and `-` that is not anybody's data"
    if not isinstance(table, dict):
        yield f"{shown(table)} is not a table; write [sla.NAME] and its keys below"
        return
    for key in table:
        if key not in _KEYS:
            yield f"there is no key {shown(key)}{meant(key, _KEYS)}; the keys are {', '.join(_KEYS)}"
    if not table.get("failed") and "threshold" not in table:
        yield "every event would be met; set threshold or failed"
    metric = table.get("metric")
    if isinstance(metric, str) and metric in _METRICS:
        yield from _selection_problems(_METRICS[metric], table)
        yield from _threshold_problems(_METRICS[metric], table)
    else:
        yield (
            f"metric = {shown(metric)} cannot have an SLA{meant(metric, _METRICS)}; take one of {', '.join(_METRICS)}"
        )
    yield from _objective_problems(table)


def _threshold_problems(metric: Metric, table: Mapping[str, object]) -> Iterator[str]:
    if "threshold" in table:
        number = finite(table["threshold"])
        if number is None or number <= 0:
            unit = {"s": "seconds", "By": "bytes"}[metric.unit]
            yield f"threshold = {shown(table['threshold'])} is not usable; set a number of {unit} above 0"


def _objective_problems(table: Mapping[str, object]) -> Iterator[str]:
    share = finite(table.get("objective"))
    if share is None or not 0 < share <= 1:
        yield f"objective = {shown(table.get('objective'))} is not usable; set a share above 0 and up to 1, as 0.99"


def _selection_problems(metric: Metric, table: Mapping[str, object]) -> Iterator[str]:
    attributes = {attribute.name: attribute for attribute in metric.attributes}
    for key in ("where", "failed"):
        labels = table.get(key, {})
        if not isinstance(labels, dict):
            yield f"{key} = {shown(labels)} is no table; write {key} = {{ LABEL = VALUE }}"
            continue
        for name, value in _flat(labels):
            if name in attributes:
                yield from (f"{key}: {problem}" for problem in _value_problems(attributes[name], value))
            else:
                perhaps = meant(name, attributes)
                yield f"{key}: {metric.name} has no label {shown(name)}{perhaps}; take one of {', '.join(attributes)}"


def _value_problems(attribute: Attribute, value: object) -> Iterator[str]:
    values = value if isinstance(value, list) else [value]
    if not values:
        yield f"{attribute.name} has no value; write one, or a list"
    for one in values:
        if not isinstance(one, (str, int)) or isinstance(one, bool):
            yield f"{attribute.name} = {shown(one)} is neither a text nor a whole number"
        elif not _can_be(attribute, str(one)):
            choice = f": {', '.join(map(str, attribute.members))}" if attribute.members else f" ({attribute.pattern})"
            yield f"{attribute.name} is never {shown(one)}; take a value that it can have{choice}"


def _can_be(attribute: Attribute, pattern: str) -> bool:
    if _fits(pattern, attribute.other):
        return True
    if attribute.members:
        return any(_fits(pattern, str(member)) for member in attribute.members)
    return not attribute.pattern or "*" in pattern or re.fullmatch(attribute.pattern, pattern) is not None


def _sla(name: str, table: Mapping[str, Any]) -> Sla:
    threshold = table.get("threshold")
    return Sla(
        name=name,
        metric=table["metric"],
        objective=float(table["objective"]),
        where=_selection(table.get("where", {})),
        failed=_selection(table.get("failed", {})),
        threshold=None if threshold is None else float(threshold),
    )


def _selection(labels: Mapping[str, Any]) -> Selection:
    return {
        name: tuple(str(one) for one in (value if isinstance(value, list) else [value]))
        for name, value in _flat(labels)
    }


def _flat(labels: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Labels with their full names: without quotes, TOML reads `a.b = 1` as a table `a` that has a `b`."""
    for name, value in labels.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
