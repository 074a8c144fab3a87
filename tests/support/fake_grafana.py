"""A fake Grafana with one organisation: an HTTP server with state, which rejects requests in any other format."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ACCESS_FILE = Path(__file__).parents[2] / "monitoring" / "provisioning" / "access.yml"
AS_THE_FILE_SAYS = {
    "teams": ["business", "compliance", "platform", "security"],
    "accounts": [("annotations-writer", "None"), ("dashboards-reader", "Viewer")],
    "places": {
        "trust-operations": [("dashboards-reader", 1), ("platform", 2), ("security", 1)],
        "trust-security": [("compliance", 1), ("security", 2)],
        "trust-business": [("business", 2), ("compliance", 1), ("dashboards-reader", 1)],
        "trust-pki": [("compliance", 1), ("dashboards-reader", 1), ("platform", 2), ("security", 1)],
        "trust-monitoring": [("platform", 2)],
        "trust-service-operational": [("annotations-writer", 2)],
        "trust-service-security": [],
        "trust-service-business": [],
        "trust-service-pki": [],
        "trust-service-monitoring": [],
    },
}
# Four teams, two service accounts, five folders, one dashboard.
WRITES = 12

TOKEN = "glsa_of-an-administrator_1"
PASSWORD = "correct horse, battery staple"
OF_A_VIEWER = "Bearer glsa_of-a-viewer_2"
FOLDERS = {
    "trust-operations": "Operations",
    "trust-security": "Security",
    "trust-business": "Business",
    "trust-pki": "PKI",
    "trust-monitoring": "Monitoring",
}
DASHBOARDS = {
    "trust-service-operational": "trust-operations",
    "trust-service-security": "trust-security",
    "trust-service-business": "trust-business",
    "trust-service-pki": "trust-pki",
    "trust-service-monitoring": "trust-monitoring",
}
# Permissions of a folder that Grafana provisioned.
FRESH = ({"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2})

Answer = tuple[int, Any]


def _fresh_folders() -> dict[str, list[dict[str, Any]]]:
    return {uid: [dict(item) for item in FRESH] for uid in FOLDERS}


@dataclass
class FakeGrafana:
    """Its state, and the requests it received.

    Attributes:
        folders: Items of permission of each folder, by uid.
        dashboards: Folder, and items of permission beyond those of the folder, of each dashboard, by uid.
        writes: Method and path of every request that changes something, in order.
        refuse: Answer instead, to whichever request it gives one for.
        token_day_limit: `[service_accounts] token_expiration_day_limit`, which tokens without expiry evade.
        token_max_seconds: `[auth] api_key_max_seconds_to_live`; None where it is not set.
        knows_role_none: False before Grafana 10.2.
        reached: Set when the write arrives that `stall_at` counts to (from 1), which then is never answered.
        stall_after: Whether that write takes effect before it stalls.
    """

    teams: dict[int, str] = field(default_factory=dict)
    members: dict[int, list[str]] = field(default_factory=dict)
    accounts: dict[int, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    people: list[tuple[int, str, str]] = field(default_factory=lambda: [(1, "admin", "Admin"), (2, "ann", "Viewer")])
    folders: dict[str, list[dict[str, Any]]] = field(default_factory=_fresh_folders)
    dashboards: dict[str, tuple[str, list[dict[str, Any]]]] = field(
        default_factory=lambda: {uid: (folder, []) for uid, folder in DASHBOARDS.items()}
    )
    writes: list[str] = field(default_factory=list)
    refuse: Callable[[str, str], Answer | None] = lambda method, path: None
    stall_at: int = 0
    stall_after: bool = False
    token_day_limit: int = 90
    token_max_seconds: int | None = 90 * 86400
    knows_role_none: bool = True
    reached: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    next_id: int = 10
    asked_by_password: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def content(self) -> dict[str, Any]:
        """The state without ids."""
        names = {("teamId", number): name for number, name in self.teams.items()}
        names |= {("userId", number): account["name"] for number, account in self.accounts.items()}
        return {
            "teams": sorted(self.teams.values()),
            "accounts": sorted((account["name"], account["role"]) for account in self.accounts.values()),
            "places": {
                uid: sorted(
                    (names.get((kind, who), str(who)), item["permission"])
                    for item in items
                    for kind, who in item.items()
                    if kind != "permission"
                )
                for uid, items in self._places().items()
            },
        }

    def _places(self) -> dict[str, list[dict[str, Any]]]:
        return {**self.folders, **{uid: items for uid, (_, items) in self.dashboards.items()}}

    def answer(self, method: str, target: str, body: Any) -> Answer:
        """The response to an authenticated request."""
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        refusal = self.refuse(method, parts.path)
        if refusal is not None:
            return refusal
        for route_method, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, parts.path)
            if match and route_method == method:
                return handler(self, match, query if method == "GET" else body)
        return 404, {"message": "Not found"}

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id


def _page(found: list[Any], key: str, query: dict[str, str]) -> Answer:
    # Smaller pages than requested, as a server may return.
    size, page = min(int(query["perpage"]), 3), int(query["page"])
    assert set(query) == {"perpage", "page"}
    shown = found[(page - 1) * size : page * size]
    return 200, {"totalCount": len(found), key: shown, "page": page, "perPage": size}


def _teams(grafana: FakeGrafana, _: re.Match[str], query: Any) -> Answer:
    found = [
        {"id": number, "orgId": 1, "name": name, "email": "", "avatarUrl": "", "memberCount": 0}
        for number, name in sorted(grafana.teams.items())
    ]
    return _page(found, "teams", query)


def _create_team(grafana: FakeGrafana, _: re.Match[str], body: Any) -> Answer:
    if not isinstance(body.get("name"), str):
        return 400, {"message": "bad request data"}
    if body["name"] in grafana.teams.values():
        return 409, {"message": "Team name taken"}
    number = grafana.new_id()
    grafana.teams[number] = body["name"]
    if grafana.asked_by_password:
        grafana.members[number] = ["admin"]
    return 200, {"message": "Team created", "teamId": number, "uid": f"team{number}"}


def _members(grafana: FakeGrafana, match: re.Match[str], _: Any) -> Answer:
    number = int(match[1])
    # Also for an unknown team.
    return 200, [
        {"orgId": 1, "teamId": number, "userId": 2, "email": "", "login": login, "avatarUrl": ""}
        for login in grafana.members.get(number, [])
    ]


def _accounts(grafana: FakeGrafana, _: re.Match[str], query: Any) -> Answer:
    found = [_account(number, account) for number, account in sorted(grafana.accounts.items())]
    return _page(found, "serviceAccounts", query)


def _account(number: int, account: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "login": f"sa-{account['name']}", "orgId": 1, "tokens": 0, "avatarUrl": "", **account}


def _create_account(grafana: FakeGrafana, _: re.Match[str], body: Any) -> Answer:
    roles = ("Viewer", "Editor", "Admin", *(("None",) if grafana.knows_role_none else ()))
    if body["role"] not in roles:
        return 400, {"message": "invalid role specified"}
    if any(account["name"] == body["name"] for account in grafana.accounts.values()):
        return 400, {"message": "Failed to create service account"}
    number = grafana.new_id()
    grafana.accounts[number] = {key: body[key] for key in ("name", "role", "isDisabled")}
    return 201, _account(number, grafana.accounts[number]) | {"teams": []}


def _patch_account(grafana: FakeGrafana, match: re.Match[str], body: Any) -> Answer:
    account = grafana.accounts.get(int(match[1]))
    if account is None:
        return 404, {"message": "Failed to retrieve service account"}
    account.update({key: body[key] for key in ("name", "role") if key in body})
    return 200, {"message": "Service account updated", "id": int(match[1]), "name": account["name"]}


def _tokens(grafana: FakeGrafana, match: re.Match[str], _: Any) -> Answer:
    return 200, grafana.tokens.get(int(match[1]), [])


def _create_token(grafana: FakeGrafana, match: re.Match[str], body: Any) -> Answer:
    number = int(match[1])
    if number not in grafana.accounts:
        return 404, {"message": "Failed to retrieve service account"}
    seconds = int(body.get("secondsToLive") or 0)
    refusal = _token_refusal(grafana, seconds)
    if refusal is not None:
        return refusal
    existing = grafana.tokens.setdefault(number, [])
    if any(token["name"] == body["name"] for token in existing):
        return 409, {"message": "service account token with given name already exists in the organization"}
    expires = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    existing.append(token(grafana.new_id(), body["name"], f"{expires:%Y-%m-%dT%H:%M:%SZ}" if seconds else None))
    return 200, {"id": existing[-1]["id"], "name": body["name"], "key": f"glsa_key-of-{body['name']}"}


def _token_refusal(grafana: FakeGrafana, seconds: int) -> Answer | None:
    if grafana.token_max_seconds is not None:
        if seconds == 0:
            return 400, {"message": "Number of seconds before expiration should be set"}
        if seconds > grafana.token_max_seconds:
            return 400, {"message": "Number of seconds before expiration is greater than the global limit"}
    if seconds > grafana.token_day_limit * 86400:
        # A JSON string instead of an object.
        return 400, json.dumps("The expiration date input exceeds the limit for service account access tokens")
    return None


def token(number: int, name: str, expiration: str | None, *, expired: bool = False) -> dict[str, Any]:
    """A token, as in Grafana's list of tokens."""
    return {
        "id": number,
        "name": name,
        "created": "2026-11-25T10:31:02Z",
        "expiration": expiration,
        "secondsUntilExpiration": 0,
        "hasExpired": expired,
        "isRevoked": False,
    }


