"""Checks of an expression in a rule, panel or runbook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tools.checks.bounds import bounds_of, holds
from tools.checks.label_inference import (
    PRESENCE_FUNCTIONS,
    RATE_FUNCTIONS,
    TREND_FUNCTIONS,
    Labels,
    identity,
    joined_on,
    kind_of,
    labels_of,
    narrowed,
    vector_labels,
)
from tools.checks.promql import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Matching,
    PromqlError,
    Range,
    Selector,
    Subquery,
    constant,
    parse,
    text,
    walk,
)
from tools.checks.regex import alternatives, is_plain, matches
from tools.checks.vocabulary import Bounds, Series, UnknownSeriesError, Vocabulary, spellings_of

Check = Callable[[Expression, Vocabulary], Iterator[str]]

_SAMPLES = 4
_SAMPLES_OF_PRESENCE = 2


@dataclass(frozen=True)
class Finding:
    """A finding of a check."""

    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"


def check_query(source: str, vocabulary: Vocabulary) -> list[Finding]:
    """Findings in a query; for an invalid query only that."""
    try:
        expression = parse(source)
    except PromqlError as error:
        return [Finding("syntax", str(error))]
    return check_expression(expression, vocabulary)


def check_expression(expression: Expression, vocabulary: Vocabulary) -> list[Finding]:
    """As `check_query`, for a parsed expression."""
    try:
        labels_of(expression, vocabulary)
    except UnknownSeriesError as error:
        return [Finding("series", str(error))]
    except PromqlError as error:
        return [Finding("syntax", str(error))]
    return [Finding(name, message) for name, check in QUERY_CHECKS.items() for message in check(expression, vocabulary)]


def known_labels_and_values(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """Matchers use labels of the metric, with values that the label can have."""
    for selector in _selectors(expression):
        series = vocabulary[selector.name]
        found = [message for matcher in selector.matchers for message in _unknown(series, matcher)]
        yield from found
        left = narrowed(series.labels, selector.matchers)
        if not found and any(label.values is not None and not label.values for label in left.values()):
            yield f"{text(selector)} matches nothing: its matchers exclude each other"


def _unknown(series: Series, matcher: Matcher) -> Iterator[str]:
    if matcher.name not in series.labels:
        yield f"{series.name} has no label {matcher.name}, only {', '.join(sorted(series.labels))}"
    elif series.labels[matcher.name].values is not None:
        yield from _unknown_values(series, matcher)


def _unknown_values(series: Series, matcher: Matcher) -> Iterator[str]:
    known = series.labels[matcher.name].values or frozenset()
    if matcher.operator in ("=", "!="):
        if matcher.value and matcher.value not in known:
            yield f"{series.name}: {matcher.name} is never {matcher.value!r}, only {_some(known)}"
        return
    for pattern in alternatives(matcher.value):
        if pattern and not any(matches(pattern, value) for value in known):
            yield f"{series.name}: no value of {matcher.name} matches {pattern!r}; there are {_some(known)}"


def _some(values: frozenset[str]) -> str:
    shown = sorted(values)[:20]
    return ", ".join(shown) + (", …" if len(values) > len(shown) else "")


def known_result_labels(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """by, without, on, ignoring, group_left and group_right use existing labels."""
    for part in walk(expression):
        if isinstance(part, Aggregation) and part.grouping is not None:
            labels = vector_labels(part.argument, vocabulary)
            word = "by" if part.grouping.by else "without"
            for name in part.grouping.labels:
                if name not in labels:
                    yield f"{word} ({name}): {text(part.argument)} has no label {name}"
        if isinstance(part, Binary) and part.matching is not None:
            yield from _unknown_matching_labels(part, part.matching, vocabulary)
        if isinstance(part, Call) and part.function in ("label_replace", "label_join"):
            yield from _unknown_sources(part, vocabulary)


def _unknown_matching_labels(part: Binary, matching: Matching, vocabulary: Vocabulary) -> Iterator[str]:
    left, right = vector_labels(part.left, vocabulary), vector_labels(part.right, vocabulary)
    word = "on" if matching.on else "ignoring"
    for name in matching.labels:
        lacking = [text(side) for side, labels in ((part.left, left), (part.right, right)) if name not in labels]
        if lacking and (matching.on or len(lacking) == 2):
            yield f"{word} ({name}): {' and '.join(lacking)} has no label {name}"
    one_side = right if matching.many == "left" else left
    for name in matching.include:
        if name not in one_side:
            yield f"group_{matching.many} ({name}): the one side has no label {name}"


def _unknown_sources(part: Call, vocabulary: Vocabulary) -> Iterator[str]:
    texts = [getattr(argument, "value", "") for argument in part.arguments[1:]]
    sources = texts[2:3] if part.function == "label_replace" else texts[2:]
    labels = vector_labels(part.arguments[0], vocabulary)
    for name in sources:
        if name and name not in labels:
            yield f"{part.function}: {text(part.arguments[0])} has no label {name}"


def possible_joins(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """The sides of an operator can match, with at most one series on the "one" side."""
    for part in walk(expression):
        if not isinstance(part, Binary) or part.operator == "or":
            continue
        left, right = labels_of(part.left, vocabulary), labels_of(part.right, vocabulary)
        if left is not None and right is not None:
            yield from _impossible(part, left, right)
            if part.operator not in SET_OPERATORS:
                yield from _ambiguous(part, left, right, vocabulary)


def _impossible(part: Binary, left: Labels, right: Labels) -> Iterator[str]:
    explicit = part.matching is not None and part.matching.on
    for name in sorted(joined_on(part.matching, left, right)):
        ours, theirs = left.get(name), right.get(name)
        if ours is None or theirs is None:
            present = ours or theirs
            if not explicit and present is not None and present.always:
                side = "left" if theirs is None else "right"
                yield f"{text(part)}: only the {side} side has the label {name}, so nothing matches"
        elif ours.values is not None and theirs.values is not None and not ours.values & theirs.values:
            yield f"{text(part)}: {name} is never equal on both sides"


def _ambiguous(part: Binary, left: Labels, right: Labels, vocabulary: Vocabulary) -> Iterator[str]:
    on = joined_on(part.matching, left, right)
    many = None if part.matching is None else part.matching.many
    for side, labels in (("left", left), ("right", right)):
        rest = sorted(identity(labels, vocabulary) - on - _determined(on & set(labels), vocabulary))
        if side != many and rest:
            yield (
                f"{text(part)}: several series of the {side} side can have the same "
                f"{', '.join(sorted(on)) or 'labels'}; they differ in {', '.join(rest)}"
            )


def _determined(names: frozenset[str], vocabulary: Vocabulary) -> frozenset[str]:
    return frozenset(other for name in names for other in vocabulary.determined.get(name, ()))


def rates_of_counters(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """rate() and similar read counters, delta() and similar gauges, and neither a sum or recorded rate."""
    for part in walk(expression):
        if not isinstance(part, Call) or part.function not in RATE_FUNCTIONS | TREND_FUNCTIONS:
            continue
        argument = next(a for a in part.arguments if isinstance(a, Range | Subquery))
        wants = "counter" if part.function in RATE_FUNCTIONS else "gauge"
        if isinstance(argument, Range):
            if vocabulary[argument.selector.name].kind != wants:
                yield f"{part.function}() needs a {wants}, but {argument.selector.name} is not one"
        elif wants == "counter":
            yield f"{part.function}() over {text(argument)} misses counter resets; apply {part.function}() first"


def rated_counters(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """The value of a counter is not used in a comparison."""
    for part in walk(expression):
        if isinstance(part, Binary) and part.operator in COMPARISONS:
            for side, other in ((part.left, part.right), (part.right, part.left)):
                if constant(other) is not None and kind_of(side, vocabulary) == "counter":
                    yield f"{text(part)}: compares a counter; compare its increase() or rate()"


def long_ranges(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A range covers four samples, or two for functions that need only one."""
    for part in walk(expression):
        if not isinstance(part, Call):
            continue
        needed = _SAMPLES_OF_PRESENCE if part.function in PRESENCE_FUNCTIONS else _SAMPLES
        for argument in part.arguments:
            if isinstance(argument, Range):
                interval = vocabulary[argument.selector.name].interval
            elif isinstance(argument, Subquery):
                interval = argument.step or vocabulary.evaluation_interval
            else:
                continue
            if argument.seconds < needed * interval:
                yield (
                    f"{part.function}({text(argument)}): {argument.seconds:g} s have fewer than {needed} samples "
                    f"at an interval of {interval:g} s"
                )


