"""The example service in its own process, and fixtures that create accounts and log in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from examples.demo.service import TrustService

PASSWORD = "correct horse battery staple"


@dataclass
class Account:
    name: str
    totp_secret: str | None


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustService]:
    with TrustService(tmp_path_factory.mktemp("service"), {"OTEL_METRICS_EXPORTER": "none"}) as running:
        yield running


@pytest.fixture
def client(service: TrustService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        yield client


@pytest.fixture
def create(service: TrustService, client: httpx.Client) -> Callable[..., Account]:
    def create(name: str, role: str = "operator", *, totp: bool = False) -> Account:
        created = client.put(
            f"/admin/accounts/{name}",
            headers={"authorization": f"Bearer {service.admin_token}"},
            json={"password": PASSWORD, "role": role, "country": "DE", "client": "acme", "totp": totp},
        )
        assert created.status_code == 201
        return Account(name, created.json()["totp_secret"])

    return create


@pytest.fixture
def log_in(client: httpx.Client) -> Callable[..., httpx.Response]:
    """Log in from a client address."""

    def log_in(name: str, password: str = PASSWORD, *, address: str) -> httpx.Response:
        return client.post("/login", json={"name": name, "password": password}, headers={"x-forwarded-for": address})

    return log_in


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"authorization": f"Bearer {answer.json()['token']}"}
