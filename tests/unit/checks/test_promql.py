"""PromQL is parsed and formatted; unsupported expressions are errors."""

import pytest

from tools.checks.promql import (
    Binary,
    Number,
    PromqlError,
    Selector,
    constant,
    parse,
    parts,
    seconds,
    text,
    variants,
    walk,
)


@pytest.mark.parametrize(
    "source",
    [
        "up",
        'up{job="node", instance!~"a|b"} offset 5m',
        "max_over_time(up[1h] @ end() offset -5m)",
        "rate(a[5m])",
        "max_over_time((a > 1)[1h:1m] offset 1d)",
        "max_over_time(a[30m:])",
        "sum(a)",
        "sum by (x, y) (a)",
        "topk without (x) (3, a)",
        'count_values("version", a)',
        "a / on (x) group_left (y) b",
        "a * ignoring (x) group_right () b",
        "a > bool 0.5",
        "(a + b) * c",
        "a - (b - c)",
        "-a",
        "(-a) ^ 2",
        "a and b",
        "a unless on () b",
        r'label_replace(a, "x", "$1", "y", "\\d(.*)\"")',
        "histogram_quantile(0.95, sum by (le) (rate(a[5m])))",
        "vector(1)",
        "1e+100",
        "Inf",
    ],
)
def test_a_formatted_expression_parses_to_the_same_expression(source: str) -> None:
    assert parse(text(parse(source))) == parse(source)
    assert text(parse(text(parse(source)))) == text(parse(source))


def test_only_necessary_parentheses_are_written() -> None:
    assert text(parse("(((a)) + (b)) * (2)")) == "(a + b) * 2"
    assert text(parse("sum((a))")) == "sum(a)"


def test_comments_and_line_breaks_are_ignored() -> None:
    assert parse("a # the first\n  > 1") == parse("a > 1")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("sum(", "not PromQL"),
        ("a[5m", "not PromQL"),
        ("nonsense(a)", "not PromQL"),
        ('{job="a"}', "selectors with a metric name"),
        ('{__name__=~"a|b"}', "selectors with a metric name"),
        ('a{__name__="b"}', "not PromQL"),
        ('a{x="1" or y="2"}', "joined with or"),
        ("a + fill(0) b", "fill"),
    ],
)
def test_unsupported_expressions_are_errors(source: str, message: str) -> None:
    with pytest.raises(PromqlError, match=message):
        parse(source)


def test_a_metric_name_in_braces_is_accepted() -> None:
    assert parse('{__name__="a", x="1"}') == parse('a{x="1"}')


@pytest.mark.parametrize(("duration", "expected"), [("5m", 300), ("1h30m", 5400), ("0s", 0), ("1w", 604800)])
def test_durations_are_converted_to_seconds(duration: str, expected: float) -> None:
    assert seconds(duration) == expected


def test_invalid_duration_error_names_the_duration() -> None:
    with pytest.raises(PromqlError, match="'5 apples'"):
        seconds("5 apples")


@pytest.mark.parametrize(
    ("source", "expected"),
    [("14.4 * 0.001", 0.0144), ("1 - -2", 3), ("7 * 86400", 604800), ("1 / 4", 0.25), ("a", None), ("2 * a", None)],
)
def test_constant_expressions_are_evaluated(source: str, expected: float | None) -> None:
    assert constant(parse(source)) == (None if expected is None else pytest.approx(expected))


def test_walk_visits_every_part() -> None:
    found = [part.name for part in walk(parse("rate(a[5m]) / on (x) max(b > c)")) if isinstance(part, Selector)]
    assert found == ["a", "b", "c"]
    assert parts(parse("quantile(0.9, a)")) == (Selector("a"), Number(0.9))


def test_each_variant_changes_one_part() -> None:
    doubled = variants(
        parse("a > 2 and max_over_time(b[5m]) > 3"),
        lambda part: [Number(part.value * 2)] if isinstance(part, Number) else [],
    )
    assert [text(each.whole) for each in doubled] == [
        "(a > 4) and (max_over_time(b[5m]) > 3)",
        "(a > 2) and (max_over_time(b[5m]) > 6)",
    ]


def test_a_variant_of_the_whole_expression_contains_the_change() -> None:
    (variant,) = variants(parse("a > 1"), lambda part: [part.left] if isinstance(part, Binary) else [])
    assert tuple(map(text, variant)) == ("a", "a > 1", "a")
