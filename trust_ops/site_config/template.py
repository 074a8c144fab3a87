"""Inserts variables and addresses into the parsed configuration, so that no value can change its structure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from trust_ops.site_config.errors import Problem
from trust_ops.site_config.variables import Values

_PLACEHOLDER = re.compile(r"\$\{(file:)?([A-Za-z_]+)\}")

# A channel without its address is removed from its receiver.
_ADDRESSES = frozenset({"api_url_file", "routing_key_file", "url_file", "to"})

# These receivers are optional: without them, no alert is lost. `nobody` is for environments that only show alerts.
_MAY_BE_EMPTY = frozenset({"watchdog", "incidents", "nobody"})

# Suffix of the receiver with the e-mail channel of another receiver.
_EMAIL_SUFFIX = "-email"

_OMITTED: Any = object()


def empty_receivers(configuration: Mapping[str, Any]) -> list[Problem]:
    """Receivers that need a channel but have none, e-mail included."""
    with_channel = {
        receiver["name"].removesuffix(_EMAIL_SUFFIX) for receiver in configuration["receivers"] if len(receiver) > 1
    }
    names = dict.fromkeys(receiver["name"].removesuffix(_EMAIL_SUFFIX) for receiver in configuration["receivers"])
    return [
        Problem(f"receiver {name}", "all its channels are `off`, so nobody would be notified; enable one of them")
        for name in names
        if name not in with_channel and name not in _MAY_BE_EMPTY
    ]


def substitute(node: Any, values: Values, secrets_folder: str) -> Any:
    """The configuration, or a part of it, with the variables inserted.

    Omitted values are removed: channels without address, keys without value, and containers that become empty.
    """
    if isinstance(node, dict):
        return _mapping(node, values, secrets_folder)
    if isinstance(node, list):
        items = [substitute(item, values, secrets_folder) for item in node]
        return [item for item in items if item is not _OMITTED] or _empty(node)
    if isinstance(node, str):
        return _scalar(node, values, secrets_folder)
    return node


def _mapping(node: dict[str, Any], values: Values, secrets_folder: str) -> Any:
    result = {}
    for key, value in node.items():
        new = _addresses(value, values) if key == "to" else substitute(value, values, secrets_folder)
        if new is not _OMITTED:
            result[key] = new
        elif key in _ADDRESSES:
            return _OMITTED
    return result or _empty(node)


def _empty(node: Any) -> Any:
    """Containers that are empty in the template are kept."""
    return _OMITTED if node else node


def _addresses(text: str, values: Values) -> Any:
    """Deduplicated: an address in several variables gets one mail."""
    found = (values.text[match[2]] for match in _PLACEHOLDER.finditer(text))
    addresses = dict.fromkeys(address for value in found if value for address in value.split(", "))
    return ", ".join(addresses) or _OMITTED


def _scalar(text: str, values: Values, secrets_folder: str) -> Any:
    match = _PLACEHOLDER.fullmatch(text)
    if match is None:
        return text
    is_file, name = match.groups()
    value = values.text[name]
    if value is None:
        return _OMITTED
    return f"{secrets_folder}/{values.source[name]}" if is_file else value


class _Dumper(yaml.SafeDumper):
    """Writes YAML without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(configuration: Mapping[str, Any]) -> str:
    """The configuration as YAML, deterministically."""
    return yaml.dump(configuration, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def go_string(text: str) -> str:
    """The text as an escaped string constant of a Go template."""
    return '"' + "".join(character if _plain(character) else f"\\U{ord(character):08x}" for character in text) + '"'


def _plain(character: str) -> bool:
    return character.isascii() and character.isprintable() and character not in '"\\{}'


def substitute_strings(template: str, values: Values) -> str:
    """A notification template with its variables inserted; each is written as `"${NAME}"`, a string constant."""
    return re.sub(r'"\$\{([A-Za-z_]+)\}"', lambda match: go_string(values.text[match[1]] or ""), template)
