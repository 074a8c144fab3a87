"""Permissions by role."""

from __future__ import annotations

from typing import Literal

from trust_otel import get_metrics

metrics = get_metrics()

PersonRole = Literal["operator", "clerk", "auditor"]
MachineRole = Literal["signer", "verifier"]
Resource = Literal["certificate", "revocation", "document", "signature", "audit"]

_GRANTS: dict[str, frozenset[Resource]] = {
    "operator": frozenset({"certificate", "revocation", "document", "signature"}),
    "clerk": frozenset({"document", "revocation"}),
    "auditor": frozenset({"audit"}),
    "signer": frozenset({"certificate", "signature"}),
    "verifier": frozenset({"certificate"}),
}


def may(role: str, resource: Resource) -> bool:
    granted = resource in _GRANTS.get(role, frozenset())
    metrics.record_authorization(granted=granted, resource_type=resource)
    return granted
