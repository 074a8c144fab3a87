"""The fake Vault responds like the Vault API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from examples.demo.vault import create_app


@pytest.fixture
async def vault(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://vault") as client:
        yield client


async def test_a_sealed_vault_answers_503_until_it_is_unsealed(vault: httpx.AsyncClient) -> None:
    statuses = [(await vault.get("/v1/sys/health")).status_code]
    assert (await vault.put("/v1/sys/seal", headers={"x-vault-token": "the-token"})).status_code == 204
    sealed = await vault.get("/v1/sys/health")
    assert (await vault.put("/v1/sys/unseal", json={"key": "the-token"})).json()["sealed"] is False
    statuses += [sealed.status_code, (await vault.get("/v1/sys/health")).status_code]
    assert statuses == [200, 503, 200]
    assert sealed.json()["sealed"] is True


async def test_sealing_and_unsealing_require_the_token(vault: httpx.AsyncClient) -> None:
    assert (await vault.put("/v1/sys/seal", headers={"x-vault-token": "guess"})).status_code == 403
    assert (await vault.put("/v1/sys/seal")).status_code == 403
    await vault.put("/v1/sys/seal", headers={"x-vault-token": "the-token"})
    for body in (b'{"key": "guess"}', b"{}", b"no JSON", b"[]"):
        assert (await vault.put("/v1/sys/unseal", content=body)).status_code == 400
    assert (await vault.get("/v1/sys/health")).status_code == 503
