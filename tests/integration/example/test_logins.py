"""Logging in to a running service over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pyotp
import pytest

from examples.demo.service import TrustService
from testbed.load_generator import totp
from tests.integration.example.conftest import Account, bearer

Create = Callable[..., Account]
LogIn = Callable[..., httpx.Response]


def test_a_session_lasts_from_login_to_logout(client: httpx.Client, create: Create, log_in: LogIn) -> None:
    create("anna")
    token = bearer(log_in("anna", address="192.0.2.1"))
    assert client.get("/me", headers=token).json()["name"] == "anna"
    assert client.post("/logout", headers=token).status_code == 204
    assert client.get("/me", headers=token).status_code == 401


@pytest.mark.parametrize(("name", "password"), [("bert", "wrong"), ("nobody", "wrong"), ("bert", "")])
def test_a_wrong_password_and_an_unknown_name_get_the_same_response(
    create: Create, log_in: LogIn, name: str, password: str
) -> None:
    create("bert")
    refused = log_in(name, password, address="192.0.2.2")
    assert (refused.status_code, refused.json()) == (401, {"detail": "wrong name or password"})


def test_with_totp_the_password_alone_gives_no_access(client: httpx.Client, create: Create, log_in: LogIn) -> None:
    secret = create("carl", totp=True).totp_secret
    assert secret is not None
    started = log_in("carl", address="192.0.2.3")
    assert started.json()["totp_required"]
    assert client.get("/me", headers=bearer(started)).status_code == 401
    code = pyotp.TOTP(secret).now()
    assert client.post("/login/totp", headers=bearer(started), json={"code": code}).status_code == 204
    assert client.get("/me", headers=bearer(started)).status_code == 200


def test_a_wrong_totp_code_ends_the_session(client: httpx.Client, create: Create, log_in: LogIn) -> None:
    secret = create("dora", totp=True).totp_secret
    assert secret is not None
    token = bearer(log_in("dora", address="192.0.2.4"))
    wrong, right = totp.wrong_code(secret), pyotp.TOTP(secret).now()
    assert client.post("/login/totp", headers=token, json={"code": wrong}).status_code == 401
    assert client.post("/login/totp", headers=token, json={"code": right}).status_code == 401
    assert client.get("/me", headers=token).status_code == 401


def test_logins_are_rate_limited_per_address(create: Create, log_in: LogIn) -> None:
    create("emil")
    statuses = [log_in("emil", "wrong", address="203.0.113.7").status_code for _ in range(15)]
    assert statuses[:10] == [401] * 10
    assert 429 in statuses[10:]
    assert log_in("emil", address="203.0.113.8").status_code == 200


def test_a_blocked_address_is_rejected(
    service: TrustService, client: httpx.Client, create: Create, log_in: LogIn
) -> None:
    create("frida")
    token = {"authorization": f"Bearer {service.admin_token}"}
    assert client.put("/admin/blocklist/203.0.113.66", headers=token).status_code == 204
    assert log_in("frida", address="203.0.113.66").status_code == 403
    assert log_in("frida", address="203.0.113.67").status_code == 200


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        ("operator", "/certificates/0", 404),
        ("clerk", "/certificates/0", 403),
        ("clerk", "/documents/0", 404),
        ("auditor", "/documents/0", 403),
        ("auditor", "/audit", 200),
        ("operator", "/audit", 403),
    ],
)
def test_each_role_can_access_its_own_paths_only(
    client: httpx.Client, create: Create, log_in: LogIn, role: str, path: str, status: int
) -> None:
    create(f"some-{role}", role)
    token = bearer(log_in(f"some-{role}", address="192.0.2.5"))
    assert client.get(path, headers=token).status_code == status


@pytest.mark.parametrize("token", [None, "Bearer", "Bearer wrong", "Basic wrong"])
def test_the_admin_api_requires_its_token(client: httpx.Client, token: str | None) -> None:
    headers = {} if token is None else {"authorization": token}
    assert client.put("/admin/blocklist/192.0.2.9", headers=headers).status_code == 401


def test_the_admin_api_is_disabled_without_a_configured_token(tmp_path_factory: pytest.TempPathFactory) -> None:
    closed = {"OTEL_METRICS_EXPORTER": "none", "TRUST_SERVICE_ADMIN_TOKEN": ""}
    with TrustService(tmp_path_factory.mktemp("closed"), closed) as service:
        answer = httpx.put(
            f"{service.url}/admin/blocklist/192.0.2.9", headers={"authorization": "Bearer x"}, trust_env=False
        )
    assert answer.status_code == 503
