from __future__ import annotations

import asyncio

from testbed.load_generator.scenarios.scenario import Scenario, Target


async def _stay_away(target: Target, seconds: float) -> None:
    target.state.business = False
    try:
        await asyncio.sleep(seconds)
    finally:
        target.state.business = True


REVENUE_DROP = Scenario(
    "revenue-drop",
    "nobody hands in documents, so that volume and revenue fall",
    _stay_away,
)
