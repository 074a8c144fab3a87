"""Finds what depends on a site in the JSON of dashboards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitoring.alerts.site_number import SiteNumber
from trust_ops.site_config.dashboards import DashboardValues, Place, filled


def plain(node: Any) -> Any:
    """The objects of the SDK as mappings, lists, texts and numbers; a number of a site is a placeholder.

    Raises ValueError for a key that depends on the site.
    """
    if isinstance(node, SiteNumber):
        return f"<<{node.source}>>"
    if hasattr(node, "to_json"):
        return plain(node.to_json())
    if isinstance(node, dict):
        for key in node:
            if "<<" in key:
                raise ValueError(f"{key} depends on the site, and no key of the JSON can: use it in a text")
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [plain(each) for each in node]
    return node


def with_values(node: Any, values: DashboardValues) -> Any:
    """The same with values instead of placeholders."""
    if isinstance(node, dict):
        return {key: with_values(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [with_values(each, values) for each in node]
    return filled(node, values) if isinstance(node, str) else node


def places_in(node: Any, *path: str | int) -> Iterator[Place]:
    """The texts and numbers that depend on a site; `path` leads to the node."""
    if isinstance(node, dict):
        for key in sorted(node):
            yield from places_in(node[key], *path, key)
    elif isinstance(node, list):
        for position, each in enumerate(node):
            yield from places_in(each, *path, position)
    elif isinstance(node, str) and "<<" in node:
        yield Place(path, node)
