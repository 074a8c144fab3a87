"""The registry as a page in Markdown, as JSON, or as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trust_otel.semconv.definitions import Attribute, Event, Metric

_HEADER = """# Conventions: every metric, event and attribute

Generated from `trust_otel/semconv/registry/*.yaml` by `make generate`. Where OpenTelemetry has a
convention, it is used; `trust.*` covers the rest. A series never has an attribute that is not listed for its metric.
"""


_EVENTS = """## Events

Log records with a name. [Security events](security-events.md) describes when they are exported.

| event | kind | attributes | meaning |
|---|---|---|---|"""


def catalogue_page(metrics: Mapping[str, Metric], events: Mapping[str, Event]) -> str:
    """The Markdown page: a section per metric, then tables of the events and of the attributes."""
    parts = [_HEADER, "## Metrics\n"]
    parts += [_metric_section(metric) for metric in metrics.values()]
    parts += [_EVENTS, *map(_event_row, events.values()), ""]
    parts += ["## Attributes\n", "| attribute | label in Prometheus | values | meaning |\n|---|---|---|---|"]
    parts += [_attribute_row(attribute) for attribute in attributes_of(metrics)]
    return "\n".join(parts) + "\n"


def catalogue_json(metrics: Mapping[str, Metric], events: Mapping[str, Event]) -> dict[str, Any]:
    """The JSON document: `{"metrics": {name: {...}}, "events": {name: {...}}, "attributes": {name: {...}}}`."""
    return {
        "metrics": {
            metric.name: {
                "prometheus_name": metric.prometheus_name,
                "instrument": metric.instrument,
                "unit": metric.unit,
                "brief": metric.brief,
                "attributes": [attribute.name for attribute in metric.attributes],
                "required": sorted(metric.required),
                "buckets": list(metric.buckets),
            }
            for metric in metrics.values()
        },
        "events": {
            event.name: {
                "kind": event.kind,
                "brief": event.brief,
                "attributes": [attribute.name for attribute in event.attributes],
                "required": sorted(event.required),
            }
            for event in events.values()
        },
        "attributes": {
            attribute.name: {
                "label": attribute.label,
                "type": attribute.type,
                "brief": attribute.brief,
                "members": list(attribute.members),
                "other": attribute.other,
                "limit": attribute.limit,
            }
            for attribute in attributes_of(metrics)
        },
    }


def catalogue_text(metrics: Mapping[str, Metric], events: Mapping[str, Event]) -> str:
    """The table for a terminal: metrics with name in Prometheus, instrument, unit and labels; then events."""
    width = max(len(metric.prometheus_name) for metric in metrics.values())
    rows: list[tuple[str, str, str, list[str]]] = [
        (metric.prometheus_name, metric.instrument, metric.unit, [attribute.label for attribute in metric.attributes])
        for metric in metrics.values()
    ]
    rows += [(event.name, "event", "", [attribute.name for attribute in event.attributes]) for event in events.values()]
    return "\n".join(
        f"{name:<{width}}  {kind:<13}  {unit:<17}  {', '.join(labels)}" for name, kind, unit, labels in rows
    )


def attributes_of(metrics: Mapping[str, Metric]) -> list[Attribute]:
    """All attributes of the metrics, sorted by name."""
    found = {attribute.name: attribute for metric in metrics.values() for attribute in metric.attributes}
    return [found[name] for name in sorted(found)]


def _metric_section(metric: Metric) -> str:
    lines = [f"### `{metric.name}`\n", metric.brief + (f" {metric.note}" if metric.note else ""), ""]
    lines.append(f"- in Prometheus: `{metric.prometheus_name}` ({metric.instrument}, unit `{metric.unit}`)")
    lines.append(f"- attributes: {_attribute_names(metric) or 'none'}")
    if metric.buckets:
        lines.append(f"- buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}")
    return "\n".join(lines) + "\n"


def _event_row(event: Event) -> str:
    meaning = " ".join(text for text in (event.brief, event.note) if text)
    return f"| `{event.name}` | {event.kind} | {_attribute_names(event)} | {meaning} |"


def _attribute_names(definition: Metric | Event) -> str:
    return ", ".join(
        f"`{attribute.name}`" + ("" if attribute.name in definition.required else " (optional)")
        for attribute in definition.attributes
    )


def _attribute_row(attribute: Attribute) -> str:
    if attribute.members:
        values = ", ".join(f"`{member}`" for member in attribute.members) + f"; otherwise `{attribute.other}`"
    else:
        examples = ", ".join(f"`{example}`" for example in attribute.examples)
        values = f"such as {examples}; at most {attribute.limit} per process, then `{attribute.other}`"
    return f"| `{attribute.name}` | `{attribute.label}` | {values} | {attribute.brief} |"
