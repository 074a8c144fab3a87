"""Operations of people who have documents signed and verify signatures."""

from __future__ import annotations

import base64

from testbed.load_generator.http_client import json_of
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.state import Operation, Signed, State, one_of
from trust_otel.semconv import metrics

_ALTERED = base64.b64encode(b"a contract, altered").decode()

_SIGNING_METRICS = (
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_AUDIT_EVENTS,
    metrics.TRUST_COMPLIANCE_CHECKS,
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
)
_VERIFICATION_METRICS = (metrics.TRUST_CERTIFICATE_OPERATION_DURATION, metrics.TRUST_VALIDATION_RESULTS)


async def sign(state: State, operation: Operation) -> None:
    await _post_signature(state, operation, "sha256")


async def _sign_with_weak_algorithm(state: State, operation: Operation) -> None:
    await _post_signature(state, operation, "sha1")


async def _post_signature(state: State, operation: Operation, algorithm: str) -> None:
    content = base64.b64encode(f"contract {operation.pick}".encode()).decode()
    response = await state.http.send(
        "POST",
        "/signatures",
        expect=(201, 409),
        affected=_SIGNING_METRICS,
        address=operation.address,
        token=state.account("operator", operation).token,
        body={"content": content, "algorithm": algorithm},
    )
    signed = response.status_code == 201
    state.expected.authorization("signature", granted=True)
    state.expected.compliance("eidas", "signature_policy", passed=signed)
    state.expected.certificate("signing", "document_signer", None if signed else "signature_policy")
    state.expected.audit("document.sign", success=signed)
    if signed:
        body = json_of(response)
        state.signed.append(Signed(content, body["signature"], body["certificate"]))


async def _sign_without_permission(state: State, operation: Operation) -> None:
    await state.http.send(
        "POST",
        "/signatures",
        expect=(403,),
        affected=_SIGNING_METRICS,
        address=operation.address,
        token=state.account("clerk", operation).token,
        body={"content": _ALTERED},
    )
    state.expected.authorization("signature", granted=False)
    state.expected.audit("document.sign", success=False)


async def _verify(state: State, operation: Operation) -> None:
    signed = one_of(state.signed, operation)
    await _post_verification(state, operation, signed, signed.content)


async def _verify_altered(state: State, operation: Operation) -> None:
    await _post_verification(state, operation, one_of(state.signed, operation), _ALTERED)


async def _post_verification(state: State, operation: Operation, signed: Signed, content: str) -> None:
    response = await state.http.send(
        "POST",
        "/signatures/verify",
        expect=(200,),
        affected=_VERIFICATION_METRICS,
        address=operation.address,
        body={
            "content": content,
            "signature": signed.signature,
            "certificate": signed.certificate,
        },
    )
    verdict = json_of(response)
    state.expected.certificate("validation", "document_signer", verdict["reason"])
    state.expected.validation(verdict["indication"], verdict["sub_indication"])


OPERATION_TYPES = {
    "signature.sign": OperationType(5, sign),
    "signature.sign.weak": OperationType(0.2, _sign_with_weak_algorithm, may_alert=True),
    "signature.sign.denied": OperationType(0.3, _sign_without_permission),
    "signature.verify": OperationType(4, _verify),
    "signature.verify.altered": OperationType(0.2, _verify_altered, may_alert=True),
}
