"""Regular expressions in label matchers."""

import pytest

from tools.checks.regex import alternatives, is_plain, matches


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ["a"]),
        ("a|b", ["a", "b"]),
        ("a|", ["a", ""]),
        (r"a\|b", [r"a\|b"]),
        ("(a|b)|c", ["(a|b)", "c"]),
        ("[|]|c", ["[|]", "c"]),
        (r"\(|b", [r"\(", "b"]),
    ],
)
def test_top_level_alternatives(pattern: str, expected: list[str]) -> None:
    assert alternatives(pattern) == expected


def test_matches_are_anchored_at_both_ends() -> None:
    assert matches("5..", "503")
    assert not matches("5..", "5030")
    assert matches("a|bc", "bc")
    assert not matches("a|bc", "abc")


def test_patterns_without_metacharacters_are_plain() -> None:
    assert is_plain("otel-collector")
    assert not is_plain("5..")
    assert not is_plain(r"a\d")
