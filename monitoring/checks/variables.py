"""Grafana's variables in queries, with values in their place that PromQL accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from monitoring.checks.promql import Expression, parse

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
    return _VARIABLE.sub(lambda found: _VALUES.get(found["braced"] or found["plain"], found[0]), source)


def with_filters(source: str) -> Expression:
    """The query as parsed, with the variables of matchers as they are written. Raises PromqlError."""
    kept = {name: f"${name}" for name in FILTERS}
    values = {**_VALUES, **kept}
    return parse(_VARIABLE.sub(lambda found: values.get(found["braced"] or found["plain"], found[0]), source))
