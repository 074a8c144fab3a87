"""The access review: who has access to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trust_ops.grafana.access import PrincipalNames, desired_permissions, differences, grants_of
from trust_ops.grafana.access_file import Access
from trust_ops.grafana.client import Grafana, ServiceAccount, Token


@dataclass(frozen=True)
class Review:
    """The current access of users and service accounts.

    Attributes:
        administrators: Logins of administrators, who have full access.
        people: Role of all other users, by login.
        teams: Members of each team.
        places: Permissions on each folder and dashboard.
        service_accounts: For each service account, its role, whether it is disabled, and its tokens.
        findings: Differences from the file, and other problems.
    """

    administrators: list[str]
    people: Mapping[str, str]
    teams: Mapping[str, list[str]]
    places: Mapping[str, Mapping[str, str]]
    service_accounts: Mapping[str, str]
    findings: list[str]


def review(grafana: Grafana, wanted: Access) -> Review:
    """Read the current access and compare it with the file. Raises GrafanaError."""
    names = PrincipalNames(grafana)
    people = grafana.people()
    # Grafana adds the creator of a team, if authenticated by password, to its members.
    administrators = {person.login for person in people if person.role == "Admin"}
    accounts = grafana.service_accounts()
    tokens = {account.name: grafana.tokens(account.id) for account in accounts}
    teams = {team.name: sorted(grafana.members(team.id)) for team in grafana.teams()}
    resources = {
        f"{resource.kind} {resource.title}": names.permissions(grants_of(grafana, resource))
        for resource in wanted.resources
    }
    findings = [
        *(f"team {name} is in the file and not in Grafana" for name in wanted.teams if name not in teams),
        *(
            f"team {name} has no members other than administrators"
            for name in wanted.teams
            if name in teams and not set(teams[name]) - administrators
        ),
        *_of_resources(resources, wanted),
        *(finding for account in accounts for finding in _of_account(account, tokens[account.name], wanted)),
        *(
            f"service account {name} is in the file and not in Grafana"
            for name in wanted.service_accounts
            if name not in tokens
        ),
    ]
    return Review(
        administrators=sorted(administrators),
        people={person.login: person.role for person in people if person.role != "Admin"},
        teams=teams,
        places=resources,
        service_accounts={account.name: _in_words(account, tokens[account.name]) for account in accounts},
        findings=findings,
    )


def _of_resources(resources: Mapping[str, Mapping[str, str]], wanted: Access) -> list[str]:
    return [
        f"{resource.kind} {resource.title}: the file says that {change}"
        for resource in wanted.resources
        for change in differences(resources[f"{resource.kind} {resource.title}"], desired_permissions(resource))
    ]


def _of_account(account: ServiceAccount, tokens: list[Token], wanted: Access) -> list[str]:
    name = f"service account {account.name}"
    role = wanted.service_accounts.get(account.name)
    findings = [f"{name} (role {account.role}) is not in the file"] if role is None else []
    if role is not None and role != account.role:
        findings.append(f"{name} has role {account.role}, the file says {role}")
    return findings + [f"{name}: token {token.name} never expires" for token in tokens if token.expiration is None]


def _in_words(account: ServiceAccount, tokens: list[Token]) -> str:
    state = ", disabled" if account.disabled else ""
    lives = [
        f"{token.name} {f'until {token.expiration}' if token.expiration else 'without expiry'}"
        for token in tokens
        if not token.expired
    ]
    return f"role {account.role}{state}, {'tokens: ' + ', '.join(lives) if lives else 'no valid token'}"
