"""Reads the access file: permissions of teams and service accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from trust_ops.grafana.errors import GrafanaError

# Not Admin: such an account could undo all of this.
_ROLES: Final = ("None", "Viewer", "Editor")


@dataclass(frozen=True)
class Resource:
    """A `folder` or `dashboard`, and which teams and service accounts may `view` or `edit` it, by name."""

    kind: str
    uid: str
    title: str
    teams: Mapping[str, str]
    service_accounts: Mapping[str, str]


@dataclass(frozen=True)
class Access:
    """The content of the access file; service accounts by name, with their role."""

    teams: tuple[str, ...]
    resources: tuple[Resource, ...]
    service_accounts: Mapping[str, str]


def read_access(path: Path) -> Access:
    """Read an access file. Raises GrafanaError that says what is wrong in it."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise GrafanaError(f"--file {path} cannot be read ({error}); use a file like access.yml") from error
    try:
        return _access(content)
    except _ContentError as error:
        raise GrafanaError(f"--file {path}: {error}") from error


class _ContentError(ValueError):
    """A problem in the file; the message does not name the file."""


def _access(content: Any) -> Access:
    top = _mapping("the file", content, {"teams", "folders", "dashboards", "service_accounts"})
    teams = _names("teams", top.get("teams"))
    accounts = {name: _role(name, more) for name, more in _mapping("service_accounts", top["service_accounts"]).items()}
    resources = tuple(
        resource for kind in ("folder", "dashboard") for resource in _resources(kind, top[f"{kind}s"], teams, accounts)
    )
    return Access(teams, resources, accounts)


def _resources(kind: str, content: Any, teams: tuple[str, ...], accounts: Mapping[str, str]) -> list[Resource]:
    if not isinstance(content, list):
        raise _ContentError(f"{kind}s is not a list")
    resources = [_resource(kind, each, teams, accounts) for each in content]
    for field in ("uid", "title"):
        if len({getattr(resource, field) for resource in resources}) < len(resources):
            raise _ContentError(f"{kind}s: duplicate {field}; each must be unique")
    return resources


def _resource(kind: str, content: Any, teams: tuple[str, ...], accounts: Mapping[str, str]) -> Resource:
    fields = _mapping(f"{kind}s", content, {"uid", "title"}, {"view", "edit", "service_accounts"})
    where = f"{kind} {fields['uid']!r}"
    uid, title = (_text(f"{where}: {field}", fields[field]) for field in ("uid", "title"))
    granted: dict[str, str] = {}
    for level in ("view", "edit"):
        for team in _names(f"{where}: {level}", fields.get(level, [])):
            if team in granted:
                raise _ContentError(f"{where}: team {team!r} is listed in view and in edit; edit includes view")
            granted[team] = level
    machines = _mapping(f"{where}: service_accounts", fields.get("service_accounts", {}))
    _known(where, "team", granted, teams)
    _known(where, "service account", machines, accounts)
    for name, level in machines.items():
        if level not in ("view", "edit"):
            raise _ContentError(f"{where}: service account {name!r} has {level!r}; use view or edit")
    return Resource(kind, uid, title, granted, machines)


def _known(where: str, kind: str, used: Mapping[str, Any], declared: Any) -> None:
    for name in used:
        if name not in declared:
            raise _ContentError(f"{where}: {kind} {name!r} is not declared; add it to the file, or correct its name")


def _role(name: str, content: Any) -> str:
    role = _mapping(f"service account {name!r}", content, {"role"})["role"]
    # A bare `None` is text in YAML, unlike `null`.
    if role not in _ROLES:
        raise _ContentError(f"service account {name!r}: role {role!r} is not one of {', '.join(_ROLES)}")
    return str(role)


def _mapping(
    where: str, content: Any, required: set[str] | None = None, optional: set[str] | None = None
) -> Mapping[str, Any]:
    if not isinstance(content, dict) or not all(isinstance(key, str) and key for key in content):
        raise _ContentError(f"{where} is not a mapping of names")
    if required is not None:
        for missing in sorted(required - set(content)):
            raise _ContentError(f"{where}: {missing} is missing")
        for surplus in sorted(set(content) - required - (optional or set())):
            raise _ContentError(f"{where}: {surplus!r} is unknown; remove it or correct its name")
    return content


def _names(where: str, content: Any) -> tuple[str, ...]:
    if not isinstance(content, list):
        raise _ContentError(f"{where} is not a list")
    names = tuple(_text(where, name) for name in content)
    if len(set(names)) < len(names):
        raise _ContentError(f"{where} contains a duplicate name")
    return names


def _text(where: str, content: Any) -> str:
    if not isinstance(content, str) or not content.strip():
        raise _ContentError(f"{where}: {content!r} is not a string")
    return content
