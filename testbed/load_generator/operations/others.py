"""Auditors, and those who look for doors that are not there."""

from __future__ import annotations

from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.state import Operation, State, one_of
from trust_otel.semconv import metrics

_SCANNED = ("/.env", "/wp-login.php", "/phpmyadmin/", "/server-status", "/.git/config")


async def _read_audit_log(state: State, operation: Operation) -> None:
    await _ask_for_audit_log(state, operation, "auditor", 200)


async def _read_audit_log_without_right(state: State, operation: Operation) -> None:
    await _ask_for_audit_log(state, operation, "operator", 403)


async def _ask_for_audit_log(state: State, operation: Operation, role: str, status: int) -> None:
    await state.web.send(
        "GET",
        "/audit",
        expect=(status,),
        touches=(metrics.TRUST_AUTHZ_DECISIONS,),
        address=operation.address,
        token=state.account(role, operation).token,
    )
    state.expected.authorization("audit", granted=status == 200)


async def _scan(state: State, operation: Operation) -> None:
    await state.web.send("GET", "", expect=(404,), path=one_of(_SCANNED, operation), address=operation.address)


OPERATION_TYPES = {
    "audit.read": OperationType(1, _read_audit_log),
    "audit.read.denied": OperationType(0.2, _read_audit_log_without_right),
    "scan": OperationType(1, _scan, alarming=True),
}
