from __future__ import annotations

import asyncio

from testbed.load_generator.scenarios.scenario import Scenario, Target


async def _expire(target: Target, seconds: float) -> None:
    """The signer's certificate expires after half of the time and is renewed at the end."""
    try:
        await _renew(target, {"validity_seconds": max(1, round(seconds / 2))})
        await asyncio.sleep(seconds)
    finally:
        await _renew(target, {})


async def _renew(target: Target, wanted: dict[str, int]) -> None:
    await target.administer("/admin/signer/renew", wanted, action="signer.renew")
    target.state.expected.certificate("renewal", "document_signer", None)


EXPIRY = Scenario(
    "expiry",
    "the document signer's certificate expires and is renewed",
    _expire,
)
