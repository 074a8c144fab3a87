"""Faults that the example service injects on request through its admin API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from testbed.load_generator.scenarios.scenario import Scenario, Target


def _fault(name: str) -> Callable[[Target, float], Awaitable[None]]:
    async def run(target: Target, seconds: float) -> None:
        await target.administer(
            "/admin/faults/{fault}", {"seconds": seconds}, action="fault.begin", path=f"/admin/faults/{name}"
        )
        await asyncio.sleep(seconds)

    return run


AUDIT_GAP = Scenario(
    "audit-gap",
    "privileged operations leave no audit record",
    _fault("audit-lost"),
)
DATABASE_DOWN = Scenario(
    "database-down",
    "the database refuses every connection",
    _fault("database-unreachable"),
)
POOL_EXHAUSTED = Scenario(
    "pool-exhausted",
    "all database connections are in use",
    _fault("pool-exhausted"),
)
SLA_VIOLATION = Scenario(
    "sla-violation",
    "the country registers are slow, so documents miss the SLA",
    _fault("registers-slow"),
)
