"""Makes Grafana like the file that says who sees what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from trust_ops.grafana.access_file import Access, Place
from trust_ops.grafana.client import Grafana, Grant
from trust_ops.grafana.errors import GrafanaError, NotFoundError

_LEVELS: Final = MappingProxyType({"view": 1, "edit": 2})
_WORDS: Final = MappingProxyType({1: "view", 2: "edit", 4: "administer"})
# Stands for the number of what is not there yet, in a dry run.
_NOT_YET: Final = 0


class Names:
    """Who is meant by a grant, in words."""

    def __init__(self, grafana: Grafana) -> None:
        self._names: dict[tuple[str, int | str], str] = {
            **{("teamId", team.id): f"team {team.name}" for team in grafana.teams()},
            **{("userId", person.id): f"user {person.login}" for person in grafana.people()},
            **{("userId", each.id): f"service account {each.name}" for each in grafana.service_accounts()},
        }

    def holders(self, grants: list[Grant]) -> dict[str, str]:
        """What each may do, by name."""
        return {self._name(grant): _WORDS.get(grant.level, f"do {grant.level}") for grant in grants}

    def _name(self, grant: Grant) -> str:
        if grant.kind == "role":
            return f"everybody with role {grant.who}"
        return self._names.get((grant.kind, grant.who), f"{grant.kind} {grant.who}")


def bring_about(grafana: Grafana, wanted: Access, *, dry_run: bool) -> Iterator[str]:
    """Says each change, after it is made or, in a dry run, instead of making it. Raises GrafanaError.

    Every change is whole in itself, and what is already so is left alone: after a crash, the same call completes it.
    """
    names = Names(grafana)
    # First, so that nothing is made where a folder or a dashboard is missing.
    now = {(place.kind, place.uid): names.holders(grants_of(grafana, place)) for place in wanted.places}
    teams: dict[str, int] = {}
    yield from _teams(grafana, wanted, teams, dry_run=dry_run)
    accounts: dict[str, int] = {}
    yield from _service_accounts(grafana, wanted, accounts, dry_run=dry_run)
    for place in wanted.places:
        changes = list(differences(now[place.kind, place.uid], holders_wanted(place)))
        if changes and not dry_run:
            grafana.set_grants(place.kind, place.uid, _grants(place, teams, accounts))
        yield from (f"{place.kind} {place.title}: {change}" for change in changes)


def grants_of(grafana: Grafana, place: Place) -> list[Grant]:
    """Who may do what there now. Raises GrafanaError, with the remedy when there is no such folder or dashboard."""
    try:
        return grafana.grants(place.kind, place.uid)
    except NotFoundError as error:
        raise GrafanaError(
            f"Grafana has no {place.kind} {place.uid!r} ({place.title}): it makes it at its start when "
            "provisioning/dashboards/trust-service.yml and the files of the dashboards are mounted"
        ) from error


def holders_wanted(place: Place) -> dict[str, str]:
    """What each shall be able to do there, by name."""
    return {
        **{f"team {name}": level for name, level in place.teams.items()},
        **{f"service account {name}": level for name, level in place.service_accounts.items()},
    }


def differences(now: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """What has to change, in words."""
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


def _grants(place: Place, teams: Mapping[str, int], accounts: Mapping[str, int]) -> list[Grant]:
    return [
        *(Grant("teamId", teams[name], _LEVELS[level]) for name, level in place.teams.items()),
        *(Grant("userId", accounts[name], _LEVELS[level]) for name, level in place.service_accounts.items()),
    ]
