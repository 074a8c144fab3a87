"""Operations of people who revoke and suspend certificates, and of relying parties who ask for their status."""

from __future__ import annotations

import base64
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from testbed.load_generator.http_client import json_of
from testbed.load_generator.operations.certificates import CHANGE_METRICS, change, issue
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.population import REVOCATION_REASONS
from testbed.load_generator.state import Issued, Operation, State, one_of

_VERBS = {"certificateHold": "suspend", "removeFromCRL": "unsuspend"}
_OPERATIONS = {"certificateHold": "suspension", "removeFromCRL": "unsuspension"}


async def revoke(state: State, operation: Operation, certificate: Issued) -> None:
    """Revoke a certificate at once."""
    if await _post_change(state, operation, certificate, one_of(REVOCATION_REASONS, operation)):
        state.revoked.append(certificate)


async def _post_change(state: State, operation: Operation, certificate: Issued, reason: str) -> bool:
    """Request and decide at once; returns whether the service did it."""
    verb = _VERBS.get(reason, "revoke")
    body = {"reason": reason} if verb == "revoke" else None
    problem, _ = await change(state, operation, certificate, verb, 200, body)
    _decided(state, certificate, reason, problem)
    return problem is None


def _decided(state: State, certificate: Issued, reason: str, problem: str | None) -> None:
    name = _OPERATIONS.get(reason, "revocation")
    state.expected.certificate(name, certificate.certificate_type, problem)
    state.expected.audit(f"certificate.{_VERBS.get(reason, 'revoke')}", success=problem is None)
    state.expected.revocation(reason, approved=problem is None)


async def _order_and_revoke(state: State, operation: Operation) -> None:
    issued = await issue(state, operation, operation.certificate_type)
    if issued is not None:
        await revoke(state, operation, issued)


async def _revoke_again(state: State, operation: Operation) -> None:
    await revoke(state, operation, one_of(state.revoked, operation))


async def _order_and_suspend(state: State, operation: Operation) -> None:
    issued = await issue(state, operation, operation.certificate_type)
    if issued is not None:
        await _post_change(state, operation, issued, "certificateHold")
        if await _post_change(state, operation, issued, "removeFromCRL"):
            state.good.append(issued)


async def _request_and_approve(state: State, operation: Operation) -> None:
    issued = await issue(state, operation, operation.certificate_type)
    if issued is not None:
        reason = one_of(REVOCATION_REASONS, operation)
        await _decide(state, operation, await _request(state, operation, issued, reason), approved=True)
        _decided(state, issued, reason, None)
        state.revoked.append(issued)


async def _request_and_reject(state: State, operation: Operation) -> None:
    certificate, reason = one_of(state.good, operation), one_of(REVOCATION_REASONS, operation)
    await _decide(state, operation, await _request(state, operation, certificate, reason), approved=False)
    state.expected.audit("certificate.revocation.reject", success=True)
    state.expected.revocation(reason, approved=False)


async def _request(state: State, operation: Operation, certificate: Issued, reason: str) -> int:
    """A clerk requests a revocation; returns the id of the request."""
    response = await state.http.send(
        "POST",
        "/certificates/{serial_number}/revocation-requests",
        expect=(202,),
        affected=CHANGE_METRICS,
        path=f"/certificates/{certificate.serial_number}/revocation-requests",
        address=operation.address,
        token=state.account("clerk", operation).token,
        body={"reason": reason},
    )
    state.expected.authorization("revocation", granted=True)
    state.expected.audit("certificate.revocation.request", success=True)
    request_id: int = json_of(response)["id"]
    return request_id


async def _decide(state: State, operation: Operation, request_id: int, *, approved: bool) -> None:
    await state.http.send(
        "POST",
        "/certificates/revocation-requests/{request_id}/decision",
        expect=(200,),
        affected=CHANGE_METRICS,
        path=f"/certificates/revocation-requests/{request_id}/decision",
        address=operation.address,
        token=state.account("operator", operation).token,
        body={"approved": approved},
    )
    state.expected.authorization("certificate", granted=True)


async def _ask_for_status(state: State, operation: Operation) -> None:
    certificate = x509.load_pem_x509_certificate(one_of(state.good, operation).certificate.encode())
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, _issuer(state), SHA256()).build()
    encoded = quote(base64.b64encode(request.public_bytes(Encoding.DER)), safe="")
    # Not with POST: the service monitors its own responder in that way.
    await state.http.send(
        "GET",
        "/pki/ocsp/{encoded:path}",
        expect=(200,),
        path=f"/pki/ocsp/{encoded}",
        address=operation.address,
    )


def _issuer(state: State) -> x509.Certificate:
    return x509.load_pem_x509_certificates(state.authority.encode())[0]


OPERATION_TYPES = {
    "certificate.revoke": OperationType(1, _order_and_revoke),
    "certificate.revoke.again": OperationType(0.2, _revoke_again),
    "certificate.suspend": OperationType(0.4, _order_and_suspend),
    "certificate.revocation.approve": OperationType(0.4, _request_and_approve),
    "certificate.revocation.reject": OperationType(0.1, _request_and_reject),
    "ocsp": OperationType(2, _ask_for_status),
}
