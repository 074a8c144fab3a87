from __future__ import annotations

import asyncio

import httpx

from testbed.load_generator.errors import LoadGeneratorError
from testbed.load_generator.scenarios.scenario import Scenario, Target


async def _seal(target: Target, seconds: float) -> None:
    if target.vault_url is None or target.vault_token is None:
        raise LoadGeneratorError("the scenario vault-sealed needs --vault-url and --vault-token")
    headers = {"x-vault-token": target.vault_token}
    async with httpx.AsyncClient(base_url=target.vault_url, headers=headers, trust_env=False) as vault:
        await _put(vault, "/v1/sys/seal", None)
        try:
            await asyncio.sleep(seconds)
        finally:
            await _put(vault, "/v1/sys/unseal", {"key": target.vault_token})


async def _put(vault: httpx.AsyncClient, path: str, body: object) -> None:
    try:
        response = await vault.put(path, json=body)
    except httpx.TransportError as error:
        raise LoadGeneratorError(f"the Vault does not respond: {error!r}") from error
    if not response.is_success:
        raise LoadGeneratorError(f"PUT {path}: {response.status_code} {response.text[:200]}")


VAULT_SEALED = Scenario(
    "vault-sealed",
    "the Vault is sealed for the whole time",
    _seal,
)
