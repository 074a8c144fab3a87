"""Which fields a panel has in the end: the columns of a table, or the names of series, from what its queries give."""

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
    """A column of a table: a label's values, or the numbers of a query (`label` is None then)."""

    name: str
    label: Label | None
    target: Target | None


def expression_of(target: Target) -> Expression | None:
    """The query as parsed, with values for its variables; None where it is no PromQL."""
    try:
        return parse(filled(target.source))
    except PromqlError:
        return None


def labels_of_target(target: Target, vocabulary: Vocabulary) -> Labels | None:
    """The labels of what a query results in; None where it cannot be understood, which the check of queries says."""
    expression = expression_of(target)
    if expression is None:
        return None
    try:
        return vector_labels(expression, vocabulary)
    except (PromqlError, UnknownSeriesError):
        return None


def placeholders(text: str) -> list[str]:
    """The labels that a legend, or a text of an annotation, reads."""
    return _PLACEHOLDER.findall(text)


def raw_columns(panel: Panel, vocabulary: Vocabulary) -> dict[str, Column]:
    """The columns of a panel's queries before transformations, by their names in Prometheus' data source."""
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
    """Whether the result has the names of series, which a table shows as one more label."""
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
    """The columns of a table by their headings, after `organize` has taken some away and renamed others."""
    found = raw_columns(panel, vocabulary)
    for options in panel.transformations("organize"):
        excluded = {name for name, out in options.get("excludeByName", {}).items() if out}
        names: Mapping[str, str] = options.get("renameByName", {})
        found = {(names.get(name) or name): column for name, column in found.items() if name not in excluded}
    return found


def matches_a_field(panel: Panel, override: Override, vocabulary: Vocabulary) -> bool:
    """Whether an override changes anything."""
    if not panel.is_table:
        return bool(changed_targets(panel, override, vocabulary))
    found = columns(panel, vocabulary).items()
    return any(column.target is not None and _hits(override, name, column.target) for name, column in found)


def changed_targets(panel: Panel, override: Override, vocabulary: Vocabulary) -> list[Target]:
    """The queries whose numbers an override changes; a table's column of labels is none of them."""
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
    """As Grafana reads it: between slashes it may match a part of a name, without them it matches all of it."""
    found = re.fullmatch(r"/(.*)/([a-z]*)", pattern, re.DOTALL)
    if found is None:
        return re.compile(f"^{pattern}$")
    return re.compile(found[1], re.IGNORECASE if "i" in found[2] else 0)


def _can_be(legend: str, name: str) -> bool:
    """Whether a name can come of a legend whose placeholders stand for anything."""
    pattern = "(.*)".join(re.escape(part) for part in re.split(r"\{\{.*?\}\}", legend))
    return re.fullmatch(pattern, name) is not None
