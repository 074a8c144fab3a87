"""The dashboards with the values of a site.

`make generate` writes `dashboard_values.json`: the texts and numbers of the published dashboards that depend on a
site, with a placeholder such as `<<threshold TrustServiceHighLatency/critical /4>>` for each value. So the wheel
needs neither the generator nor Grafana's library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from operator import add, mul, sub, truediv
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from trust_ops.durations import parse_duration
from trust_ops.site_config.required_controls import states_of_panel
from trust_ops.site_config.rule_templates import route_matcher, threshold_values
from trust_ops.site_config.rules import groups_of_site
from trust_ops.site_config.site import DEFAULTS, Critical, Site
from trust_ops.site_config.yaml_document import Path as SettingPath
from trust_ops.stack.files import project_file

FOLDER: Final = "dashboards"
"""The directory of the dashboards, below that of the other rendered files."""

OPTIONAL: Final = frozenset({"trust-service-security-events"})
"""The dashboards that need an optional data source."""

LEAST_RETENTION: Final = timedelta(days=15)
"""The shortest retention with which dashboards and the default objectives work."""

VALUES: Final = Path(__file__).with_name("dashboard_values.json")

_PLACEHOLDER: Final = re.compile(r"<<(?P<what>[^<>:]+?)(?: :(?P<format>[^<>]*))?>>")
_OPERATIONS: Final = {"+": add, "-": sub, "*": mul, "/": truediv}


@dataclass(frozen=True)
class DashboardValues:
    """Values of the placeholders.

    Attributes:
        environment: The environment that the dashboards open with.
        runbooks: Base URL of the runbooks.
        retention: How long Prometheus keeps samples.
        thresholds: The values of thresholds by name and severity of the alert.
        critical: The HTTP routes and gRPC methods whose latency alerts.
        required_controls: Whether the site requires checks of compliance controls.
    """

    environment: str
    runbooks: str
    retention: timedelta
    thresholds: Mapping[tuple[str, str], float]
    critical: Critical = DEFAULTS.critical
    required_controls: bool = False

    @classmethod
    def of(cls, site: Site) -> DashboardValues:
        """The values of a site."""
        return cls(
            environment=first_environment(site),
            runbooks=site.links["runbooks"],
            retention=parse_duration(site.retention),
            thresholds=threshold_values(groups_of_site(site)),
            critical=site.critical,
            required_controls=bool(site.compliance.required_controls),
        )


@dataclass(frozen=True)
class Place:
    """A text or a number of a dashboard that depends on the site.

    Attributes:
        path: The keys and list positions that lead to it.
        template: The text with placeholders. A single placeholder without a format is a number.
    """

    path: tuple[str | int, ...]
    template: str


Places = Mapping[str, tuple[Place, ...]]
"""The places of each dashboard by uid."""

_PLACES: Final = TypeAdapter(dict[str, tuple[Place, ...]])


def dumped(places: Places) -> str:
    """The text of `dashboard_values.json`."""
    return _PLACES.dump_json(dict(places), indent=1).decode() + "\n"


@cache
def published_places() -> Places:
    """The places in the published dashboards."""
    return _PLACES.validate_json(VALUES.read_bytes())


def dashboards(site: Site) -> dict[str, str]:
    """The JSON of each dashboard by path."""
    values = DashboardValues.of(site)
    return {f"{FOLDER}/{uid}.json": _dashboard(uid, places, values) for uid, places in published_places().items()}


def problems(site: Site) -> Iterator[tuple[SettingPath, str]]:
    """The path of each setting with which dashboards could not work, and the remedy."""
    if parse_duration(site.retention) < LEAST_RETENTION:
        yield ("retention",), f"use at least {LEAST_RETENTION.days}d: forecasts compare this week with the last one"


def as_json(dashboard: Mapping[str, Any]) -> str:
    """The text of a dashboard's file, with a line for each panel: a ConfigMap of all dashboards has at most 1 MiB."""
    fields = (f"{json.dumps(name)}: {_field(dashboard[name])}" for name in sorted(dashboard))
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _field(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_one_line, value)) + "\n]"
    return _one_line(value)


def _one_line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def filled(template: str, values: DashboardValues) -> Any:
    """The template with values instead of placeholders; a number if it is only a placeholder without a format."""
    whole = _PLACEHOLDER.fullmatch(template)
    if whole is not None and whole["format"] is None:
        return _value(whole["what"], values)
    return _PLACEHOLDER.sub(lambda found: format(_value(found["what"], values), found["format"] or ""), template)


def published_file(uid: str) -> Path:
    """The published dashboard."""
    return project_file(f"monitoring/{'provisioning/optional' if uid in OPTIONAL else 'grafana'}/{uid}.json")


def _dashboard(uid: str, places: tuple[Place, ...], values: DashboardValues) -> str:
    dashboard = json.loads(published_file(uid).read_bytes())
    for place in places:
        *parents, last = place.path
        node = dashboard
        for key in parents:
            node = node[key]
        node[last] = filled(place.template, values)
    return as_json(dashboard)


def first_environment(site: Site) -> str:
    """The environment that dashboards open with: the first that pages, or else the first one."""
    paging = (name for name, treatment in site.environments.items() if treatment == "page")
    return next(paging, next(iter(site.environments), ""))


def _value(what: str, values: DashboardValues) -> Any:
    kind, *arguments = what.split(" ")
    if kind == "environment":
        return values.environment
    if kind == "runbooks":
        return values.runbooks
    if kind == "critical_routes":
        # Text for a site that lists routes.
        return " ".join(arguments) if values.critical.http_routes else ""
    if kind == "and_critical_routes":
        return f", {route_matcher(values.critical.http_routes)}" if values.critical.http_routes else ""
    if kind == "critical_methods":
        return ", ".join(values.critical.grpc_methods)
    if kind == "required_controls":
        # Text for a site that requires controls.
        return " ".join(arguments) if values.required_controls else ""
    if kind == "states_of_controls":
        # Before another query.
        return f"{states_of_panel(', '.join(arguments))} or " if values.required_controls else ""
    if kind == "days":
        # Whole weeks that the data fills.
        return min(parse_duration(arguments[0]), values.retention).days // 7 * 7
    name, _, severity = arguments[0].partition("/")
    number = values.thresholds[name, severity]
    for operation in arguments[1:]:
        number = _OPERATIONS[operation[0]](number, float(operation[1:]))
    return number
