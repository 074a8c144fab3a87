"""The queries of the dashboards' panels, their results, and which values are red."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tools.checks.variables import ENVIRONMENT, as_sent

FILES = sorted((Path(__file__).parents[2] / "monitoring" / "grafana").glob("*.json"))

# Seconds between samples of a service.
STEP_SECONDS = 15
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?) ?(Mil|Bil|K|M|B|)\b(%?)")
_MAGNITUDES = {"": 1.0, "K": 1e3, "M": 1e6, "Mil": 1e6, "B": 1e9, "Bil": 1e9}
# Generous: `python -m benchmarks.dashboards` measures query times on an idle machine.
_MOST_SECONDS = 10.0

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Series:
    """Labels and values, oldest first; one value for an instant query."""

    labels: Labels
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        return self.values[-1]


@dataclass(frozen=True)
class Answer:
    """Prometheus' response to a query.

    Attributes:
        series: The result.
        notes: Warnings and infos, such as that a metric is not a counter.
        error: The error; empty on success.
        seconds: Duration.
    """

    series: tuple[Series, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0

    @property
    def complaints(self) -> list[str]:
        """The notes about errors in the query, without those about bucket monotonicity."""
        return [note for note in self.notes if "needed to be fixed for monotonicity" not in note]

    @property
    def is_zero(self) -> bool:
        """Whether there are series, with only zeros."""
        values = [value for each in self.series for value in each.values]
        return values != [] and all(value == 0 or math.isnan(value) for value in values)


@dataclass(frozen=True)
class Query:
    """A query of a panel.

    Attributes:
        dashboard: Uid of the dashboard.
        panel: Number of the panel.
        title: Title of the panel.
        kind: Panel type, such as timeseries.
        ref: The query's refId.
        expression: PromQL with Grafana variables.
        instant: Whether it is an instant query.
        field: Field configuration of its values.
    """

    dashboard: str
    panel: int
    title: str
    kind: str
    ref: str
    expression: str
    instant: bool
    field: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.dashboard} {self.panel}{self.ref} ({self.title})"

    @property
    def key(self) -> str:
        """Dashboard, number and letter, such as `security 6A`."""
        return f"{self.dashboard.removeprefix('trust-service-')} {self.panel}{self.ref}"

    def promql(self, seconds: float, environment: str = ENVIRONMENT, service: str = ".*") -> str:
        """The query as Grafana sends it for the last `seconds`."""
        return as_sent(
            self.expression, seconds=seconds, step_seconds=STEP_SECONDS, environment=environment, service=service
        )

    def is_red(self, value: float) -> bool:
        """Whether Grafana displays the value in red, or beyond a red threshold line."""
        mapped = self._mapped(value)
        if mapped is not None:
            return mapped == "red"
        reached = [
            str(step["color"])
            for step in self.field.get("thresholds", {}).get("steps", [])
            if step["value"] is None or value >= step["value"]
        ]
        return bool(reached) and reached[-1] == "red"

    def _mapped(self, value: float) -> str | None:
        for mapping in self.field.get("mappings", []):
            if mapping["type"] == "value":
                found = mapping["options"].get(f"{value:g}")
                if found is not None and "color" in found:
                    return str(found["color"])
        return None


class PanelQueries:
    """Sends panel queries of one environment to a Prometheus."""

    def __init__(self, url: str, environment: str = ENVIRONMENT) -> None:
        self._environment = environment
        # Ignore proxy variables.
        self._client = httpx.Client(base_url=url, timeout=2 * _MOST_SECONDS, trust_env=False)

    def __enter__(self) -> PanelQueries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def at(self, query: str, when: float | None = None) -> Answer:
        """Result of an instant query at a Unix time, by default now."""
        moment = {} if when is None else {"time": f"{when:.3f}"}
        return self._ask("/api/v1/query", {"query": query, **moment})

    def over(self, query: str, seconds: float, end: float | None = None) -> Answer:
        """Result of a range query over the last `seconds` before a Unix time, by default now."""
        now = time.time() if end is None else end
        span = {"start": f"{now - seconds:.3f}", "end": f"{now:.3f}", "step": str(STEP_SECONDS)}
        return self._ask("/api/v1/query_range", {"query": query, **span})

    def ask(self, query: Query, seconds: float, service: str = ".*", end: float | None = None) -> Answer:
        """Result of a panel's query over the last `seconds` before a Unix time, by default now."""
        promql = query.promql(seconds, self._environment, service)
        return self.at(promql, end) if query.instant else self.over(promql, seconds, end)

    def sum_over(self, query: Query, seconds: float, service: str) -> float:
        """A rate summed over the last `seconds`."""
        every = f"({query.promql(seconds, self._environment, service)})[{seconds:.0f}s:{STEP_SECONDS}s]"
        (total,) = self.at(f"sum(sum_over_time({every})) * {STEP_SECONDS}").series
        return total.last

    def _ask(self, path: str, parameters: Mapping[str, str]) -> Answer:
        began = time.monotonic()
        answer = self._client.post(path, data=dict(parameters)).json()
        seconds = time.monotonic() - began
        notes = (*answer.get("warnings", ()), *answer.get("infos", ()))
        if answer["status"] != "success":
            return Answer(notes=notes, error=f"{answer['errorType']}: {answer['error']}", seconds=seconds)
        return Answer(tuple(_series(answer["data"])), notes, seconds=seconds)


def _series(data: Mapping[str, Any]) -> Iterator[Series]:
    if data["resultType"] == "scalar":
        yield Series({}, (float(data["result"][1]),))
        return
    for each in data["result"]:
        points = each["values"] if "values" in each else [each["value"]]
        yield Series(each["metric"], tuple(float(value) for _, value in points))


def queries() -> list[Query]:
    """All queries of all panels."""
    return [query for file in FILES for query in _of_dashboard(json.loads(file.read_text()))]


def numbers_in(text: str) -> list[float]:
    """The numbers in a text in Grafana's format, such as 1.5, 12.3K, 1.62 Mil or 97%."""
    return [
        float(number) * _MAGNITUDES[magnitude] * (0.01 if percent else 1)
        for number, magnitude, percent in _NUMBER.findall(text)
    ]


def too_slow(answer: Answer) -> bool:
    return answer.seconds > _MOST_SECONDS


def _of_dashboard(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield Query(
                dashboard=dashboard["uid"],
                panel=panel["id"],
                title=panel["title"],
                kind=panel["type"],
                ref=target["refId"],
                expression=target["expr"],
                instant=target.get("instant", False),
                field=_field(panel, target["refId"]),
            )


def _field(panel: Mapping[str, Any], ref: str) -> dict[str, Any]:
    """The panel's field defaults with the overrides of the query or its column."""
    config = panel["fieldConfig"]
    field = dict(config["defaults"])
    matchers = {("byFrameRefID", ref), *(("byName", name) for name in _columns(panel, ref))}
    for override in config.get("overrides", []):
        if (override["matcher"]["id"], override["matcher"].get("options")) in matchers:
            changed = {each["id"]: each["value"] for each in override["properties"]}
            if changed.get("unit", field.get("unit")) != field.get("unit"):
                # The thresholds of the panel are in another unit.
                field.pop("thresholds", None)
            field.update(changed)
    return field


def _columns(panel: Mapping[str, Any], ref: str) -> Iterator[str]:
    for transformation in panel.get("transformations", []):
        renamed = transformation.get("options", {}).get("renameByName", {})
        for column in (f"Value #{ref}", "Value"):
            if column in renamed:
                yield renamed[column]