def _people(grafana: FakeGrafana, _: re.Match[str], __: Any) -> Answer:
    return 200, [
        {"orgId": 1, "userId": number, "email": "", "login": login, "role": role}
        for number, login, role in grafana.people
    ]


def _permissions(grafana: FakeGrafana, match: re.Match[str], _: Any) -> Answer:
    items = grafana.folders.get(match[1])
    if items is None:
        return 404, {"message": "folder not found", "status": "not-found"}
    return 200, _listed(items, match[1])


def _dashboard_permissions(grafana: FakeGrafana, match: re.Match[str], _: Any) -> Answer:
    if match[1] not in grafana.dashboards:
        return 404, {"message": "Dashboard not found"}
    # Permissions of its folder are not listed.
    return 200, _listed(grafana.dashboards[match[1]][1], match[1])


def _listed(items: list[dict[str, Any]], uid: str) -> list[dict[str, Any]]:
    return [
        {
            "folderUid": "",
            "userId": 0,
            "userLogin": "",
            "teamId": 0,
            "team": "",
            "uid": uid,
            "isFolder": True,
            "inherited": False,
            **item,
        }
        for item in items
    ]


def _set_permissions(grafana: FakeGrafana, match: re.Match[str], body: Any) -> Answer:
    if match[1] not in grafana.folders:
        return 404, {"message": "folder not found", "status": "not-found"}
    items = _items(grafana, body)
    if items is None:
        return 500, {"message": "Failed to create permission"}
    grafana.folders[match[1]] = items
    return 200, {"message": "Dashboard permissions updated"}


