"""Operations of clients of the timestamping authority."""

from __future__ import annotations

from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.state import Operation, State
from testbed.load_generator.timestamps import failure_of, timestamp_query
from trust_otel.semconv import metrics

_METRICS = (
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
    metrics.TRUST_TIMESTAMP_RESPONSES,
    metrics.TRUST_TIMESTAMP_ACCURACY,
)
_OTHER_POLICY = "1.3.6.1.4.1.32473.1"  # RFC 5612


async def _request(state: State, operation: Operation) -> None:
    await _post(state, operation, timestamp_query(_data(operation), nonce=operation.pick))


async def _request_with_weak_algorithm(state: State, operation: Operation) -> None:
    await _post(state, operation, timestamp_query(_data(operation), algorithm="sha1"))


async def _request_with_other_policy(state: State, operation: Operation) -> None:
    await _post(state, operation, timestamp_query(_data(operation), policy=_OTHER_POLICY))


async def _request_malformed(state: State, operation: Operation) -> None:
    await _post(state, operation, b"not a request")


async def _post(state: State, operation: Operation, query: bytes) -> None:
    response = await state.http.send(
        "POST",
        "/timestamps",
        expect=(200,),
        affected=_METRICS,
        address=operation.address,
        content=query,
        content_type="application/timestamp-query",
    )
    state.expected.timestamp(failure_of(response.content))


def _data(operation: Operation) -> bytes:
    return f"contract {operation.pick}".encode()


OPERATION_TYPES = {
    "timestamp": OperationType(3, _request),
    "timestamp.weak": OperationType(0.1, _request_with_weak_algorithm),
    "timestamp.other_policy": OperationType(0.1, _request_with_other_policy),
    "timestamp.malformed": OperationType(0.1, _request_malformed),
}
