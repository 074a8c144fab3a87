"""Text from outside, as it is shown to people."""

from __future__ import annotations

import unicodedata

import pytest

from trust_otel.text import visible_text


@pytest.mark.parametrize(
    "text", ["plain", "Süd 日本\u3000語", "naïve — “quoted” 1\u00a0km", "⚠\ufe0f 🚀", "עברית العربية", ""]
)
def test_what_can_be_seen_stays(text: str) -> None:
    assert visible_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]8;;http://evil\x07x", r"\x1b]8;;http://evil\x07x"),
        ("a\rb\nc\td", r"a\rb\nc\td"),
        ("\x9b31m", r"\x9b31m"),
        ("\x7f\x00", r"\x7f\x00"),
        ("invoice\u202egpj.exe", r"invoice\u202egpj.exe"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("pass\u200bword\ufeff\u2060", r"pass\u200bword\ufeff\u2060"),
        ("\ud83d", r"\ud83d"),
        ("\U000e0041", r"\U000e0041"),
        ("\u3164", r"\u3164"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible_text(text) == shown


def test_lines_stay_where_they_are_meant_to_be() -> None:
    assert visible_text("a\nb\r\n", keep="\n") == "a\nb\\r\n"


def test_no_control_and_no_format_character_is_left() -> None:
    every = "".join(map(chr, range(0x110000)))
    left = {c for c in visible_text(every) if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}}
    assert left == set()
    # Those of Arabic, Syriac, Kaithi, Egyptian and shorthand are letters' marks, which can be seen.
    visible = {
        c
        for c in visible_text(every)
        if unicodedata.category(c) == "Cf" and unicodedata.bidirectional(c) not in {"AN", "AL", "L"}
    }
    assert visible <= set("\U00013430")
