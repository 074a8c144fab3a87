"""Fault scenarios that run beside the traffic. Each ends by itself and restores the normal state."""

from __future__ import annotations

from testbed.load_generator.scenarios import attack, business, expiry, faults, vault
from testbed.load_generator.scenarios.scenario import Scenario, Target

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        attack.ATTACK,
        faults.AUDIT_GAP,
        faults.DATABASE_DOWN,
        expiry.EXPIRY,
        faults.POOL_EXHAUSTED,
        business.REVENUE_DROP,
        faults.SLA_VIOLATION,
        vault.VAULT_SEALED,
    )
}

__all__ = ["SCENARIOS", "Scenario", "Target"]
