"""Applies the access file to Grafana."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from trust_ops.grafana.access_file import Access, Resource
from trust_ops.grafana.client import Grafana, Grant
from trust_ops.grafana.errors import GrafanaError, NotFoundError

_LEVELS: Final = MappingProxyType({"view": 1, "edit": 2})
_WORDS: Final = MappingProxyType({1: "view", 2: "edit", 4: "administer"})
# Placeholder id in a dry run, for what does not exist yet.
_NOT_YET: Final = 0


class PrincipalNames:
    """The names of users, teams and service accounts."""

    def __init__(self, grafana: Grafana) -> None:
        self._names: dict[tuple[str, int | str], str] = {
            **{("teamId", team.id): f"team {team.name}" for team in grafana.teams()},
            **{("userId", person.id): f"user {person.login}" for person in grafana.people()},
            **{("userId", each.id): f"service account {each.name}" for each in grafana.service_accounts()},
        }

    def permissions(self, grants: list[Grant]) -> dict[str, str]:
        """The permission of each principal, by name."""
        return {self._name(grant): _WORDS.get(grant.level, f"do {grant.level}") for grant in grants}

    def _name(self, grant: Grant) -> str:
        if grant.kind == "role":
            return f"everyone with role {grant.who}"
        return self._names.get((grant.kind, grant.who), f"{grant.kind} {grant.who}")


def apply_access(grafana: Grafana, wanted: Access, *, dry_run: bool) -> Iterator[str]:
    """Apply the access file; yields a description of each change, which a dry run does not make. Raises GrafanaError.

    Idempotent: after a crash, the same call completes the changes.
    """
    names = PrincipalNames(grafana)
    # First, so that nothing is changed when a folder or a dashboard is missing.
    now = {
        (resource.kind, resource.uid): names.permissions(grants_of(grafana, resource)) for resource in wanted.resources
    }
    teams: dict[str, int] = {}
    yield from _teams(grafana, wanted, teams, dry_run=dry_run)
    accounts: dict[str, int] = {}
    yield from _service_accounts(grafana, wanted, accounts, dry_run=dry_run)
    for resource in wanted.resources:
        changes = list(differences(now[resource.kind, resource.uid], desired_permissions(resource)))
        if changes and not dry_run:
            grafana.set_grants(resource.kind, resource.uid, _grants(resource, teams, accounts))
        yield from (f"{resource.kind} {resource.title}: {change}" for change in changes)


def grants_of(grafana: Grafana, resource: Resource) -> list[Grant]:
    """Current permissions of a resource. Raises GrafanaError, with a fix when the folder or dashboard is missing."""
    try:
        return grafana.grants(resource.kind, resource.uid)
    except NotFoundError as error:
        raise GrafanaError(
            f"Grafana has no {resource.kind} {resource.uid!r} ({resource.title}): Grafana creates it on startup "
            "when provisioning/dashboards/trust-service.yml and the dashboard files are mounted"
        ) from error


def desired_permissions(resource: Resource) -> dict[str, str]:
    """The permission that each principal should have on a resource, by name."""
    return {
        **{f"team {name}": level for name, level in resource.teams.items()},
        **{f"service account {name}": level for name, level in resource.service_accounts.items()},
    }


def differences(now: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """Descriptions of the necessary changes."""
    for who, level in wanted.items():
        if now.get(who) != level:
            yield f"{who} may {level}"
    for who, level in now.items():
        if who not in wanted:
            yield f"{who} may no longer {level}"


def _teams(grafana: Grafana, wanted: Access, teams: dict[str, int], *, dry_run: bool) -> Iterator[str]:
    teams.update({team.name: team.id for team in grafana.teams()})
    for name in wanted.teams:
        if name not in teams:
            teams[name] = _NOT_YET if dry_run else grafana.create_team(name)
            yield f"team {name}: created"


def _service_accounts(grafana: Grafana, wanted: Access, accounts: dict[str, int], *, dry_run: bool) -> Iterator[str]:
    existing = {account.name: account for account in grafana.service_accounts()}
    for name, role in wanted.service_accounts.items():
        account = existing.get(name)
        if account is None:
            accounts[name] = _NOT_YET if dry_run else grafana.create_service_account(name, role)
            yield f"service account {name}: created with role {role}"
            continue
        accounts[name] = account.id
        if account.role != role:
            if not dry_run:
                grafana.set_role(account, role)
            yield f"service account {name}: role {account.role} becomes {role}"


def _grants(resource: Resource, teams: Mapping[str, int], accounts: Mapping[str, int]) -> list[Grant]:
    return [
        *(Grant("teamId", teams[name], _LEVELS[level]) for name, level in resource.teams.items()),
        *(Grant("userId", accounts[name], _LEVELS[level]) for name, level in resource.service_accounts.items()),
    ]
