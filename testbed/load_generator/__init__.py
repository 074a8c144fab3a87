"""Realistic, seeded traffic for the example service, with the expected totals of its metrics."""

from __future__ import annotations

from testbed.load_generator.errors import SimulationError
from testbed.load_generator.fuzz import hostile_requests
from testbed.load_generator.population import CLIENT_NAMES, DOCUMENT_TYPES, REPUTATION_FEED
from testbed.load_generator.run import Progress, SimulationConfig, SimulationReport, run_simulation

__all__ = [
    "CLIENT_NAMES",
    "DOCUMENT_TYPES",
    "REPUTATION_FEED",
    "Progress",
    "SimulationConfig",
    "SimulationError",
    "SimulationReport",
    "hostile_requests",
    "run_simulation",
]
