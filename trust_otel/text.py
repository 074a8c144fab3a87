"""Text that every format can carry, and that shows all it contains."""

import re

# Control characters, and what reorders or hides text: bidirectional controls, zero-width characters, Unicode's line
# separators, and the other "default ignorable" characters; not the variation selectors of emoji.
_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def valid_text(text: str) -> str:
    """The text with `?` for each lone surrogate, which invalid bytes in the environment become, and UTF-8 has not."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def visible_text(text: str, keep: str = "") -> str:
    """The text with an escape sequence such as `\\x1b` or `\\u202e` for each character that cannot be seen.

    Text from outside could otherwise steer a terminal, add lines to a log, or show something else than it says. Blanks
    stay.

    Args:
        text: Any text.
        keep: Characters to leave as they are, such as a line feed where several lines are meant to be.
    """
    return _INVISIBLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode() if ord(character) > 0x7F else repr(character)[1:-1]
