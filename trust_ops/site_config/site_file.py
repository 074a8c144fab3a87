"""Reads the site file. An error names the line, the path of the setting, the bad value and the remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trust_ops.site_config import yaml_document
from trust_ops.site_config.errors import Problem, RenderError, remedy_of, suggestion
from trust_ops.site_config.published_alerts import published_alerts
from trust_ops.site_config.site import Site
from trust_ops.site_config.site_checks import check
from trust_ops.site_config.yaml_document import Path, YamlDocument, YamlError
from trust_otel.text import visible_text

_SHOWN: Final = 100
_CREDENTIALS: Final = re.compile(r"//[^/@]*@")


def read_site(text: str, name: str) -> Site:
    """The settings in the text of a site file; `name` is the file's name in errors.

    Raises RenderError with all problems.
    """
    try:
        document = yaml_document.parse(text)
    except YamlError as error:
        raise RenderError([_problem(name, each.line, each.path, each.remedy) for each in error.problems]) from error
    content = {} if document.content is None else document.content
    found = [(path, f"{value!r} is listed twice; remove one") for path, value in _duplicates(content, ())]
    try:
        # As JSON, so that lists become tuples although the model is strict.
        site = Site.model_validate_json(json.dumps(content))
    except ValidationError as error:
        # A list whose only entries are invalid counts as empty too.
        errors = [each for each in error.errors() if each["type"] != "too_short" or not each["input"]]
        found += [_setting_error(document, each) for each in errors]
    else:
        found += [(path, _shown(document.content, path) + remedy) for path, remedy in check(site, published_alerts())]
        if not found:
            return site
    found.sort(key=lambda each: document.lines.get(each[0], 0))
    raise RenderError([_problem(name, document.lines.get(path), path, remedy) for path, remedy in found])


def _problem(name: str, line: int | None, path: Path, remedy: str) -> Problem:
    where = name if line is None else f"{name}:{line}"
    return Problem(f"{where}: {path_text(path)}" if path else where, remedy)


def path_text(path: Path) -> str:
    """A path as an operator writes it, such as `environments.staging` or `business_hours.days[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.replace("_", "").replace("-", "").isalnum()
            text += ("." if text else "") + (part if plain else json.dumps(visible_text(part), ensure_ascii=False))
    return text


def _duplicates(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Scalars that a list contains a second time."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _duplicates(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            if isinstance(value, dict | list):
                yield from _duplicates(value, (*path, number))
            elif value in node[:number]:
                yield (*path, number), value


def _setting_error(document: YamlDocument, error: ErrorDetails) -> tuple[Path, str]:
    path = _existing(document.content, error["loc"])
    if error["type"] == "extra_forbidden":
        return path, _unknown(path, error["loc"])
    if error["type"] == "missing":
        return path, f"`{error['loc'][-1]}` is missing; add it"
    if error["input"] is None:
        return path, "it is empty; remove the line for the default"
    if error["type"] == "value_error" and isinstance(error["input"], dict):
        return path, str(error["ctx"]["error"])
    return path, _quoted(error["input"]) + remedy_of(error)


def _existing(content: Any, location: Path) -> Path:
    """The parts of the location that are in the file: pydantic adds names of types and of kinds of values."""
    path: list[str | int] = []
    for part in location:
        if (isinstance(content, dict) and part in content) or (isinstance(content, list) and isinstance(part, int)):
            path.append(part)
            content = content[part]  # type: ignore[index]
    return tuple(path)


def _unknown(path: Path, location: Path) -> str:
    return f"unknown setting; {suggestion(str(path[-1]), _settings_beside(location))}"


def _settings_beside(location: Path) -> list[str]:
    """The names that the model knows where an unknown setting is."""
    schema = Site.model_json_schema()
    node = schema
    for part in location[:-1]:
        node = _resolved(schema, node)
        properties = node.get("properties", {})
        inner = properties.get(part) or node.get("additionalProperties") or node.get("items")
        if isinstance(inner, dict):
            node = inner
    return list(_resolved(schema, node).get("properties", {}))


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for choice in (node, *node.get("oneOf", ()), *node.get("anyOf", ())):
        if "$ref" in choice:
            resolved: dict[str, Any] = schema["$defs"][choice["$ref"].rpartition("/")[2]]
            return resolved
    return node


def _shown(content: Any, path: Path) -> str:
    for part in path:
        content = content[part]
    return "" if isinstance(content, dict | list) else _quoted(content)


def _quoted(value: Any) -> str:
    if isinstance(value, BaseModel | dict | list | tuple):
        return ""
    text = visible_text(repr(_CREDENTIALS.sub("//...@", value)) if isinstance(value, str) else json.dumps(value))
    return f"{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'} is not valid; "
