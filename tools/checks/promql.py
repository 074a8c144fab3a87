"""PromQL as typed data: parse, traverse, change and format expressions.

Parentheses are not kept; `text` adds them where they are needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import singledispatch
from typing import Any, Literal, NamedTuple

import promql_parser
from promql_parser import (
    AggModifierType,
    LabelModifierType,
    MatchOp,
    VectorMatchCardinality,
)

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
SET_OPERATORS = ("and", "or", "unless")

_MATCH_OPERATORS: tuple[tuple[MatchOp, MatchOperator], ...] = (
    (MatchOp.Equal, "="),
    (MatchOp.NotEqual, "!="),
    (MatchOp.Re, "=~"),
    (MatchOp.NotRe, "!~"),
)

MatchOperator = Literal["=", "!=", "=~", "!~"]


class PromqlError(ValueError):
    """The expression is not valid PromQL, or the checks do not support it."""


@dataclass(frozen=True)
class Matcher:
    """A condition on a label."""

    name: str
    operator: MatchOperator
    value: str


@dataclass(frozen=True)
class Selector:
    """Series by name and labels; `offset` in seconds, `at` as written (`start()`, a Unix time)."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    offset: float = 0
    at: str | None = None


@dataclass(frozen=True)
class Range:
    """The samples of a selector over the last `seconds`."""

    selector: Selector
    seconds: float


@dataclass(frozen=True)
class Subquery:
    """An expression evaluated every `step` seconds (None: the evaluation interval) over the last `seconds`."""

    argument: Expression
    seconds: float
    step: float | None = None
    offset: float = 0
    at: str | None = None


@dataclass(frozen=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True)
class Text:
    """A string argument of a function."""

    value: str


@dataclass(frozen=True)
class Call:
    """A function call."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Grouping:
    """`by` or `without`."""

    by: bool
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Aggregation:
    """An aggregation; `parameter` is that of topk, quantile and similar."""

    operation: str
    argument: Expression
    grouping: Grouping | None = None
    parameter: Expression | None = None


@dataclass(frozen=True)
class Matching:
    """Vector matching: `on` or `ignoring`, and the "many" side."""

    on: bool
    labels: tuple[str, ...]
    many: Literal["left", "right"] | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binary:
    """A binary operation; a comparison with `returns_bool` returns 0 or 1 instead of dropping series."""

    operator: str
    left: Expression
    right: Expression
    matching: Matching | None = None
    returns_bool: bool = False


@dataclass(frozen=True)
class Negative:
    """Unary minus."""

    argument: Expression


Expression = Selector | Range | Subquery | Number | Text | Call | Aggregation | Binary | Negative


def parse(source: str) -> Expression:
    """Parse an expression.

    Raises:
        PromqlError: It is not valid PromQL, or the checks do not support it.
    """
    try:
        parsed = promql_parser.parse(source)
    except ValueError as error:
        raise PromqlError(f"not PromQL: {error}") from error
    return _converted(parsed)


def seconds(length: str) -> float:
    """Seconds of a duration such as `5m`. Raises PromqlError."""
    if re.fullmatch("0([smhdwy]|ms)?", length):
        return 0
    try:
        return promql_parser.parse_duration(length).total_seconds()
    except ValueError as error:
        raise PromqlError(f"{length!r} is not a duration: {error}") from error


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and all its parts, outer ones first."""
    yield expression
    for part in parts(expression):
        yield from walk(part)


def parts(expression: Expression) -> tuple[Expression, ...]:
    """The direct parts of an expression, including the selector of a Range."""
    found: list[Expression] = []
    for field in fields(expression):
        value = getattr(expression, field.name)
        candidates = value if isinstance(value, tuple) else (value,)
        found += [candidate for candidate in candidates if isinstance(candidate, _EXPRESSIONS)]
    return tuple(found)


class Variant(NamedTuple):
    """An expression with one part changed."""

    whole: Expression
    part: Expression
    changed: Expression


