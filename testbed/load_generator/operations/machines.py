"""Machines that validate and sign over gRPC, with calls of all four kinds."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.load_generator.errors import SimulationError, UnansweredError, UnexpectedAnswerError
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.state import Issued, MachineAccount, Operation, State, one_of
from trust_otel.semconv import metrics

if TYPE_CHECKING:
    from testbed.load_generator.machines import Machines, Reply

_SERVICE = "trust.v1.TrustService"
# What the instrumentation calls every method that the service does not have.
_MISSING = "_OTHER"
_UNKNOWN_TYPE = "shopping_list"
_LONG = 5

_RPC = (
    metrics.RPC_SERVER_CALL_DURATION,
    metrics.TRUST_RPC_SERVER_MESSAGES,
)
_TOUCHED = (
    metrics.TRUST_AUTH_ATTEMPTS,
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
    metrics.TRUST_COMPLIANCE_CHECKS,
    metrics.TRUST_AUDIT_EVENTS,
    metrics.TRUST_SECURITY_INCIDENTS,
)


async def _ask(state: State, method: str, asking: Awaitable[Reply], *, expect: str, received: int, sent: int) -> Reply:
    """Make a call and count it, with the messages that the service then has received and sent."""
    rpc_method = method if method == _MISSING else f"{_SERVICE}/{method}"
    try:
        reply = await asking
        if reply.status != expect:
            raise UnexpectedAnswerError(f"{method}: {reply.status}")
    except (UnansweredError, UnexpectedAnswerError):
        _mark_uncertain(state, rpc_method)
        raise
    state.expected.rpc(rpc_method, reply.status, received=received, sent=sent)
    return reply


def _mark_uncertain(state: State, rpc_method: str) -> None:
    for metric in _RPC:
        state.expected.mark_uncertain(metric, rpc_method=rpc_method)
    for metric in _TOUCHED:
        state.expected.mark_uncertain(metric)


def _client(state: State) -> Machines:
    if state.machines is None:
        raise SimulationError("gRPC is off")
    return state.machines


def _let_in(state: State, caller: MachineAccount, resource: str, *, granted: bool = True) -> None:
    state.expected.authentication("token", success=True, country=caller.machine.country)
    state.expected.authorization(resource, granted=granted)


def _some(state: State, operation: Operation) -> list[Issued]:
    """Good certificates of one type; a longer list ends with a revoked one."""
    wanted = operation.certificate_type
    good = [c for c in state.good if c.certificate_type == wanted]
    revoked = [c for c in state.revoked if c.certificate_type == wanted]
    some = [good[(operation.pick + step) % len(good)] for step in range(operation.size)]
    return some if operation.size < _LONG else [*some, one_of(revoked, operation)]


def _broken(state: State, operation: Operation) -> list[Issued]:
    """Good certificates, and then one of a type that the service does not know."""
    some = _some(state, replace(operation, size=_LONG - 1))
    return [*some, replace(some[0], certificate_type=_UNKNOWN_TYPE)]


async def _validate(state: State, operation: Operation) -> None:
    await _ask_to_validate(state, one_of(state.good, operation))


async def _validate_revoked(state: State, operation: Operation) -> None:
    await _ask_to_validate(state, one_of(state.revoked, operation))


async def _ask_to_validate(state: State, candidate: Issued) -> None:
    caller = state.machine_accounts["verifier"]
    asking = _client(state).validate(caller.token, candidate)
    reply = await _ask(state, "Validate", asking, expect="OK", received=1, sent=1)
    _let_in(state, caller, "certificate")
    _validated(state, candidate.certificate_type, reply.responses[0].reason)


async def _validate_unknown_type(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidate = replace(one_of(state.good, operation), certificate_type=_UNKNOWN_TYPE)
    asking = _client(state).validate(caller.token, candidate)
    await _ask(state, "Validate", asking, expect="INVALID_ARGUMENT", received=1, sent=0)
    _let_in(state, caller, "certificate")


async def _validate_as_stranger(state: State, operation: Operation) -> None:
    asking = _client(state).validate("stranger", one_of(state.good, operation))
    await _ask(state, "Validate", asking, expect="UNAUTHENTICATED", received=1, sent=0)
    state.expected.authentication("token", success=False)


async def _sign(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["signer"]
    asking = _client(state).sign(caller.token, str(operation.pick).encode(), "sha384")
    await _ask(state, "Sign", asking, expect="OK", received=1, sent=1)
    _signed(state, caller, None)


async def _sign_weakly(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["signer"]
    asking = _client(state).sign(caller.token, str(operation.pick).encode(), "sha1")
    await _ask(state, "Sign", asking, expect="FAILED_PRECONDITION", received=1, sent=0)
    _signed(state, caller, "signature_policy")


def _signed(state: State, caller: MachineAccount, problem: str | None) -> None:
    _let_in(state, caller, "signature")
    state.expected.compliance("eidas", "signature_policy", passed=problem is None)
    state.expected.certificate("signing", "document_signer", problem)
    state.expected.audit("document.sign", success=problem is None)


async def _sign_without_right(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    asking = _client(state).sign(caller.token, str(operation.pick).encode(), "sha256")
    await _ask(state, "Sign", asking, expect="PERMISSION_DENIED", received=1, sent=0)
    _let_in(state, caller, "signature", granted=False)
    state.expected.audit("document.sign", success=False)


async def _batch(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _some(state, operation)
    asking = _client(state).validate_batch(caller.token, candidates)
    reply = await _ask(state, "ValidateBatch", asking, expect="OK", received=len(candidates), sent=1)
    _let_in(state, caller, "certificate")
    verdicts = reply.responses[0]
    _validated(state, operation.certificate_type, "", times=verdicts.valid)
    for reason, times in verdicts.invalid.items():
        _validated(state, operation.certificate_type, reason, times=times)


async def _broken_batch(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _broken(state, operation)
    good = len(candidates) - 1
    asking = _client(state).validate_batch(caller.token, candidates, hold=True)
    await _ask(state, "ValidateBatch", asking, expect="INVALID_ARGUMENT", received=good + 1, sent=0)
    _let_in(state, caller, "certificate")
    _validated(state, operation.certificate_type, "", times=good)


async def _list(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    asking = _client(state).list_certificates(caller.token, operation.certificate_type, operation.size)
    # Setting up has issued more than the longest list has.
    await _ask(state, "ListCertificates", asking, expect="OK", received=1, sent=operation.size)
    _let_in(state, caller, "certificate")


async def _stream(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _some(state, operation)
    number = len(candidates)
    asking = _client(state).validate_stream(caller.token, candidates)
    reply = await _ask(state, "ValidateStream", asking, expect="OK", received=number, sent=number)
    _let_in(state, caller, "certificate")
    for response in reply.responses:
        _validated(state, operation.certificate_type, response.reason)


async def _broken_stream(state: State, operation: Operation) -> None:
    caller = state.machine_accounts["verifier"]
    candidates = _broken(state, operation)
    good = len(candidates) - 1
    asking = _client(state).validate_stream(caller.token, candidates, hold=True)
    await _ask(state, "ValidateStream", asking, expect="INVALID_ARGUMENT", received=good + 1, sent=good)
    _let_in(state, caller, "certificate")
    _validated(state, operation.certificate_type, "", times=good)


async def _stream_as_stranger(state: State, _operation: Operation) -> None:
    # The service turns strangers away before it reads anything.
    asking = _client(state).validate_stream("stranger", [], hold=True)
    await _ask(state, "ValidateStream", asking, expect="UNAUTHENTICATED", received=0, sent=0)
    state.expected.authentication("token", success=False)


async def _call_missing_method(state: State, _operation: Operation) -> None:
    asking = _client(state).call_missing_method(state.machine_accounts["verifier"].token)
    await _ask(state, _MISSING, asking, expect="UNIMPLEMENTED", received=0, sent=0)


def _validated(state: State, certificate_type: str, reason: str, *, times: int = 1) -> None:
    for _ in range(times):
        state.expected.certificate("validation", certificate_type, reason or None)


OPERATION_TYPES = {
    "rpc.validate": OperationType(6, _validate),
    "rpc.validate.revoked": OperationType(0.1, _validate_revoked),
    "rpc.validate.unknown_type": OperationType(0.2, _validate_unknown_type),
    "rpc.validate.stranger": OperationType(0.2, _validate_as_stranger),
    "rpc.sign": OperationType(2, _sign),
    "rpc.sign.weak": OperationType(0.1, _sign_weakly, alarming=True),
    "rpc.sign.denied": OperationType(0.2, _sign_without_right),
    "rpc.batch": OperationType(1.5, _batch),
    "rpc.batch.broken": OperationType(0.1, _broken_batch),
    "rpc.list": OperationType(2, _list),
    "rpc.stream": OperationType(1.5, _stream),
    "rpc.stream.broken": OperationType(0.1, _broken_stream),
    "rpc.stream.stranger": OperationType(0.1, _stream_as_stranger),
    "rpc.missing_method": OperationType(0.1, _call_missing_method),
}
