"""One answer to a scrape: families without duplicate names and series."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Final

from trust_otel.export.prometheus.exposition import OPEN_METRICS, Format, head
from trust_otel.text import valid_text

_logger = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_sum", "_count", "_created"),
}
"""Endings of the names that a family occupies, by its type."""


class Family:
    """The samples of one name.

    Attributes:
        name: Name, without the `_total` of a counter.
        kind: `counter`, `gauge` or `histogram`.
        head: The lines before the samples, in UTF-8.
        series: The lines of each series by its labels, in UTF-8.
    """

    __slots__ = ("head", "kind", "name", "series")

    def __init__(self, name: str, kind: str, head_: str) -> None:
        self.name = name
        self.kind = kind
        self.head = head_.encode()
        self.series: dict[str, bytes] = {}

    def add(self, labels: str, lines: bytes) -> None:
        """Add a series, unless there is one with the same labels."""
        self.series.setdefault(labels, lines)

    def add_all(self, series: dict[str, bytes]) -> None:
        """Add the lines of many series by their labels, unless there is one with the same labels."""
        if not self.series:
            self.series = series
            return
        for labels, lines in series.items():
            self.add(labels, lines)


class Page:
    """The families of one scrape.

    Args:
        format_: The format.
        names: Only the families with these names, or with a sample of these names; all if it is empty.
    """

    def __init__(self, format_: Format, names: Set[str]) -> None:
        self._format = format_
        self._names = names
        self._families: dict[str, Family] = {}
        self._owners: dict[str, str] = {}

    def family(self, metric: str, name: str, kind: str, brief: str, unit: str) -> Family | None:
        """The family to add samples to; `None` if it is not exposed.

        A name that is invalid or belongs to another family is logged once.

        Args:
            metric: OpenTelemetry's name, for the log.
            name: Prometheus' name, without the `_total` of a counter.
            kind: `counter`, `gauge` or `histogram`.
            brief: The help text.
            unit: Prometheus' word for the unit.
        """
        family = self._families.get(name)
        if family is None:
            occupied = [name + suffix for suffix in _SUFFIXES[kind]]
            taken = next((each for each in occupied if each in self._owners), None)
            if taken is not None:
                warn_once(f"{metric} is not exposed: {taken} already belongs to {self._owners[taken]}")
                return None
            if not _NAME.fullmatch(name):
                warn_once(f"{metric} is not exposed: it has no valid name in Prometheus")
                return None
            self._owners |= dict.fromkeys(occupied, name)
            family = Family(name, kind, head(self._format, name, kind, valid_text(brief), unit))
            self._families[name] = family
        if family.kind != kind:
            warn_once(f"{metric} is not exposed: {name} already exists as a {family.kind}")
            return None
        return family if self._is_wanted(family) else None

    def _is_wanted(self, family: Family) -> bool:
        return not self._names or any(family.name + suffix in self._names for suffix in _SUFFIXES[family.kind])

    def content(self) -> bytes:
        """All families that have a series."""
        parts: list[bytes] = []
        for family in self._families.values():
            if family.series:
                parts.append(family.head)
                parts += family.series.values()
        if self._format is OPEN_METRICS:
            parts.append(b"# EOF\n")
        # Joined once: a page may have megabytes.
        return b"".join(parts)


@lru_cache(maxsize=1000)
def warn_once(message: str) -> None:
    """Log a warning for the first of equal messages."""
    _logger.warning("trust-otel: %s", message)
