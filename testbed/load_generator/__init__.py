"""Realistic, seeded traffic for the example service, with the expected totals of its metrics."""

from __future__ import annotations

from testbed.load_generator.errors import LoadGeneratorError
from testbed.load_generator.fuzz import send_fuzzed_requests
from testbed.load_generator.population import CERTIFICATE_PROFILES, CLIENT_NAMES, DOCUMENT_TYPES, REPUTATION_FEED
from testbed.load_generator.run import LoadConfig, LoadReport, Progress, generate_load

__all__ = [
    "CERTIFICATE_PROFILES",
    "CLIENT_NAMES",
    "DOCUMENT_TYPES",
    "REPUTATION_FEED",
    "LoadConfig",
    "LoadGeneratorError",
    "LoadReport",
    "Progress",
    "generate_load",
    "send_fuzzed_requests",
]
