"""Generates monitoring/site.example.yml, monitoring/site.schema.json and the table of settings in docs/site.md."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trust_ops.site_config.site import DEFAULTS, Site

_WIDTH: Final = 120
_LONGEST_CELL: Final = 120
_TIME: Final = re.compile(r"[0-9:]+")

_EXAMPLE_HEADER: Final = """\
# yaml-language-server: $schema=site.schema.json
#
# What a site may want different, with the defaults. Copy this file to monitoring/site.yml, keep the settings that
# differ, and run `trust-otel render --check`. A setting that is not in the file has its default. Secrets and receivers
# are in monitoring/.env. docs/site.md explains the settings. This file is generated (`make generate`).
"""


def site_example() -> str:
    """The example file: every setting with its description and its default."""
    return _EXAMPLE_HEADER + "".join(_example(DEFAULTS, ""))


def site_schema() -> str:
    """The JSON Schema of the site file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Site.model_json_schema(mode="validation"),
        "title": "Settings of a site for trust-otel",
    }
    return json.dumps(schema, indent=2) + "\n"


def settings_table() -> str:
    """The settings as a Markdown table."""
    rows = (f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in _rows(DEFAULTS, ""))
    return "".join(["| setting | default | meaning |\n", "|---|---|---|\n", *rows])


def _fields(part: BaseModel) -> Iterator[tuple[str, FieldInfo, Any]]:
    """The name, the declaration and the value of each setting."""
    for name, field in type(part).model_fields.items():
        yield str(field.serialization_alias or name), field, getattr(part, name)


def _example(part: BaseModel, indent: str) -> Iterator[str]:
    for name, field, value in _fields(part):
        yield "" if indent else "\n"
        yield textwrap.indent(_comment(field), indent)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:\n"
            yield from _example(value, indent + "  ")
        else:
            yield textwrap.indent(_entry(name, _plain(value)), indent)


def _comment(field: FieldInfo) -> str:
    about = (field.description or "").replace("`", "")
    return "".join(f"# {line}\n" for line in textwrap.wrap(about, _WIDTH - 4, break_on_hyphens=False))


def _entry(name: str, value: Any) -> str:
    return yaml.dump({name: value}, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)


def _rows(part: BaseModel, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field, value in _fields(part):
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _default(value), field.description or ""


def _default(value: Any) -> str:
    text = yaml.dump(_plain(value), Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6).strip()
    text = text.removesuffix("...").strip()
    return f"`{text}`" if len(text) <= _LONGEST_CELL else "see the example file"


def _plain(value: Any) -> Any:
    """The value as YAML has it, without settings of a part that have their default."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


class _Dumper(yaml.SafeDumper):
    """Writes lists on one line, and times in quotes."""


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    plain = all(not isinstance(each, dict) for each in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=plain)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = '"' if _TIME.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(list, _list)
_Dumper.add_representer(str, _text)
