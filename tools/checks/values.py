"""Infers whether an expression's value is a ratio or a whole number."""

from __future__ import annotations

from collections.abc import Iterator

from tools.checks.promql import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Range,
    Selector,
    Subquery,
    constant,
    parts,
)
from tools.checks.vocabulary import Vocabulary

_SAME_UNIT = frozenset({"avg", "max", "min", "quantile", "topk", "bottomk", "label_replace", "label_join"}) | {
    *("avg_over_time", "last_over_time", "max_over_time", "min_over_time", "quantile_over_time"),
    *("clamp", "clamp_max", "clamp_min", "round"),
}
_WHOLE = frozenset({"absent", "absent_over_time", "ceil", "changes", "count", "count_over_time", "floor", "group"}) | {
    *("present_over_time", "resets", "sgn", "vector"),
}
_FRACTION_SUFFIXES = ("_seconds", "_ratio", "_bytes", "_seconds_sum", "_seconds_total")


def values_of(expression: Expression) -> Iterator[Expression]:
    """The parts whose values are the result's: operands of comparisons, and both sides of `or`."""
    match expression:
        case Binary(operator="or"):
            yield from values_of(expression.left)
            yield from values_of(expression.right)
        case Binary(operator="and" | "unless"):
            yield from values_of(expression.left)
        case Binary(operator=operator) if operator in COMPARISONS and not expression.returns_bool:
            number_left = constant(expression.left) is not None
            yield from values_of(expression.right if number_left else expression.left)
        case Call(function="label_replace" | "label_join"):
            yield from values_of(expression.arguments[0])
        case _:
            yield expression


def is_ratio(expression: Expression, vocabulary: Vocabulary) -> bool:
    """Whether the value is a ratio of two amounts of the same kind."""
    match expression:
        case Selector():
            recordings = vocabulary[expression.name].recordings
            if recordings:
                return all(is_ratio(value, vocabulary) for _, each in recordings for value in values_of(each))
            return expression.name.endswith("_ratio")
        case Range():
            return is_ratio(expression.selector, vocabulary)
        case Subquery():
            return is_ratio(expression.argument, vocabulary)
        case Aggregation(operation=operation) if operation in _SAME_UNIT:
            return all(is_ratio(value, vocabulary) for value in values_of(expression.argument))
        case Call(function=function) if function in _SAME_UNIT:
            return any(is_ratio(argument, vocabulary) for argument in expression.arguments)
        case Binary(operator="-") if constant(expression.left) == 1:
            return is_ratio(expression.right, vocabulary)
        case Binary(operator="/"):
            return _divides_like_by_like(expression)
        case _:
            return False


def _divides_like_by_like(expression: Binary) -> bool:
    if constant(expression.left) is not None or constant(expression.right) is not None:
        return False
    # A histogram's _sum by its _count is an average; money or CPU time by a number of events is a cost per event.
    return _amounts_read(expression.left) == _amounts_read(expression.right)


def _amounts_read(expression: Expression) -> set[str]:
    names = {part.name for part in _counting(expression) if isinstance(part, Selector)}
    sums = {"sum" for name in names if name.endswith("_sum")}
    return sums | {kind for kind in ("_amount", "_cpu_time_seconds") if any(kind in name for name in names)}


def _counting(expression: Expression) -> Iterator[Expression]:
    """The expression and its parts, without those multiplied by 0, which only select series."""
    if isinstance(expression, Binary) and expression.operator == "*" and constant(expression.right) == 0:
        return
    yield expression
    for part in parts(expression):
        yield from _counting(part)


def can_be_fraction(expression: Expression, vocabulary: Vocabulary) -> bool:
    """Whether the value can be a fraction."""
    match expression:
        case Selector():
            recordings = vocabulary[expression.name].recordings
            if recordings:
                return any(can_be_fraction(value, vocabulary) for _, each in recordings for value in values_of(each))
            return expression.name.endswith(_FRACTION_SUFFIXES)
        case Range():
            return can_be_fraction(expression.selector, vocabulary)
        case Subquery():
            return can_be_fraction(expression.argument, vocabulary)
        case Aggregation(operation=operation) if operation in ("max", "min", "sum", "topk", "bottomk"):
            return any(can_be_fraction(value, vocabulary) for value in values_of(expression.argument))
        case Aggregation(operation=operation) | Call(function=operation) if operation in _WHOLE:
            return False
        case Call(function="last_over_time" | "max_over_time" | "min_over_time"):
            return can_be_fraction(expression.arguments[0], vocabulary)
        case _:
            value = constant(expression)
            return value is None or value != int(value)
