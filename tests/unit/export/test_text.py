"""Text from outside is made safe to display."""

from __future__ import annotations

import unicodedata

import pytest

from trust_otel.text import visible_text


@pytest.mark.parametrize(
    "text", ["plain", "Süd 日本\u3000語", "naïve — “quoted” 1\u00a0km", "⚠\ufe0f 🚀", "עברית العربية", ""]
)
def test_visible_text_is_unchanged(text: str) -> None:
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
def test_invisible_characters_are_escaped(text: str, shown: str) -> None:
    assert visible_text(text) == shown


def test_kept_characters_are_unchanged() -> None:
    assert visible_text("a\nb\r\n", keep="\n") == "a\nb\\r\n"


def test_all_control_and_format_characters_are_escaped() -> None:
    every = "".join(map(chr, range(0x110000)))
    left = {c for c in visible_text(every) if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}}
    assert left == set()
    # Visible: marks of letters in Arabic, Syriac, Kaithi, Egyptian hieroglyphs and shorthand.
    visible = {
        c
        for c in visible_text(every)
        if unicodedata.category(c) == "Cf" and unicodedata.bidirectional(c) not in {"AN", "AL", "L"}
    }
    assert visible <= set("\U00013430")
