"""What of Grafana's HTTP API is used here; every method raises GrafanaError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import httpx

from trust_ops.grafana.errors import GrafanaError, NotFoundError

_PAGE: Final = 100
_REMEDIES: Final = MappingProxyType(
    {
        401: "the credentials are wrong or have expired; check GRAFANA_TOKEN_FILE or GRAFANA_ADMIN_PASSWORD_FILE",
        403: "the credentials are not those of an administrator of the organisation; use such",
        409: "somebody else made it at the same time; run the command again",
        412: "somebody else changed it at the same time; run the command again",
    }
)

_REMEDIES_BY_MESSAGE: Final = MappingProxyType(
    {
        "Failed to create service account": "if somebody else created it at the same time, run the command again",
        "Failed to create permission": "a team or service account was deleted meanwhile; run the command again",
        "invalid role specified": "the role None needs Grafana 10.2 or later; use Viewer in access.yml",
    }
)


@dataclass(frozen=True)
class Team:
    """A team, by its number in Grafana."""

    id: int
    name: str


@dataclass(frozen=True)
class ServiceAccount:
    """A service account, by its number in Grafana; role is None, Viewer, Editor or Admin."""

    id: int
    name: str
    role: str
    disabled: bool


@dataclass(frozen=True)
class Token:
    """A token of a service account; expiration is as in RFC 3339, or `None` when it never expires."""

    id: int
    name: str
    expiration: str | None
    expired: bool


@dataclass(frozen=True)
class Person:
    """Somebody of the organisation."""

    id: int
    login: str
    role: str


@dataclass(frozen=True)
class Grant:
    """That a team, a role, or a person or service account may view (1), edit (2) or administer (4) a folder."""

    kind: str
    who: int | str
    level: int

    def to_json(self) -> dict[str, Any]:
        return {self.kind: self.who, "permission": self.level}


class Grafana:
    """Grafana, asked as an administrator of one organisation."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def teams(self) -> list[Team]:
        """All teams."""
        return [Team(each["id"], each["name"]) for each in self._all("/api/teams/search", "teams")]

    def create_team(self, name: str) -> int:
        """Its number."""
        return int(self._ask("POST", "/api/teams", json={"name": name})["teamId"])

    def members(self, team: int) -> list[str]:
        """Logins of a team's members."""
        return [each["login"] for each in self._ask("GET", f"/api/teams/{team}/members")]

    def service_accounts(self) -> list[ServiceAccount]:
        """All service accounts."""
        found = self._all("/api/serviceaccounts/search", "serviceAccounts")
        return [ServiceAccount(each["id"], each["name"], each["role"], each["isDisabled"]) for each in found]

    def create_service_account(self, name: str, role: str) -> int:
        """Its number."""
        made = self._ask("POST", "/api/serviceaccounts", json={"name": name, "role": role, "isDisabled": False})
        return int(made["id"])

    def set_role(self, account: ServiceAccount, role: str) -> None:
        """Change what a service account may do everywhere."""
        self._ask("PATCH", f"/api/serviceaccounts/{account.id}", json={"name": account.name, "role": role})

    def tokens(self, account: int) -> list[Token]:
        """The tokens of a service account, expired ones too."""
        found = self._ask("GET", f"/api/serviceaccounts/{account}/tokens")
        return [Token(each["id"], each["name"], each["expiration"], each["hasExpired"]) for each in found]

    def create_token(self, account: int, name: str, seconds: int) -> str:
        """A new token that expires after so many seconds, at least one."""
        if seconds < 1:
            # Grafana takes 0 for a token that never expires.
            raise GrafanaError(f"token {name}: a lifetime of {seconds} s is refused; give at least one second")
        body = {"name": name, "secondsToLive": seconds}
        return str(self._ask("POST", f"/api/serviceaccounts/{account}/tokens", json=body)["key"])

    def people(self) -> list[Person]:
        """Everybody of the organisation."""
        return [Person(each["userId"], each["login"], each["role"]) for each in self._ask("GET", "/api/org/users")]

    def grants(self, kind: str, uid: str) -> list[Grant]:
        """Who may do what in a folder or a dashboard itself; administrators, who may do everything, are left out."""
        found = self._ask("GET", _permissions(kind, uid))
        # Versions differ in whether a dashboard shows those of its folder, too.
        return [_grant(each) for each in found if each.get("role") != "Admin" and not each.get("inherited")]

    def set_grants(self, kind: str, uid: str, grants: Sequence[Grant]) -> None:
        """Replace who may do what in a folder or a dashboard itself, all at once."""
        self._ask("POST", _permissions(kind, uid), json={"items": [grant.to_json() for grant in grants]})

    def _all(self, path: str, key: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        page = 1
        while True:
            answer = self._ask("GET", path, params={"perpage": _PAGE, "page": page})
            found += answer[key]
            if not answer[key] or len(found) >= answer["totalCount"]:
                return found
            page += 1

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._client.request(method, path, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GrafanaError(
                f"no answer from {self._client.base_url} ({error or type(error).__name__}); "
                "check --url, GRAFANA_CA_FILE, and that Grafana runs"
            ) from error
        if not answer.is_success:
            raise _refusal(method, path, answer)
        try:
            return answer.json()
        except ValueError as error:
            raise GrafanaError(f"--url {self._client.base_url} is not Grafana: its answer is not JSON") from error


def _permissions(kind: str, uid: str) -> str:
    where = "/api/folders" if kind == "folder" else "/api/dashboards/uid"
    return f"{where}/{quote(uid, safe='')}/permissions"


def _refusal(method: str, path: str, answer: httpx.Response) -> GrafanaError:
    said = _said(answer)
    text = f"Grafana answers {answer.status_code} ({said}) to {method} {path}"
    remedy = _REMEDIES_BY_MESSAGE.get(said) or _REMEDIES.get(answer.status_code)
    kind = NotFoundError if answer.status_code == 404 else GrafanaError
    return kind(f"{text}: {remedy}" if remedy else text)


def _said(answer: httpx.Response) -> str:
    """Grafana's message: a field of an object, or a bare string."""
    try:
        content = answer.json()
    except ValueError:
        return answer.reason_phrase
    if isinstance(content, Mapping):
        content = content.get("message")
    return content if isinstance(content, str) and content else answer.reason_phrase


def _grant(item: Mapping[str, Any]) -> Grant:
    level = int(item["permission"])
    if item.get("teamId"):
        return Grant("teamId", int(item["teamId"]), level)
    if item.get("userId"):
        return Grant("userId", int(item["userId"]), level)
    return Grant("role", str(item["role"]), level)
