"""People who have documents signed, and who check signatures."""

from __future__ import annotations

import base64

from testbed.load_generator.operations.act import Act
from testbed.load_generator.state import Operation, Signed, World, one_of
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


async def sign(world: World, operation: Operation) -> None:
    await _ask_to_sign(world, operation, "sha256")


async def _sign_weakly(world: World, operation: Operation) -> None:
    await _ask_to_sign(world, operation, "sha1")


async def _ask_to_sign(world: World, operation: Operation, algorithm: str) -> None:
    content = base64.b64encode(f"contract {operation.pick}".encode()).decode()
    answer = await world.web.send(
        "POST",
        "/signatures",
        expect=(201, 409),
        touches=_SIGNING,
        address=operation.address,
        token=world.account("operator", operation).token,
        body={"content": content, "algorithm": algorithm},
    )
    signed = answer.status_code == 201
    world.truth.authorization("signature", granted=True)
    world.truth.compliance("eidas", "signature_policy", passed=signed)
    world.truth.certificate("signing", "document_signer", None if signed else "signature_policy")
    world.truth.audit("document.sign", success=signed)
    if signed:
        body = json_of(answer)
        world.signed.append(Signed(content, body["signature"], body["certificate"]))


async def _sign_without_right(world: World, operation: Operation) -> None:
    await world.web.send(
        "POST",
        "/signatures",
        expect=(403,),
        touches=_SIGNING,
        address=operation.address,
        token=world.account("clerk", operation).token,
        body={"content": _ALTERED},
    )
    world.truth.authorization("signature", granted=False)
    world.truth.audit("document.sign", success=False)


async def _verify(world: World, operation: Operation) -> None:
    signed = one_of(world.signed, operation)
    await _ask_to_verify(world, operation, signed, signed.content)


async def _verify_altered(world: World, operation: Operation) -> None:
    await _ask_to_verify(world, operation, one_of(world.signed, operation), _ALTERED)


async def _ask_to_verify(world: World, operation: Operation, signed: Signed, content: str) -> None:
    answer = await world.web.send(
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
    world.truth.certificate("validation", "document_signer", json_of(answer)["reason"])


ACTS = {
    "signature.sign": Act(5, sign),
    "signature.sign.weak": Act(0.2, _sign_weakly, alarming=True),
    "signature.sign.denied": Act(0.3, _sign_without_right),
    "signature.verify": Act(4, _verify),
    "signature.verify.altered": Act(0.2, _verify_altered, alarming=True),
}
