"""Addresses in STIX 2.1: of indicators that hold now, and as objects of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from math import inf
from typing import Any, Final

_LITERAL: Final = r"'(?:[^'\\]|\\.)*'"
_TERM: Final = re.compile(
    rf"ipv[46]-addr:value\s*(?:=|ISSUBSET|IN)\s*({_LITERAL}|\(\s*{_LITERAL}(?:\s*,\s*{_LITERAL})*\s*\))"
)
_LITERALS: Final = re.compile(_LITERAL)
# What makes a pattern more than a list of alternatives, so that an address alone does not fulfil it.
_MORE: Final = re.compile(r"\b(?:AND|NOT|FOLLOWEDBY|WITHIN|REPEATS|START|STOP)\b|[!<>]")


class Validity:
    """Tells what holds at a time, and when that changes next.

    Args:
        now: Unix time.

    Attributes:
        ends: Unix time at which something begins or ceases to hold; infinite when nothing does.
        lapsed: Whether something did not hold.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self.ends = inf
        self.lapsed = False

    def holds(self, value: Mapping[str, Any]) -> bool:
        """Whether an object is in force: not revoked, after `valid_from`, before `valid_until`.

        Raises:
            ValueError: A time is none.
        """
        begin, end = _unix_time(value.get("valid_from"), -inf), _unix_time(value.get("valid_until"), inf)
        revoked = value.get("revoked") is True
        if not revoked:
            self.ends = min(self.ends, *(time for time in (begin, end, inf) if time > self._now))
        holds = not revoked and begin <= self._now < end
        self.lapsed = self.lapsed or not holds
        return holds


def listed(value: Mapping[str, Any], validity: Validity) -> list[str]:
    """The addresses and networks that an object names; a malformed one gives an empty text, which is none."""
    kind = value.get("type")
    try:
        if kind in ("ipv4-addr", "ipv6-addr"):
            return [str(value.get("value", ""))]
        if kind == "indicator" and value.get("pattern_type", "stix") == "stix" and validity.holds(value):
            return _in_pattern(value.get("pattern"))
    except (TypeError, ValueError):
        return [""]
    return []


def _in_pattern(pattern: Any) -> list[str]:
    if _MORE.search(_LITERALS.sub("", pattern)):
        return []
    return [literal[1:-1] for term in _TERM.findall(pattern) for literal in _LITERALS.findall(term)]


def _unix_time(text: Any, otherwise: float) -> float:
    """A time of STIX, always in UTC (RFC 3339), without its fraction of a second."""
    if text is None:
        return otherwise
    return datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc).timestamp()
