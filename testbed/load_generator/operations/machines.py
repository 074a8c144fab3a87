"""Operations of machine accounts over gRPC: unary, client, server and bidirectional streaming calls."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.load_generator.errors import LoadGeneratorError, NoResponseError, UnexpectedResponseError
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.state import Issued, MachineAccount, Operation, State, one_of
from trust_otel.semconv import metrics

if TYPE_CHECKING:
    from testbed.load_generator.grpc_client import GrpcClient, Reply

_SERVICE = "trust.v1.TrustService"
# The instrumentation's name for every method that the service does not implement.
_UNKNOWN_METHOD = "_OTHER"
_UNKNOWN_TYPE = "shopping_list"
_LONG_SIZE = 5

_RPC_METRICS = (
    metrics.RPC_SERVER_CALL_DURATION,
    metrics.TRUST_RPC_SERVER_MESSAGES,
)
_CALL_METRICS = (
    metrics.TRUST_AUTH_ATTEMPTS,
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
    metrics.TRUST_COMPLIANCE_CHECKS,
    metrics.TRUST_AUDIT_EVENTS,
    metrics.TRUST_SECURITY_INCIDENTS,
)


async def _call(state: State, method: str, call: Awaitable[Reply], *, expect: str, received: int, sent: int) -> Reply:
    """Make a call and add it to the expected totals, with the messages that the service received and sent."""
    rpc_method = method if method == _UNKNOWN_METHOD else f"{_SERVICE}/{method}"
    try:
        reply = await call
        if reply.status != expect:
            raise UnexpectedResponseError(f"{method}: {reply.status}")
    except (NoResponseError, UnexpectedResponseError):
        _mark_uncertain(state, rpc_method)
        raise
    state.expected.rpc(rpc_method, reply.status, received=received, sent=sent)
    return reply


def _mark_uncertain(state: State, rpc_method: str) -> None:
    for metric in _RPC_METRICS:
        state.expected.mark_uncertain(metric, rpc_method=rpc_method)
    for metric in _CALL_METRICS:
        state.expected.mark_uncertain(metric)


def _client(state: State) -> GrpcClient:
    if state.grpc is None:
        raise LoadGeneratorError("gRPC is disabled")
    return state.grpc


def _expect_authorization(state: State, caller: MachineAccount, resource: str, *, granted: bool = True) -> None:
    state.expected.authentication("token", success=True, country=caller.machine.country)
    state.expected.authorization(resource, granted=granted)


def _some(state: State, operation: Operation) -> list[Issued]:
    """Valid certificates of one type; lists of `_LONG_SIZE` and more end with a revoked one."""
    wanted = operation.certificate_type
    good = [c for c in state.good if c.certificate_type == wanted]
    revoked = [c for c in state.revoked if c.certificate_type == wanted]
    some = [good[(operation.pick + step) % len(good)] for step in range(operation.size)]
    return some if operation.size < _LONG_SIZE else [*some, one_of(revoked, operation)]


def _with_unknown_type(state: State, operation: Operation) -> list[Issued]:
    """Valid certificates, and then one of a type that the service does not know."""
    some = _some(state, replace(operation, size=_LONG_SIZE - 1))
    return [*some, replace(some[0], certificate_type=_UNKNOWN_TYPE)]


async def _validate(state: State, operation: Operation) -> None:
    await _call_validate(state, one_of(state.good, operation))


async def _validate_revoked(state: State, operation: Operation) -> None:
    await _call_validate(state, one_of(state.revoked, operation))


async def _call_validate(state: State, candidate: Issued) -> None:
    caller = state.machine_accounts["verifier"]
    call = _client(state).validate(caller.token, candidate)
    reply = await _call(state, "Validate", call, expect="OK", received=1, sent=1)
    _expect_authorization(state, caller, "certificate")
    _validated(state, candidate.certificate_type, reply.responses[0].reason)


async def _validate_unknown_type(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidate = replace(one_of(state.good, operation), certificate_type=_UNKNOWN_TYPE)
    call = _client(state).validate(caller.token, candidate)
    await _call(state, "Validate", call, expect="INVALID_ARGUMENT", received=1, sent=0)
    _expect_authorization(state, caller, "certificate")


async def _validate_unauthenticated(state: State, operation: Operation) -> None:
    call = _client(state).validate("stranger", one_of(state.good, operation))
    await _call(state, "Validate", call, expect="UNAUTHENTICATED", received=1, sent=0)
    state.expected.authentication("token", success=False)


async def _sign(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["signer"]
    call = _client(state).sign(caller.token, str(operation.pick).encode(), "sha384")
    await _call(state, "Sign", call, expect="OK", received=1, sent=1)
    _signed(state, caller, None)


async def _sign_with_weak_algorithm(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["signer"]
    call = _client(state).sign(caller.token, str(operation.pick).encode(), "sha1")
    await _call(state, "Sign", call, expect="FAILED_PRECONDITION", received=1, sent=0)
    _signed(state, caller, "signature_policy")


def _signed(state: State, caller: MachineAccount, problem: str | None) -> None:
    _expect_authorization(state, caller, "signature")
    state.expected.compliance("eidas", "signature_policy", passed=problem is None)
    state.expected.certificate("signing", "document_signer", problem)
    state.expected.audit("document.sign", success=problem is None)


async def _sign_without_permission(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    call = _client(state).sign(caller.token, str(operation.pick).encode(), "sha256")
    await _call(state, "Sign", call, expect="PERMISSION_DENIED", received=1, sent=0)
    _expect_authorization(state, caller, "signature", granted=False)
    state.expected.audit("document.sign", success=False)


async def _batch(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _some(state, operation)
    call = _client(state).validate_batch(caller.token, candidates)
    reply = await _call(state, "ValidateBatch", call, expect="OK", received=len(candidates), sent=1)
    _expect_authorization(state, caller, "certificate")
    verdicts = reply.responses[0]
    _validated(state, operation.certificate_type, "", times=verdicts.valid)
    for reason, times in verdicts.invalid.items():
        _validated(state, operation.certificate_type, reason, times=times)


async def _invalid_batch(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _with_unknown_type(state, operation)
    good = len(candidates) - 1
    call = _client(state).validate_batch(caller.token, candidates, hold=True)
    await _call(state, "ValidateBatch", call, expect="INVALID_ARGUMENT", received=good + 1, sent=0)
    _expect_authorization(state, caller, "certificate")
    _validated(state, operation.certificate_type, "", times=good)


async def _list(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    call = _client(state).list_certificates(caller.token, operation.certificate_type, operation.size)
    # Setup issued more certificates of each type than the largest limit.
    await _call(state, "ListCertificates", call, expect="OK", received=1, sent=operation.size)
    _expect_authorization(state, caller, "certificate")


async def _stream(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _some(state, operation)
    number = len(candidates)
    call = _client(state).validate_stream(caller.token, candidates)
    reply = await _call(state, "ValidateStream", call, expect="OK", received=number, sent=number)
    _expect_authorization(state, caller, "certificate")
    for response in reply.responses:
        _validated(state, operation.certificate_type, response.reason)


async def _invalid_stream(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _with_unknown_type(state, operation)
    good = len(candidates) - 1
    call = _client(state).validate_stream(caller.token, candidates, hold=True)
    await _call(state, "ValidateStream", call, expect="INVALID_ARGUMENT", received=good + 1, sent=good)
    _expect_authorization(state, caller, "certificate")
    _validated(state, operation.certificate_type, "", times=good)


async def _stream_unauthenticated(state: State, _operation: Operation) -> None:
    # The service rejects unauthenticated callers before it reads a message.
    call = _client(state).validate_stream("stranger", [], hold=True)
    await _call(state, "ValidateStream", call, expect="UNAUTHENTICATED", received=0, sent=0)
    state.expected.authentication("token", success=False)


async def _call_missing_method(state: State, _operation: Operation) -> None:
    call = _client(state).call_missing_method(state.machine_accounts["verifier"].token)
    await _call(state, _UNKNOWN_METHOD, call, expect="UNIMPLEMENTED", received=0, sent=0)


def _validated(state: State, certificate_type: str, reason: str, *, times: int = 1) -> None:
    for _ in range(times):
        state.expected.certificate("validation", certificate_type, reason or None)


OPERATION_TYPES = {
    "rpc.validate": OperationType(6, _validate),
    "rpc.validate.revoked": OperationType(0.1, _validate_revoked),
    "rpc.validate.unknown_type": OperationType(0.2, _validate_unknown_type),
    # All calls come from one address.
    "rpc.validate.stranger": OperationType(0.2, _validate_unauthenticated, may_alert=True),
    "rpc.sign": OperationType(2, _sign),
    "rpc.sign.weak": OperationType(0.1, _sign_with_weak_algorithm, may_alert=True),
    "rpc.sign.denied": OperationType(0.2, _sign_without_permission),
    "rpc.batch": OperationType(1.5, _batch),
    "rpc.batch.broken": OperationType(0.1, _invalid_batch),
    "rpc.list": OperationType(2, _list),
    "rpc.stream": OperationType(1.5, _stream),
    "rpc.stream.broken": OperationType(0.1, _invalid_stream),
    "rpc.stream.stranger": OperationType(0.1, _stream_unauthenticated, may_alert=True),
    "rpc.missing_method": OperationType(0.1, _call_missing_method),
}
