"""Checks of one expression, wherever it stands: in a rule, a panel of a dashboard, or a runbook."""

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
    """What a check has to say."""

    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"


def check_query(source: str, vocabulary: Vocabulary) -> list[Finding]:
    """What is wrong with a query; where it cannot be understood, only that."""
    try:
        expression = parse(source)
    except PromqlError as error:
        return [Finding("syntax", str(error))]
    return check_expression(expression, vocabulary)


def check_expression(expression: Expression, vocabulary: Vocabulary) -> list[Finding]:
    """As `check_query`, of what is parsed already."""
    try:
        labels_of(expression, vocabulary)
    except UnknownSeriesError as error:
        return [Finding("series", str(error))]
    except PromqlError as error:
        return [Finding("syntax", str(error))]
    return [Finding(name, message) for name, check in QUERY_CHECKS.items() for message in check(expression, vocabulary)]


def known_labels_and_values(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A matcher names a label of the metric, and a value that the label can have."""
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
    """by, without, on, ignoring, group_left and group_right name labels that are there."""
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
    """The two sides of an operator can have series with equal labels, and one of them at most on the one side."""
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
                yield f"{text(part)}: only the {side} side has the label {name}, so that nothing ever matches"
        elif ours.values is not None and theirs.values is not None and not ours.values & theirs.values:
            yield f"{text(part)}: {name} is never the same on both sides"


def _ambiguous(part: Binary, left: Labels, right: Labels, vocabulary: Vocabulary) -> Iterator[str]:
    on = joined_on(part.matching, left, right)
    many = None if part.matching is None else part.matching.many
    for side, labels in (("left", left), ("right", right)):
        rest = sorted(identity(labels, vocabulary) - on - _settled(on & set(labels), vocabulary))
        if side != many and rest:
            yield (
                f"{text(part)}: several series of the {side} side can have the same "
                f"{', '.join(sorted(on)) or 'labels'}; they differ in {', '.join(rest)}"
            )


def _settled(names: frozenset[str], vocabulary: Vocabulary) -> frozenset[str]:
    return frozenset(other for name in names for other in vocabulary.determined.get(name, ()))


def rates_of_counters(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """rate() and its like read counters, delta() and its like gauges, and neither reads a sum or a recorded rate."""
    for part in walk(expression):
        if not isinstance(part, Call) or part.function not in RATE_FUNCTIONS | TREND_FUNCTIONS:
            continue
        argument = next(a for a in part.arguments if isinstance(a, Range | Subquery))
        wants = "counter" if part.function in RATE_FUNCTIONS else "gauge"
        if isinstance(argument, Range):
            if vocabulary[argument.selector.name].kind != wants:
                yield f"{part.function}() needs a {wants}, and {argument.selector.name} is none"
        elif wants == "counter":
            yield f"{part.function}() over {text(argument)} sees no restarts; take the {part.function}() first"


def rated_counters(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """What a counter has counted since its start is compared with nothing."""
    for part in walk(expression):
        if isinstance(part, Binary) and part.operator in COMPARISONS:
            for side, other in ((part.left, part.right), (part.right, part.left)):
                if constant(other) is not None and kind_of(side, vocabulary) == "counter":
                    yield f"{text(part)}: a counter grows until its process restarts; compare its increase() or rate()"


def long_ranges(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A range holds four samples, or two where one is enough."""
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
                    f"{part.function}({text(argument)}): {argument.seconds:g} s hold fewer than {needed} samples "
                    f"at an interval of {interval:g} s"
                )


def whole_histograms(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """Buckets are read by histogram_quantile, which needs `le`, or one of them, however its bound is written."""
    quantiles = [part.arguments[1] for part in walk(expression) if isinstance(part, Call) and _is_quantile(part)]
    for argument in quantiles:
        if "le" not in vector_labels(argument, vocabulary):
            yield f"histogram_quantile needs the label le, and {text(argument)} has none"
    read = {id(selector) for argument in quantiles for selector in _selectors(argument)}
    for selector in _selectors(expression):
        series = vocabulary[selector.name]
        chosen = [matcher for matcher in selector.matchers if matcher.name == "le"]
        if series.buckets and not chosen and id(selector) not in read:
            yield f"{series.name}: each bucket counts the lower ones again; use histogram_quantile, _count, or one le"
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
            yield f"le{matcher.operator}{matcher.value!r} misses a way to write it: {' and '.join(spellings)}"


def _is_quantile(part: Call) -> bool:
    return part.function == "histogram_quantile"


def possible_comparisons(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """A comparison can hold, and can fail."""
    for part in walk(expression):
        if isinstance(part, Binary) and part.operator in COMPARISONS:
            left, right = bounds_of(part.left, vocabulary), bounds_of(part.right, vocabulary)
            held = holds(part.operator, left, right)
            if held is not None:
                how = "always" if held else "never"
                yield f"{text(part)} is {how} true: the left side is {_spoken(left)}, the right {_spoken(right)}"


def _spoken(bounds: Bounds) -> str:
    if bounds.low == bounds.high:
        return f"{bounds.low:g}"
    return f"from {bounds.low:g} to {bounds.high:g}" + ("" if bounds.zero else ", never 0")


def finite_aggregations(expression: Expression, vocabulary: Vocabulary) -> Iterator[str]:
    """Nothing is divided by what may be 0 inside an aggregation: one NaN or Inf spoils the result for all."""
    for part in walk(expression):
        # min() passes over both.
        if not isinstance(part, Aggregation) or part.operation == "min":
            continue
        for inner in walk(part.argument):
            if isinstance(inner, Binary) and inner.operator == "/":
                divisor = bounds_of(inner.right, vocabulary)
                if divisor.zero and divisor.low <= 0 <= divisor.high:
                    yield f"{part.operation}(): {text(inner.right)} may be 0; filter it with > 0"


def needed_regexes(expression: Expression, _: Vocabulary) -> Iterator[str]:
    """A regular expression says what = cannot say."""
    for selector in _selectors(expression):
        for matcher in selector.matchers:
            if matcher.operator not in ("=~", "!~"):
                continue
            if is_plain(matcher.value):
                plain = "=" if matcher.operator == "=~" else "!="
                yield f"{matcher.name}{matcher.operator}{matcher.value!r}: nothing in it is special; use {plain}"
            elif matcher.value.startswith("^") or matcher.value.endswith("$"):
                yield f"{matcher.name}{matcher.operator}{matcher.value!r} is anchored without ^ and $"
            elif matcher.value in (".*", ".+"):
                yield f'{matcher.name}{matcher.operator}{matcher.value!r}: use {matcher.name}!="", or nothing'


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
"""By the name that a finding has and a comment silences; `syntax` comes on top."""
