"""Reads of the audit log, and path scans."""

from __future__ import annotations

from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.state import Operation, State, one_of
from trust_otel.semconv import metrics

_SCANNED = ("/.env", "/wp-login.php", "/phpmyadmin/", "/server-status", "/.git/config")


async def _read_audit_log(state: State, operation: Operation) -> None:
    await _get_audit_log(state, operation, "auditor", 200)


async def _read_audit_log_without_permission(state: State, operation: Operation) -> None:
    await _get_audit_log(state, operation, "operator", 403)


async def _get_audit_log(state: State, operation: Operation, role: str, status: int) -> None:
    await state.http.send(
        "GET",
        "/audit",
        expect=(status,),
        affected=(metrics.TRUST_AUTHZ_DECISIONS,),
        address=operation.address,
        token=state.account(role, operation).token,
    )
    state.expected.authorization("audit", granted=status == 200)


async def _scan(state: State, operation: Operation) -> None:
    await state.http.send("GET", "", expect=(404,), path=one_of(_SCANNED, operation), address=operation.address)


OPERATION_TYPES = {
    "audit.read": OperationType(1, _read_audit_log),
    "audit.read.denied": OperationType(0.2, _read_audit_log_without_permission),
    "scan": OperationType(1, _scan, may_alert=True),
}
