"""Everything that the simulation can do, with how often it does it."""

from __future__ import annotations

from . import certificates, documents, logins, machines, others, signatures
from .act import Act

PEOPLE_ACTS: dict[str, Act] = {
    **logins.ACTS,
    **documents.ACTS,
    **certificates.ACTS,
    **signatures.ACTS,
    **others.ACTS,
}
MACHINE_ACTS: dict[str, Act] = machines.ACTS
ALL_ACTS = {**PEOPLE_ACTS, **MACHINE_ACTS}
