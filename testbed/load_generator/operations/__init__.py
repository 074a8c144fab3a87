"""All operation types of the load generator, with their weights."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.load_generator.operations import (
    certificates,
    documents,
    logins,
    machines,
    others,
    revocations,
    signatures,
    timestamps,
)
from testbed.load_generator.operations.operation_type import OperationType

PEOPLE_OPERATIONS: dict[str, OperationType] = {
    **logins.OPERATION_TYPES,
    **documents.OPERATION_TYPES,
    **certificates.OPERATION_TYPES,
    **revocations.OPERATION_TYPES,
    **signatures.OPERATION_TYPES,
    **timestamps.OPERATION_TYPES,
    **others.OPERATION_TYPES,
}
MACHINE_OPERATIONS: dict[str, OperationType] = machines.OPERATION_TYPES
ALL_OPERATIONS = {**PEOPLE_OPERATIONS, **MACHINE_OPERATIONS}


def calm_operations(operation_types: Mapping[str, OperationType]) -> dict[str, OperationType]:
    """Operation types that must not cause an alert."""
    return {name: operation_type for name, operation_type in operation_types.items() if not operation_type.may_alert}
