"""Puts variables into the parsed configuration, so that no value can change its structure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from trust_ops.alertmanager_config.errors import Problem
from trust_ops.alertmanager_config.variables import Values

_PLACEHOLDER = re.compile(r"\$\{(file:)?([A-Z_]+)\}")

# A channel is one entry of a receiver's list; without its address it goes.
_ADDRESSES = frozenset({"api_url_file", "routing_key_file", "url_file", "to"})

# They may have nobody behind them: they are additions, and nothing is lost without them.
_MAY_BE_EMPTY = frozenset({"watchdog", "incidents"})

# Ends the name of the receiver that holds the mail of another.
_BY_MAIL = "-email"

_LEFT_OUT: Any = object()


def empty_receivers(configuration: Mapping[str, Any]) -> list[Problem]:
    """The receivers that are left without any channel, mail included, though somebody must hear of their alerts."""
    heard = {receiver["name"].removesuffix(_BY_MAIL) for receiver in configuration["receivers"] if len(receiver) > 1}
    names = dict.fromkeys(receiver["name"].removesuffix(_BY_MAIL) for receiver in configuration["receivers"])
    return [
        Problem(f"receiver {name}", "every channel of it is `off`, so nobody would be told; turn one of them on")
        for name in names
        if name not in heard and name not in _MAY_BE_EMPTY
    ]


def substitute(node: Any, values: Values, secrets_folder: str) -> Any:
    """The configuration, or a part of it, with its variables.

    What is left out disappears: a channel without its address, a key without its value, and what then is empty.
    """
    if isinstance(node, dict):
        return _mapping(node, values, secrets_folder)
    if isinstance(node, list):
        items = [substitute(item, values, secrets_folder) for item in node]
        return [item for item in items if item is not _LEFT_OUT] or _empty(node)
    if isinstance(node, str):
        return _scalar(node, values, secrets_folder)
    return node


def _mapping(node: dict[str, Any], values: Values, secrets_folder: str) -> Any:
    result = {}
    for key, value in node.items():
        new = _addresses(value, values) if key == "to" else substitute(value, values, secrets_folder)
        if new is not _LEFT_OUT:
            result[key] = new
        elif key in _ADDRESSES:
            return _LEFT_OUT
    return result or _empty(node)


def _empty(node: Any) -> Any:
    """What was empty in the template stays."""
    return _LEFT_OUT if node else node


def _addresses(text: str, values: Values) -> Any:
    """Several variables may hold the same address, which gets one mail."""
    found = (values.text[match[2]] for match in _PLACEHOLDER.finditer(text))
    addresses = dict.fromkeys(address for value in found if value for address in value.split(", "))
    return ", ".join(addresses) or _LEFT_OUT


def _scalar(text: str, values: Values, secrets_folder: str) -> Any:
    match = _PLACEHOLDER.fullmatch(text)
    if match is None:
        return text
    is_file, name = match.groups()
    value = values.text[name]
    if value is None:
        return _LEFT_OUT
    return f"{secrets_folder}/{values.source[name]}" if is_file else value


class _Dumper(yaml.SafeDumper):
    """Writes every value out, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(configuration: Mapping[str, Any]) -> str:
    """The configuration as YAML, the same text for the same configuration."""
    return yaml.dump(configuration, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def go_string(text: str) -> str:
    """The text as a string constant of a Go template, in which nothing of it is read as code."""
    return '"' + "".join(character if _plain(character) else f"\\U{ord(character):08x}" for character in text) + '"'


def _plain(character: str) -> bool:
    return character.isascii() and character.isprintable() and character not in '"\\{}'


def substitute_strings(template: str, values: Values) -> str:
    """A notification template with its variables, each of which stands as `"${NAME}"`, a string constant."""
    return re.sub(r'"\$\{([A-Z_]+)\}"', lambda match: go_string(values.text[match[1]] or ""), template)
