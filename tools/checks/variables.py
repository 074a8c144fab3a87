"""Grafana variables in queries, and their replacement by values that PromQL accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tools.checks.promql import Expression, parse
from trust_ops.site_config.dashboards import first_environment
from trust_ops.site_config.site import DEFAULTS

SHOWN = 3601.0
RATE_WINDOW = 61.0
"""Seconds that replace `$__range` and `$__rate_interval`. The unusual lengths make them recognizable."""

ENVIRONMENT = first_environment(DEFAULTS)
"""The default of the variable `environment`."""

_VALUES: Mapping[str, str] = {
    "__rate_interval": "61s",
    "__range": "3601s",
    "__range_s": "3601",
    "__interval": "15s",
    "interval": "15s",
    "environment": ENVIRONMENT,
    "service": "signer|validator",
    "instance": r"signer-0|signer-1\\.example",
}
FILTERS = ("environment", "service", "instance")
BUILT_IN = frozenset({"__rate_interval", "__range", "__range_s", "__interval", "__url_time_range", "__from", "__to"})
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?:[.:\[][^}]*)?\}|(?P<plain>[A-Za-z_]\w*))")


def variables_in(text: str) -> Iterator[str]:
    """The variables in a query, URL or text; `$1` of a regular expression is not one."""
    return (found["braced"] or found["plain"] for found in _VARIABLE.finditer(text))


def filled(source: str) -> str:
    """A query with values for the variables that queries may use. Others stay, which is invalid PromQL."""
    return _replaced(source, _VALUES)


def with_filters(source: str) -> Expression:
    """The parsed query, with the variables in matchers unchanged. Raises PromqlError."""
    return parse(_replaced(source, {**_VALUES, **{name: f"${name}" for name in FILTERS}}))


def as_sent(
    source: str, *, seconds: float, step_seconds: int, environment: str = ENVIRONMENT, service: str = ".*"
) -> str:
    """The query as Grafana sends it for a time range and step in seconds, with all instances selected."""
    shown, step = f"{seconds:.0f}", f"{step_seconds}s"
    return _replaced(
        source,
        {
            "environment": environment,
            "service": service,
            "instance": ".*",
            "interval": step,
            "__interval": step,
            # As in Grafana: four steps, so that a rate has two samples even if a scrape is missed.
            "__rate_interval": f"{4 * step_seconds}s",
            "__range": f"{shown}s",
            "__range_s": shown,
        },
    )


def _replaced(source: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found["braced"] or found["plain"], found[0]), source)
