"""Infers the fields of a panel from its queries: table columns or series names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tools.checks.grafana import Override, Panel, Target
from tools.checks.label_inference import Labels, vector_labels
from tools.checks.promql import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Expression,
    PromqlError,
    Selector,
    parse,
)
from tools.checks.variables import filled
from tools.checks.vocabulary import Label, UnknownSeriesError, Vocabulary

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Column:
    """A column of a table: the values of a label, or of a query (then `label` is None)."""

    name: str
    label: Label | None
    target: Target | None


def expression_of(target: Target) -> Expression | None:
    """The parsed query with values for its variables; None if it is not valid PromQL."""
    try:
        return parse(filled(target.source))
    except PromqlError:
        return None


def labels_of_target(target: Target, vocabulary: Vocabulary) -> Labels | None:
    """The labels of a query's result; None for an invalid query, which has its own finding."""
    expression = expression_of(target)
    if expression is None:
        return None
    try:
        return vector_labels(expression, vocabulary)
    except (PromqlError, UnknownSeriesError):
        return None


def placeholders(text: str) -> list[str]:
    """The labels in a legend or annotation text."""
    return _PLACEHOLDER.findall(text)


def raw_columns(panel: Panel, vocabulary: Vocabulary) -> dict[str, Column]:
    """The columns of a panel's queries before transformations, named as by the Prometheus data source."""
    found = {"Time": Column("Time", None, None)}
    for target in panel.targets:
        expression = expression_of(target)
        if expression is not None and _keeps_name(expression):
            found["__name__"] = Column("__name__", Label(), target)
        for name, label in (labels_of_target(target, vocabulary) or {}).items():
            found[name] = Column(name, label, target)
        value = "Value" if len(panel.targets) == 1 else f"Value #{target.ref}"
        found[value] = Column(value, None, target)
    return found


def _keeps_name(expression: Expression) -> bool:
    """Whether the result has metric names, which a table shows as a label."""
    match expression:
        case Selector() | Call(function="last_over_time"):
            return True
        case Aggregation(operation="topk" | "bottomk" | "limitk"):
            return _keeps_name(expression.argument)
        case Call(function="sort" | "sort_desc" | "label_replace" | "label_join"):
            return _keeps_name(expression.arguments[0])
        case Binary(operator=operator) if operator in (*SET_OPERATORS, *COMPARISONS) and not expression.returns_bool:
            return _keeps_name(expression.left) or (operator == "or" and _keeps_name(expression.right))
        case _:
            return False


def columns(panel: Panel, vocabulary: Vocabulary) -> dict[str, Column]:
    """The columns of a table by heading, after the transformation `organize`."""
    found = raw_columns(panel, vocabulary)
    for options in panel.transformations("organize"):
        excluded = {name for name, out in options.get("excludeByName", {}).items() if out}
        names: Mapping[str, str] = options.get("renameByName", {})
        found = {(names.get(name) or name): column for name, column in found.items() if name not in excluded}
    return found


def matches_a_field(panel: Panel, override: Override, vocabulary: Vocabulary) -> bool:
    """Whether an override matches a field."""
    if not panel.is_table:
        return bool(changed_targets(panel, override, vocabulary))
    found = columns(panel, vocabulary).items()
    return any(column.target is not None and _hits(override, name, column.target) for name, column in found)


def changed_targets(panel: Panel, override: Override, vocabulary: Vocabulary) -> list[Target]:
    """The queries whose values an override changes; label columns are ignored."""
    if not panel.is_table:
        return [target for target in panel.targets if _hits(override, target.legend, target)]
    numbers = {name: column.target for name, column in columns(panel, vocabulary).items() if column.label is None}
    return [target for name, target in numbers.items() if target is not None and _hits(override, name, target)]


def _hits(override: Override, name: str, target: Target) -> bool:
    match override.matcher:
        case "byName":
            return _can_be(name, str(override.options))
        case "byFrameRefID":
            return bool(override.options == target.ref)
        case "byRegexp":
            return _regex(str(override.options)).search(name) is not None
        case _:
            return False


def _regex(pattern: str) -> re.Pattern[str]:
    """As in Grafana: between slashes it may match a part of a name, otherwise the whole name."""
    found = re.fullmatch(r"/(.*)/([a-z]*)", pattern, re.DOTALL)
    if found is None:
        return re.compile(f"^{pattern}$")
    return re.compile(found[1], re.IGNORECASE if "i" in found[2] else 0)


def _can_be(legend: str, name: str) -> bool:
    """Whether a legend can result in this name, with any values of its placeholders."""
    pattern = "(.*)".join(re.escape(part) for part in re.split(r"\{\{.*?\}\}", legend))
    return re.fullmatch(pattern, name) is not None
