"""Machines that validate and sign over gRPC, with calls of all four kinds."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.load_generator.errors import SimulationError, UnansweredError, UnexpectedAnswerError
from testbed.load_generator.operations.act import Act
from testbed.load_generator.state import Issued, MachineAccount, Operation, World, one_of
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


async def _ask(world: World, method: str, asking: Awaitable[Reply], *, expect: str, received: int, sent: int) -> Reply:
    """Make a call and count it, with the messages that the service then has received and sent."""
    rpc_method = method if method == _MISSING else f"{_SERVICE}/{method}"
    try:
        reply = await asking
        if reply.status != expect:
            raise UnexpectedAnswerError(f"{method}: {reply.status}")
    except (UnansweredError, UnexpectedAnswerError):
        _doubt(world, rpc_method)
        raise
    world.truth.rpc(rpc_method, reply.status, received=received, sent=sent)
    return reply


def _doubt(world: World, rpc_method: str) -> None:
    for metric in _RPC:
        world.truth.doubt(metric, rpc_method=rpc_method)
    for metric in _TOUCHED:
        world.truth.doubt(metric)


def _client(world: World) -> Machines:
    if world.machines is None:
        raise SimulationError("gRPC is off")
    return world.machines


def _let_in(world: World, caller: MachineAccount, resource: str, *, granted: bool = True) -> None:
    world.truth.authentication("token", success=True, country=caller.machine.country)
    world.truth.authorization(resource, granted=granted)


def _some(world: World, operation: Operation) -> list[Issued]:
    """Good certificates of one type; a longer list ends with a revoked one."""
    wanted = operation.certificate_type
    good = [c for c in world.good if c.certificate_type == wanted]
    revoked = [c for c in world.revoked if c.certificate_type == wanted]
    some = [good[(operation.pick + step) % len(good)] for step in range(operation.size)]
    return some if operation.size < _LONG else [*some, one_of(revoked, operation)]


def _broken(world: World, operation: Operation) -> list[Issued]:
    """Good certificates, and then one of a type that the service does not know."""
    some = _some(world, replace(operation, size=_LONG - 1))
    return [*some, replace(some[0], certificate_type=_UNKNOWN_TYPE)]


async def _validate(world: World, operation: Operation) -> None:
    await _ask_to_validate(world, one_of(world.good, operation))


async def _validate_revoked(world: World, operation: Operation) -> None:
    await _ask_to_validate(world, one_of(world.revoked, operation))


async def _ask_to_validate(world: World, candidate: Issued) -> None:
    caller = world.machine_accounts["verifier"]
    asking = _client(world).validate(caller.token, candidate)
    reply = await _ask(world, "Validate", asking, expect="OK", received=1, sent=1)
    _let_in(world, caller, "certificate")
    _validated(world, candidate.certificate_type, reply.responses[0].reason)


async def _validate_unknown_type(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["verifier"]
    candidate = replace(one_of(world.good, operation), certificate_type=_UNKNOWN_TYPE)
    asking = _client(world).validate(caller.token, candidate)
    await _ask(world, "Validate", asking, expect="INVALID_ARGUMENT", received=1, sent=0)
    _let_in(world, caller, "certificate")


async def _validate_as_stranger(world: World, operation: Operation) -> None:
    asking = _client(world).validate("stranger", one_of(world.good, operation))
    await _ask(world, "Validate", asking, expect="UNAUTHENTICATED", received=1, sent=0)
    world.truth.authentication("token", success=False)


async def _sign(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["signer"]
    asking = _client(world).sign(caller.token, str(operation.pick).encode(), "sha384")
    await _ask(world, "Sign", asking, expect="OK", received=1, sent=1)
    _signed(world, caller, None)


async def _sign_weakly(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["signer"]
    asking = _client(world).sign(caller.token, str(operation.pick).encode(), "sha1")
    await _ask(world, "Sign", asking, expect="FAILED_PRECONDITION", received=1, sent=0)
    _signed(world, caller, "signature_policy")


def _signed(world: World, caller: MachineAccount, problem: str | None) -> None:
    _let_in(world, caller, "signature")
    world.truth.compliance("eidas", "signature_policy", passed=problem is None)
    world.truth.certificate("signing", "document_signer", problem)
    world.truth.audit("document.sign", success=problem is None)


async def _sign_without_right(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["verifier"]
    asking = _client(world).sign(caller.token, str(operation.pick).encode(), "sha256")
    await _ask(world, "Sign", asking, expect="PERMISSION_DENIED", received=1, sent=0)
    _let_in(world, caller, "signature", granted=False)
    world.truth.audit("document.sign", success=False)


async def _batch(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["verifier"]
    candidates = _some(world, operation)
    asking = _client(world).validate_batch(caller.token, candidates)
    reply = await _ask(world, "ValidateBatch", asking, expect="OK", received=len(candidates), sent=1)
    _let_in(world, caller, "certificate")
    verdicts = reply.responses[0]
    _validated(world, operation.certificate_type, "", times=verdicts.valid)
    for reason, times in verdicts.invalid.items():
        _validated(world, operation.certificate_type, reason, times=times)


async def _broken_batch(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["verifier"]
    candidates = _broken(world, operation)
    good = len(candidates) - 1
    asking = _client(world).validate_batch(caller.token, candidates, hold=True)
    await _ask(world, "ValidateBatch", asking, expect="INVALID_ARGUMENT", received=good + 1, sent=0)
    _let_in(world, caller, "certificate")
    _validated(world, operation.certificate_type, "", times=good)


async def _list(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["verifier"]
    asking = _client(world).list_certificates(caller.token, operation.certificate_type, operation.size)
    # Setting up has issued more than the longest list has.
    await _ask(world, "ListCertificates", asking, expect="OK", received=1, sent=operation.size)
    _let_in(world, caller, "certificate")


async def _stream(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["verifier"]
    candidates = _some(world, operation)
    number = len(candidates)
    asking = _client(world).validate_stream(caller.token, candidates)
    reply = await _ask(world, "ValidateStream", asking, expect="OK", received=number, sent=number)
    _let_in(world, caller, "certificate")
    for response in reply.responses:
        _validated(world, operation.certificate_type, response.reason)


async def _broken_stream(world: World, operation: Operation) -> None:
    caller = world.machine_accounts["verifier"]
    candidates = _broken(world, operation)
    good = len(candidates) - 1
    asking = _client(world).validate_stream(caller.token, candidates, hold=True)
    await _ask(world, "ValidateStream", asking, expect="INVALID_ARGUMENT", received=good + 1, sent=good)
    _let_in(world, caller, "certificate")
    _validated(world, operation.certificate_type, "", times=good)


async def _stream_as_stranger(world: World, _operation: Operation) -> None:
    # The service turns strangers away before it reads anything.
    asking = _client(world).validate_stream("stranger", [], hold=True)
    await _ask(world, "ValidateStream", asking, expect="UNAUTHENTICATED", received=0, sent=0)
    world.truth.authentication("token", success=False)


async def _call_missing_method(world: World, _operation: Operation) -> None:
    asking = _client(world).call_missing_method(world.machine_accounts["verifier"].token)
    await _ask(world, _MISSING, asking, expect="UNIMPLEMENTED", received=0, sent=0)


def _validated(world: World, certificate_type: str, reason: str, *, times: int = 1) -> None:
    for _ in range(times):
        world.truth.certificate("validation", certificate_type, reason or None)


ACTS = {
    "rpc.validate": Act(6, _validate),
    "rpc.validate.revoked": Act(0.1, _validate_revoked),
    "rpc.validate.unknown_type": Act(0.2, _validate_unknown_type),
    "rpc.validate.stranger": Act(0.2, _validate_as_stranger),
    "rpc.sign": Act(2, _sign),
    "rpc.sign.weak": Act(0.1, _sign_weakly, alarming=True),
    "rpc.sign.denied": Act(0.2, _sign_without_right),
    "rpc.batch": Act(1.5, _batch),
    "rpc.batch.broken": Act(0.1, _broken_batch),
    "rpc.list": Act(2, _list),
    "rpc.stream": Act(1.5, _stream),
    "rpc.stream.broken": Act(0.1, _broken_stream),
    "rpc.stream.stranger": Act(0.1, _stream_as_stranger),
    "rpc.missing_method": Act(0.1, _call_missing_method),
}