def variants(expression: Expression, changes: Callable[[Expression], Iterable[Expression]]) -> Iterator[Variant]:
    """One variant of the expression for each change that `changes` returns for a part."""
    for changed in changes(expression):
        yield Variant(changed, expression, changed)
    for field in fields(expression):
        value = getattr(expression, field.name)
        if isinstance(value, _EXPRESSIONS):
            for variant in variants(value, changes):
                yield variant._replace(whole=_with(expression, field.name, variant.whole))
        elif isinstance(value, tuple):
            for position, part in enumerate(value):
                if isinstance(part, _EXPRESSIONS):
                    for variant in variants(part, changes):
                        others = (*value[:position], variant.whole, *value[position + 1 :])
                        yield variant._replace(whole=_with(expression, field.name, others))


def _with(expression: Expression, field: str, value: object) -> Expression:
    values = {each.name: getattr(expression, each.name) for each in fields(expression)}
    return type(expression)(**{**values, field: value})


def constant(expression: Expression) -> float | None:
    """The value of a constant expression; None for others."""
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Negative):
        value = constant(expression.argument)
        return None if value is None else -value
    if isinstance(expression, Binary) and expression.operator in _ARITHMETIC:
        left, right = constant(expression.left), constant(expression.right)
        if left is not None and right is not None:
            return _ARITHMETIC[expression.operator](left, right)
    return None


def text(expression: Expression) -> str:
    """The expression as PromQL on one line."""
    return _text(expression)


@singledispatch
def _text(expression: Any) -> str:
    raise TypeError(type(expression))


@_text.register
def _(expression: Selector) -> str:
    matchers = ", ".join(f"{m.name}{m.operator}{json.dumps(m.value)}" for m in expression.matchers)
    braces = f"{{{matchers}}}" if matchers else ""
    return f"{expression.name}{braces}" + _times(expression.offset, expression.at)


@_text.register
def _(expression: Range) -> str:
    bare = replace(expression.selector, offset=0, at=None)
    times = _times(expression.selector.offset, expression.selector.at)
    return f"{_text(bare)}[{duration(expression.seconds)}]{times}"


@_text.register
def _(expression: Subquery) -> str:
    step = "" if expression.step is None else duration(expression.step)
    times = _times(expression.offset, expression.at)
    return f"{_operand(expression.argument)}[{duration(expression.seconds)}:{step}]{times}"


@_text.register
def _(expression: Number) -> str:
    value = float(expression.value)
    return str(int(value)) if value.is_integer() else repr(value)


@_text.register
def _(expression: Text) -> str:
    return json.dumps(expression.value)


@_text.register
def _(expression: Call) -> str:
    return f"{expression.function}({', '.join(_text(argument) for argument in expression.arguments)})"


@_text.register
def _(expression: Aggregation) -> str:
    grouping = expression.grouping
    words = expression.operation
    if grouping is not None:
        words += f" {'by' if grouping.by else 'without'} ({', '.join(grouping.labels)}) "
    parameter = "" if expression.parameter is None else f"{_text(expression.parameter)}, "
    return f"{words}({parameter}{_text(expression.argument)})"


@_text.register
def _(expression: Binary) -> str:
    words = expression.operator + (" bool" if expression.returns_bool else "")
    matching = expression.matching
    if matching is not None:
        words += f" {'on' if matching.on else 'ignoring'} ({', '.join(matching.labels)})"
        if matching.many is not None:
            words += f" group_{matching.many} ({', '.join(matching.include)})"
    return f"{_operand(expression.left)} {words} {_operand(expression.right)}"


@_text.register
def _(expression: Negative) -> str:
    return f"-{_operand(expression.argument)}"


def _operand(expression: Expression) -> str:
    written = _text(expression)
    return f"({written})" if isinstance(expression, Binary | Negative | Subquery) else written


def _times(offset: float, at: str | None) -> str:
    words = "" if at is None else f" @ {at}"
    if offset:
        words += f" offset {'-' if offset < 0 else ''}{duration(abs(offset))}"
    return words


def duration(length: float) -> str:
    """A duration in PromQL's format, such as `5m`."""
    return promql_parser.display_duration(timedelta(seconds=length))


_EXPRESSIONS = (Selector, Range, Subquery, Number, Text, Call, Aggregation, Binary, Negative)
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right if right else float("nan"),
    "^": lambda left, right: float(left**right),
}


