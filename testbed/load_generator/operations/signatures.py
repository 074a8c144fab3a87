"""People who have documents signed, and who check signatures."""

from __future__ import annotations

import base64

from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.state import Operation, Signed, State, one_of
from testbed.load_generator.web import json_of
from trust_otel.semconv import metrics

_ALTERED = base64.b64encode(b"a contract, altered").decode()

_SIGNING = (
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_AUDIT_EVENTS,
    metrics.TRUST_COMPLIANCE_CHECKS,
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
)
_VERIFYING = (metrics.TRUST_CERTIFICATE_OPERATION_DURATION,)


async def sign(state: State, operation: Operation) -> None:
    await _ask_to_sign(state, operation, "sha256")


async def _sign_weakly(state: State, operation: Operation) -> None:
    await _ask_to_sign(state, operation, "sha1")


async def _ask_to_sign(state: State, operation: Operation, algorithm: str) -> None:
    content = base64.b64encode(f"contract {operation.pick}".encode()).decode()
    answer = await state.web.send(
        "POST",
        "/signatures",
        expect=(201, 409),
        touches=_SIGNING,
        address=operation.address,
        token=state.account("operator", operation).token,
        body={"content": content, "algorithm": algorithm},
    )
    signed = answer.status_code == 201
    state.expected.authorization("signature", granted=True)
    state.expected.compliance("eidas", "signature_policy", passed=signed)
    state.expected.certificate("signing", "document_signer", None if signed else "signature_policy")
    state.expected.audit("document.sign", success=signed)
    if signed:
        body = json_of(answer)
        state.signed.append(Signed(content, body["signature"], body["certificate"]))


async def _sign_without_right(state: State, operation: Operation) -> None:
    await state.web.send(
        "POST",
        "/signatures",
        expect=(403,),
        touches=_SIGNING,
        address=operation.address,
        token=state.account("clerk", operation).token,
        body={"content": _ALTERED},
    )
    state.expected.authorization("signature", granted=False)
    state.expected.audit("document.sign", success=False)


async def _verify(state: State, operation: Operation) -> None:
    signed = one_of(state.signed, operation)
    await _ask_to_verify(state, operation, signed, signed.content)


async def _verify_altered(state: State, operation: Operation) -> None:
    await _ask_to_verify(state, operation, one_of(state.signed, operation), _ALTERED)


async def _ask_to_verify(state: State, operation: Operation, signed: Signed, content: str) -> None:
    answer = await state.web.send(
        "POST",
        "/signatures/verify",
        expect=(200,),
        touches=_VERIFYING,
        address=operation.address,
        body={
            "content": content,
            "signature": signed.signature,
            "certificate": signed.certificate,
        },
    )
    state.expected.certificate("validation", "document_signer", json_of(answer)["reason"])


OPERATION_TYPES = {
    "signature.sign": OperationType(5, sign),
    "signature.sign.weak": OperationType(0.2, _sign_weakly, alarming=True),
    "signature.sign.denied": OperationType(0.3, _sign_without_right),
    "signature.verify": OperationType(4, _verify),
    "signature.verify.altered": OperationType(0.2, _verify_altered, alarming=True),
}