def whole_histograms(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """Buckets are read by histogram_quantile, with `le`, or as a single bucket, in all spellings of its bound."""
    quantiles = [part.arguments[1] for part in walk(expression) if isinstance(part, Call) and _is_quantile(part)]
    for argument in quantiles:
        if "le" not in vector_labels(argument, vocabulary):
            yield f"histogram_quantile needs the label le, but {text(argument)} has none"
    read = {id(selector) for argument in quantiles for selector in _selectors(argument)}
    for selector in _selectors(expression):
        series = vocabulary[selector.name]
        chosen = [matcher for matcher in selector.matchers if matcher.name == "le"]
        if series.buckets and not chosen and id(selector) not in read:
            yield f"{series.name}: buckets are cumulative; use histogram_quantile, _count, or one le"
        for matcher in chosen:
            yield from _spelling(series, matcher)


def _spelling(series: Series, matcher: Matcher) -> Iterator[str]:
    for bound in series.buckets:
        spellings = spellings_of(bound)
        accepted = [
            matcher.value == spelling if matcher.operator in ("=", "!=") else matches(matcher.value, spelling)
            for spelling in spellings
        ]
        if any(accepted) and not all(accepted):
            yield f"le{matcher.operator}{matcher.value!r} must match all spellings: {' and '.join(spellings)}"


def _is_quantile(part: Call) -> bool:
    return part.function == "histogram_quantile"


def possible_comparisons(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A comparison is neither always true nor always false."""
    for part in walk(expression):
        if isinstance(part, Binary) and part.operator in COMPARISONS:
            left, right = bounds_of(part.left, vocabulary), bounds_of(part.right, vocabulary)
            held = holds(part.operator, left, right)
            if held is not None:
                how = "always" if held else "never"
                yield f"{text(part)} is {how} true: the left side is {_as_text(left)}, the right {_as_text(right)}"


def _as_text(bounds: Bounds) -> str:
    if bounds.low == bounds.high:
        return f"{bounds.low:g}"
    return f"from {bounds.low:g} to {bounds.high:g}" + ("" if bounds.zero else ", never 0")


def finite_aggregations(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """No division by a possible 0 inside an aggregation: one NaN or Inf would spoil the whole result."""
    for part in walk(expression):
        # min() ignores both.
        if not isinstance(part, Aggregation) or part.operation == "min":
            continue
        for inner in walk(part.argument):
            if isinstance(inner, Binary) and inner.operator == "/":
                divisor = bounds_of(inner.right, vocabulary)
                if divisor.zero and divisor.low <= 0 <= divisor.high:
                    yield f"{part.operation}(): {text(inner.right)} may be 0; filter it with > 0"


def needed_regexes(expression: Expression, _: Vocabulary) -> Iterator[str]:
    """Regular expressions are used only where = is not sufficient."""
    for selector in _selectors(expression):
        for matcher in selector.matchers:
            if matcher.operator not in ("=~", "!~"):
                continue
            if is_plain(matcher.value):
                plain = "=" if matcher.operator == "=~" else "!="
                yield f"{matcher.name}{matcher.operator}{matcher.value!r}: no special characters; use {plain}"
            elif matcher.value.startswith("^") or matcher.value.endswith("$"):
                yield f"{matcher.name}{matcher.operator}{matcher.value!r}: ^ and $ are implicit"
            elif matcher.value in (".*", ".+"):
                yield f'{matcher.name}{matcher.operator}{matcher.value!r}: use {matcher.name}!="", or no matcher'


def _selectors(expression: Expression) -> Iterator[Selector]:
    return (part for part in walk(expression) if isinstance(part, Selector))


QUERY_CHECKS: Mapping[str, Check] = {
    "series": known_labels_and_values,
    "labels": known_result_labels,
    "join": possible_joins,
    "rate": rates_of_counters,
    "counter": rated_counters,
    "range": long_ranges,
    "histogram": whole_histograms,
    "impossible": possible_comparisons,
    "nan": finite_aggregations,
    "regex": needed_regexes,
}
"""By the name of the check, as used in findings and silencing comments. `syntax` is an additional name."""