@singledispatch
def _converted(node: Any) -> Expression:
    raise PromqlError(f"the checks do not support {type(node).__name__}")


@_converted.register
def _(node: promql_parser.ParenExpr) -> Expression:
    return _converted(node.expr)


@_converted.register
def _(node: promql_parser.NumberLiteral) -> Expression:
    return Number(node.val)


@_converted.register
def _(node: promql_parser.StringLiteral) -> Expression:
    return Text(node.val)


@_converted.register
def _(node: promql_parser.UnaryExpr) -> Expression:
    return Negative(_converted(node.expr))


@_converted.register
def _(node: promql_parser.Call) -> Expression:
    return Call(node.func.name, tuple(_converted(argument) for argument in node.args))


@_converted.register
def _(node: promql_parser.VectorSelector) -> Expression:
    return _selector(node)


@_converted.register
def _(node: promql_parser.MatrixSelector) -> Expression:
    return Range(_selector(node.vector_selector), node.range.total_seconds())


@_converted.register
def _(node: promql_parser.SubqueryExpr) -> Expression:
    if node.range is None:
        raise PromqlError("a subquery needs a range")
    return Subquery(
        argument=_converted(node.expr),
        seconds=node.range.total_seconds(),
        step=None if node.step is None else node.step.total_seconds(),
        offset=_offset(node.offset),
        at=_at(node.at),
    )


@_converted.register
def _(node: promql_parser.AggregateExpr) -> Expression:
    grouping = None
    if node.modifier is not None:
        grouping = Grouping(node.modifier.type == AggModifierType.By, tuple(node.modifier.labels))
    parameter = None if node.param is None else _converted(node.param)
    return Aggregation(str(node.op), _converted(node.expr), grouping, parameter)


@_converted.register
def _(node: promql_parser.BinaryExpr) -> Expression:
    returns_bool = node.modifier is not None and node.modifier.return_bool
    return Binary(str(node.op), _converted(node.lhs), _converted(node.rhs), _matching(node.modifier), returns_bool)


def _matching(modifier: promql_parser.BinModifier | None) -> Matching | None:
    if modifier is None:
        return None
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise PromqlError("the checks do not support fill modifiers")
    many: Literal["left", "right"] | None = None
    if modifier.card == VectorMatchCardinality.ManyToOne:
        many = "left"
    elif modifier.card == VectorMatchCardinality.OneToMany:
        many = "right"
    if modifier.matching is None:
        if many is not None:
            raise PromqlError("group_left and group_right need on or ignoring")
        return None
    on = modifier.matching.type == LabelModifierType.Include
    return Matching(on, tuple(modifier.matching.labels), many, tuple(modifier.group_labels or ()))


def _selector(node: promql_parser.VectorSelector) -> Selector:
    if node.matchers.or_matchers:
        raise PromqlError("the checks do not support matchers joined with or")
    matchers = tuple(
        Matcher(matcher.name, _match_operator(matcher.op), matcher.value) for matcher in node.matchers.matchers
    )
    names = [matcher for matcher in matchers if matcher.name == "__name__"]
    if node.name is None and (len(names) != 1 or names[0].operator != "="):
        raise PromqlError("the checks only support selectors with a metric name")
    if node.name is not None and names:
        raise PromqlError(f"{node.name}: a second metric name in braces")
    return Selector(
        name=node.name if node.name is not None else names[0].value,
        matchers=tuple(matcher for matcher in matchers if matcher.name != "__name__"),
        offset=_offset(node.offset),
        at=_at(node.at),
    )


def _match_operator(operator: MatchOp) -> MatchOperator:
    return next(written for known, written in _MATCH_OPERATORS if known == operator)


def _offset(offset: timedelta | None) -> float:
    return 0 if offset is None else offset.total_seconds()


def _at(modifier: promql_parser.AtModifier | None) -> str | None:
    if modifier is None:
        return None
    if modifier.at is not None:
        return repr(modifier.at.timestamp())
    return "start()" if modifier.type == promql_parser.AtModifierType.Start else "end()"
