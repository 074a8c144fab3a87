"""Everything that the simulation can do, with how often it does it."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.load_generator.operations import certificates, documents, logins, machines, others, signatures
from testbed.load_generator.operations.act import Act

PEOPLE_ACTS: dict[str, Act] = {
    **logins.ACTS,
    **documents.ACTS,
    **certificates.ACTS,
    **signatures.ACTS,
    **others.ACTS,
}
MACHINE_ACTS: dict[str, Act] = machines.ACTS
ALL_ACTS = {**PEOPLE_ACTS, **MACHINE_ACTS}


def calm_acts(acts: Mapping[str, Act]) -> dict[str, Act]:
    """Those that no alert may rightly follow."""
    return {name: act for name, act in acts.items() if not act.alarming}
