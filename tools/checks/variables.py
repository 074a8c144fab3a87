"""Grafana's variables in queries, with values in their place that PromQL accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tools.checks.promql import Expression, parse

SHOWN = 3601.0
RATE_WINDOW = 61.0
"""Seconds that stand for `$__range` and `$__rate_interval`: lengths that nobody writes, to tell them apart."""

_VALUES: Mapping[str, str] = {
    "__rate_interval": "61s",
    "__range": "3601s",
    "__range_s": "3601",
    "__interval": "15s",
    "interval": "15s",
    "environment": "production|staging",
    "service": "signer|validator",
    "instance": r"signer-0|signer-1\\.example",
}
FILTERS = ("environment", "service", "instance")
BUILT_IN = frozenset({"__rate_interval", "__range", "__range_s", "__interval", "__url_time_range", "__from", "__to"})
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?:[.:\[][^}]*)?\}|(?P<plain>[A-Za-z_]\w*))")


def variables_in(text: str) -> Iterator[str]:
    """The names of the variables of a query, an address or a text; `$1` of a regular expression is none."""
    return (found["braced"] or found["plain"] for found in _VARIABLE.finditer(text))


def filled(source: str) -> str:
    """A query with a value for each variable that a query may have; others stay, and are no PromQL."""
    return _replaced(source, _VALUES)


def with_filters(source: str) -> Expression:
    """The query as parsed, with the variables of matchers as they are written. Raises PromqlError."""
    return parse(_replaced(source, {**_VALUES, **{name: f"${name}" for name in FILTERS}}))


def as_sent(source: str, *, seconds: float, step_seconds: int, service: str = ".*") -> str:
    """The query as Grafana sends it to show so many seconds with so many between two points, in every environment."""
    shown, step = f"{seconds:.0f}", f"{step_seconds}s"
    return _replaced(
        source,
        {
            **dict.fromkeys(FILTERS, ".*"),
            "service": service,
            "interval": step,
            "__interval": step,
            # Four points, so that a rate has its two samples though one scrape is missed.
            "__rate_interval": f"{4 * step_seconds}s",
            "__range": f"{shown}s",
            "__range_s": shown,
        },
    )


def _replaced(source: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found["braced"] or found["plain"], found[0]), source)
