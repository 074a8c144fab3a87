from __future__ import annotations

import asyncio

from testbed.load_generator.scenarios.scenario import Scenario, Target


async def _stop_submissions(target: Target, seconds: float) -> None:
    target.state.business = False
    try:
        await asyncio.sleep(seconds)
    finally:
        target.state.business = True


REVENUE_DROP = Scenario(
    "revenue-drop",
    "no documents are submitted, so volume and revenue drop",
    _stop_submissions,
)
