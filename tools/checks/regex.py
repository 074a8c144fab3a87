"""Regular expressions of matchers: fully anchored, in RE2 syntax as far as Python's `re` is equivalent."""

from __future__ import annotations

import functools
import re

_SPECIAL = re.compile(r"[][.*+?^$(){}|\\]")


def matches(pattern: str, value: str) -> bool:
    """Whether the whole value matches."""
    return _compiled(pattern).fullmatch(value) is not None


def is_plain(pattern: str) -> bool:
    """Whether the pattern has no special characters."""
    return _SPECIAL.search(pattern) is None


def alternatives(pattern: str) -> list[str]:
    """The alternatives between the `|` of the outermost level."""
    found, depth, escaped, in_class = [""], 0, False, False
    for letter in pattern:
        if letter == "|" and not (depth or escaped or in_class):
            found.append("")
            continue
        found[-1] += letter
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif in_class:
            in_class = letter != "]"
        elif letter == "[":
            in_class = True
        else:
            depth += (letter == "(") - (letter == ")")
    return found


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)
