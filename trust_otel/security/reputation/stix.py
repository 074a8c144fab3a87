"""Addresses in STIX 2.1: address objects, and indicators that are valid now."""

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
# Operators that make a pattern more than a list of alternatives, so that an address alone does not match it.
_OTHER_OPERATORS: Final = re.compile(r"\b(?:AND|NOT|FOLLOWEDBY|WITHIN|REPEATS|START|STOP)\b|[!<>]")


class Validity:
    """Checks whether objects are valid at a point in time, and tracks when that changes next.

    Args:
        now: Unix time in seconds.

    Attributes:
        next_change: Unix time at which the next object becomes valid or expires; infinite if there is none.
        has_inactive: Whether an object was not valid.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self.next_change = inf
        self.has_inactive = False

    def is_valid(self, value: Mapping[str, Any]) -> bool:
        """Whether an object is not revoked, and now is between `valid_from` and `valid_until`.

        Raises:
            ValueError: A time is invalid.
        """
        begin, end = _unix_time(value.get("valid_from"), -inf), _unix_time(value.get("valid_until"), inf)
        revoked = value.get("revoked") is True
        if not revoked:
            self.next_change = min(self.next_change, *(time for time in (begin, end, inf) if time > self._now))
        valid = not revoked and begin <= self._now < end
        self.has_inactive = self.has_inactive or not valid
        return valid


def addresses_of(value: Mapping[str, Any], validity: Validity) -> list[str]:
    """The addresses and networks of an object. A malformed object gives an empty text, which counts as invalid."""
    kind = value.get("type")
    try:
        if kind in ("ipv4-addr", "ipv6-addr"):
            return [str(value.get("value", ""))]
        if kind == "indicator" and value.get("pattern_type", "stix") == "stix" and validity.is_valid(value):
            return _in_pattern(value.get("pattern"))
    except (TypeError, ValueError):
        return [""]
    return []


def _in_pattern(pattern: Any) -> list[str]:
    if _OTHER_OPERATORS.search(_LITERALS.sub("", pattern)):
        return []
    return [literal[1:-1] for term in _TERM.findall(pattern) for literal in _LITERALS.findall(term)]


def _unix_time(text: Any, default: float) -> float:
    """A STIX timestamp (RFC 3339, always UTC) without fractions of a second."""
    if text is None:
        return default
    return datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc).timestamp()