def _set_dashboard_permissions(grafana: FakeGrafana, match: re.Match[str], body: Any) -> Answer:
    if match[1] not in grafana.dashboards:
        return 404, {"message": "Dashboard not found"}
    items = _items(grafana, body)
    if items is None:
        return 500, {"message": "Failed to create permission"}
    grafana.dashboards[match[1]] = (grafana.dashboards[match[1]][0], items)
    return 200, {"message": "Dashboard permissions updated"}


def _items(grafana: FakeGrafana, body: Any) -> list[dict[str, Any]] | None:
    """The permissions as stored; None if one is for an unknown team or user."""
    known: dict[str, Container[Any]] = {"teamId": grafana.teams, "userId": grafana.accounts}
    kept = []
    for item in body["items"]:
        kinds = [kind for kind in ("teamId", "userId", "role") if kind in item]
        if any(item[kind] not in known.get(kind, (item[kind],)) for kind in kinds):
            return None
        # An unknown level is accepted and grants nothing.
        if item["permission"] in (1, 2, 4):
            kept.append({key: item[key] for key in (*kinds, "permission")})
    return kept


_ROUTES: list[tuple[str, str, Callable[[FakeGrafana, re.Match[str], Any], Answer]]] = [
    ("GET", "/api/teams/search", _teams),
    ("POST", "/api/teams", _create_team),
    ("GET", r"/api/teams/(\d+)/members", _members),
    ("GET", "/api/serviceaccounts/search", _accounts),
    ("POST", "/api/serviceaccounts", _create_account),
    ("PATCH", r"/api/serviceaccounts/(\d+)", _patch_account),
    ("GET", r"/api/serviceaccounts/(\d+)/tokens", _tokens),
    ("POST", r"/api/serviceaccounts/(\d+)/tokens", _create_token),
    ("GET", "/api/org/users", _people),
    ("GET", "/api/folders/([^/]+)/permissions", _permissions),
    ("POST", "/api/folders/([^/]+)/permissions", _set_permissions),
    ("GET", "/api/dashboards/uid/([^/]+)/permissions", _dashboard_permissions),
    ("POST", "/api/dashboards/uid/([^/]+)/permissions", _set_dashboard_permissions),
]


@contextmanager
def listening(grafana: FakeGrafana, encryption: ssl.SSLContext | None = None) -> Iterator[str]:
    """Its URL, while it is running."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(grafana))
    if encryption:
        server.socket = encryption.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http{'s' if encryption else ''}://127.0.0.1:{server.server_port}"
    finally:
        grafana.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _refusal(credentials: str | None, content: bytes, content_type: str | None) -> Answer | None:
    basic = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    if credentials == OF_A_VIEWER:
        needed = "You'll need additional permissions to perform this action. Permissions needed: teams:create"
        return 403, {"accessErrorId": "ACE0000000001", "message": needed, "title": "Access denied"}
    if credentials not in (f"Bearer {TOKEN}", basic):
        by_key = (credentials or "").startswith("Bearer ")
        return 401, {"message": "invalid API key" if by_key else "invalid username or password"}
    if content and content_type != "application/json":
        return 415, {"message": "Unsupported media type"}
    return None


def _handler(grafana: FakeGrafana) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            refusal = _refusal(self.headers.get("Authorization"), content, self.headers.get("Content-Type"))
            if refusal:
                self._send(*refusal)
            else:
                self._answer(json.loads(content) if content else None)

        def _answer(self, body: Any) -> None:
            writes = self.command != "GET"
            with grafana.lock:
                grafana.asked_by_password = str(self.headers.get("Authorization")).startswith("Basic ")
                if writes:
                    grafana.writes.append(f"{self.command} {self.path}")
                stalls = writes and len(grafana.writes) == grafana.stall_at
                answer = (0, None)
                if not stalls or grafana.stall_after:
                    answer = grafana.answer(self.command, self.path, body)
            if stalls:
                grafana.reached.set()
                grafana.ended.wait(60)
                self.close_connection = True
                return
            self._send(*answer)

        def _send(self, status: int, content: Any) -> None:
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

    return Handler
