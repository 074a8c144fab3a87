"""The file of variables is parsed as kubectl parses it."""

import pytest

from trust_ops.site_config import RenderError
from trust_ops.site_config.env_file import parse


def test_everything_after_the_first_equals_sign_is_the_value() -> None:
    text = "A=b=c\nB= d \nC='e'\nD=f # g\nE=\n"
    assert parse(text, {}).values == {"A": "b=c", "B": " d ", "C": "'e'", "D": "f # g", "E": ""}


def test_comments_blank_lines_and_leading_spaces_are_ignored() -> None:
    assert parse("# A=1\n\n  \t\n   # B=2\n  C=3\n", {}).values == {"C": "3"}


def test_windows_line_ends_and_a_byte_order_mark_are_ignored() -> None:
    assert parse("\ufeffA=1\r\nB=2\r\n", {}).values == {"A": "1", "B": "2"}


def test_a_name_alone_takes_the_value_of_the_environment() -> None:
    assert parse("A\nB\n", {"A": "from outside"}).values == {"A": "from outside", "B": ""}


@pytest.mark.parametrize("line", ["export A=1", "A =1", "1A=2", "=3", "Ä=1", "\ufeffB=1"])
def test_lines_that_kubectl_rejects_are_named(line: str) -> None:
    with pytest.raises(RenderError, match=r"line 2: write NAME=value"):
        parse(f"FIRST=1\n{line}\n", {})


def test_a_duplicate_name_is_rejected() -> None:
    with pytest.raises(RenderError, match=r"line 3: A is defined twice"):
        parse("A=1\nB=2\nA=3\n", {})


def test_all_invalid_lines_are_reported_at_once() -> None:
    with pytest.raises(RenderError) as error:
        parse("export A=1\nB=2\nC D=3\n", {})
    assert [problem.subject for problem in error.value.problems] == ["line 1", "line 3"]


def test_quotes_give_a_warning_that_does_not_show_the_value() -> None:
    (warning,) = parse('A="hidden"\nB=no "quotes" around\nC="\n', {}).warnings
    assert "line 1" in warning
    assert "quotes are part of the value of A" in warning
    assert "hidden" not in warning
