"""Realistic, seeded traffic for the example service, and the totals that it must have caused."""

from __future__ import annotations

from .errors import SimulationError
from .hostile import hostile_requests
from .population import CLIENT_NAMES, DOCUMENT_TYPES, REPUTATION_FEED
from .run import Progress, SimulationConfig, SimulationReport, run_simulation

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
