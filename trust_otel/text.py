"""Makes text valid UTF-8, and invisible characters visible."""

import re

# Control characters, and characters that reorder or hide text: bidirectional controls, zero-width characters, Unicode's
# line separators, and the other "default ignorable" characters, except the variation selectors of emoji.
_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def valid_text(text: str) -> str:
    """Replace lone surrogates with `?`: invalid bytes in the environment become these, and UTF-8 cannot encode them."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def visible_text(text: str, keep: str = "") -> str:
    """Replace each invisible character, except spaces, with an escape sequence such as `\\x1b` or `\\u202e`.

    Otherwise text from outside could control a terminal, add lines to a log, or look like other text.

    Args:
        text: Any text.
        keep: Characters to leave unchanged, such as a line feed in text with several lines.
    """
    return _INVISIBLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode() if ord(character) > 0x7F else repr(character)[1:-1]
