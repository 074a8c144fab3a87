"""Auditors, and those who look for doors that are not there."""

from __future__ import annotations

from testbed.load_generator.operations.act import Act
from testbed.load_generator.state import Operation, World, one_of
from trust_otel.semconv import metrics

_SCANNED = ("/.env", "/wp-login.php", "/phpmyadmin/", "/server-status", "/.git/config")


async def _read_audit_log(world: World, operation: Operation) -> None:
    await _ask_for_audit_log(world, operation, "auditor", 200)


async def _read_audit_log_without_right(world: World, operation: Operation) -> None:
    await _ask_for_audit_log(world, operation, "operator", 403)


async def _ask_for_audit_log(world: World, operation: Operation, role: str, status: int) -> None:
    await world.web.send(
        "GET",
        "/audit",
        expect=(status,),
        touches=(metrics.TRUST_AUTHZ_DECISIONS,),
        address=operation.address,
        token=world.account(role, operation).token,
    )
    world.truth.authorization("audit", granted=status == 200)


async def _scan(world: World, operation: Operation) -> None:
    await world.web.send("GET", "", expect=(404,), path=one_of(_SCANNED, operation), address=operation.address)


ACTS = {
    "audit.read": Act(1, _read_audit_log),
    "audit.read.denied": Act(0.2, _read_audit_log_without_right),
    "scan": Act(1, _scan, alarming=True),
}
