"""Client for the parts of Grafana's HTTP API used here; every method raises GrafanaError."""

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
        403: "the credentials lack administrator permissions in the organisation; use those of an administrator",
        409: "it was created concurrently; run the command again",
        412: "it was changed concurrently; run the command again",
    }
)

_REMEDIES_BY_MESSAGE: Final = MappingProxyType(
    {
        "Failed to create service account": "if it was created concurrently, run the command again",
        "Failed to create permission": "a team or service account was deleted meanwhile; run the command again",
        "invalid role specified": "the role None needs Grafana 10.2 or later; use Viewer in access.yml",
    }
)


@dataclass(frozen=True)
class Team:
    """A team; `id` is its id in Grafana."""

    id: int
    name: str


@dataclass(frozen=True)
class ServiceAccount:
    """A service account; role is None, Viewer, Editor or Admin."""

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
    """A user of the organisation."""

    id: int
    login: str
    role: str


@dataclass(frozen=True)
class Grant:
    """The permission of a team, role, user or service account to view (1), edit (2) or administer (4) a resource."""

    kind: str
    who: int | str
    level: int

    def to_json(self) -> dict[str, Any]:
        return {self.kind: self.who, "permission": self.level}


class Grafana:
    """A client with the permissions of an administrator of one organisation."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def teams(self) -> list[Team]:
        """All teams."""
        return [Team(each["id"], each["name"]) for each in self._all("/api/teams/search", "teams")]

    def create_team(self, name: str) -> int:
        """Returns its id."""
        return int(self._ask("POST", "/api/teams", json={"name": name})["teamId"])

    def members(self, team: int) -> list[str]:
        """Logins of the members of a team."""
        return [each["login"] for each in self._ask("GET", f"/api/teams/{team}/members")]

    def service_accounts(self) -> list[ServiceAccount]:
        """All service accounts."""
        found = self._all("/api/serviceaccounts/search", "serviceAccounts")
        return [ServiceAccount(each["id"], each["name"], each["role"], each["isDisabled"]) for each in found]

    def create_service_account(self, name: str, role: str) -> int:
        """Returns its id."""
        made = self._ask("POST", "/api/serviceaccounts", json={"name": name, "role": role, "isDisabled": False})
        return int(made["id"])

    def set_role(self, account: ServiceAccount, role: str) -> None:
        """Change the role of a service account."""
        self._ask("PATCH", f"/api/serviceaccounts/{account.id}", json={"name": account.name, "role": role})

    def tokens(self, account: int) -> list[Token]:
        """The tokens of a service account, including expired ones."""
        found = self._ask("GET", f"/api/serviceaccounts/{account}/tokens")
        return [Token(each["id"], each["name"], each["expiration"], each["hasExpired"]) for each in found]

    def create_token(self, account: int, name: str, seconds: int) -> str:
        """Create a token that expires after at least one second."""
        if seconds < 1:
            # With 0, Grafana creates a token that never expires.
            raise GrafanaError(f"token {name}: invalid lifetime of {seconds} s; use at least one second")
        body = {"name": name, "secondsToLive": seconds}
        return str(self._ask("POST", f"/api/serviceaccounts/{account}/tokens", json=body)["key"])

    def people(self) -> list[Person]:
        """All users of the organisation."""
        return [Person(each["userId"], each["login"], each["role"]) for each in self._ask("GET", "/api/org/users")]

    def grants(self, kind: str, uid: str) -> list[Grant]:
        """Permissions set on a folder or dashboard itself, without those of administrators."""
        found = self._ask("GET", _permissions(kind, uid))
        # Some versions also list those that a dashboard inherits from its folder.
        return [_grant(each) for each in found if each.get("role") != "Admin" and not each.get("inherited")]

    def set_grants(self, kind: str, uid: str, grants: Sequence[Grant]) -> None:
        """Replace all permissions set on a folder or dashboard itself."""
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
                f"no response from {self._client.base_url} ({error or type(error).__name__}); "
                "check --url, GRAFANA_CA_FILE, and that Grafana runs"
            ) from error
        if not answer.is_success:
            raise _error(method, path, answer)
        try:
            return answer.json()
        except ValueError as error:
            raise GrafanaError(f"--url {self._client.base_url} is not Grafana: the response is not JSON") from error


def _permissions(kind: str, uid: str) -> str:
    where = "/api/folders" if kind == "folder" else "/api/dashboards/uid"
    return f"{where}/{quote(uid, safe='')}/permissions"


def _error(method: str, path: str, answer: httpx.Response) -> GrafanaError:
    message = _message(answer)
    text = f"Grafana responded with {answer.status_code} ({message}) to {method} {path}"
    remedy = _REMEDIES_BY_MESSAGE.get(message) or _REMEDIES.get(answer.status_code)
    kind = NotFoundError if answer.status_code == 404 else GrafanaError
    return kind(f"{text}: {remedy}" if remedy else text)


def _message(answer: httpx.Response) -> str:
    """Grafana's error message: a field of an object, or a bare string."""
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
