"""Operations of people who order and validate certificates."""

from __future__ import annotations

from testbed.load_generator.http_client import json_of
from testbed.load_generator.operations.operation_type import OperationType
from testbed.load_generator.population import CERTIFICATE_TYPES
from testbed.load_generator.samples import CERTIFICATE_REQUEST, UNTRUSTED_CERTIFICATE, forged
from testbed.load_generator.state import Issued, Operation, State, one_of
from trust_otel.semconv import metrics

_DAY = 86_400
_YEAR = 365 * _DAY

REVOCATION_METRICS = (
    metrics.TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
    metrics.TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
    metrics.TRUST_CERTIFICATE_REVOCATION_DURATION,
)
_READ_METRICS = (metrics.TRUST_AUTHZ_DECISIONS,)
CHANGE_METRICS = (
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_AUDIT_EVENTS,
    metrics.TRUST_COMPLIANCE_CHECKS,
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
    *REVOCATION_METRICS,
)
_VALIDATION_METRICS = (
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
    metrics.TRUST_SECURITY_INCIDENTS,
)


async def issue(
    state: State,
    operation: Operation,
    certificate_type: str,
    *,
    request: str = CERTIFICATE_REQUEST,
    validity_seconds: int = 90 * _DAY,
) -> Issued | None:
    """Order a certificate; None if the service rejects the order."""
    response = await state.http.send(
        "POST",
        "/certificates",
        expect=(201, 400),
        affected=CHANGE_METRICS,
        address=operation.address,
        token=state.account("operator", operation).token,
        body={
            "request": request,
            "certificate_type": certificate_type,
            "validity_seconds": validity_seconds,
        },
    )
    body = json_of(response)
    problem = body["detail"] if response.status_code == 400 else None
    state.expected.authorization("certificate", granted=True)
    if certificate_type == "tls_server" and problem != "malformed":
        state.expected.compliance("cab_forum", "certificate_lifetime", passed=problem is None)
    state.expected.certificate("issuance", certificate_type, problem)
    state.expected.audit("certificate.issue", success=problem is None)
    return None if problem is not None else _issued(body)


async def change(
    state: State, operation: Operation, certificate: Issued, verb: str, done: int, body: object = None
) -> tuple[str | None, Issued | None]:
    response = await state.http.send(
        "POST",
        f"/certificates/{{serial_number}}/{verb}",
        expect=(done, 409),
        affected=CHANGE_METRICS,
        path=f"/certificates/{certificate.serial_number}/{verb}",
        address=operation.address,
        token=state.account("operator", operation).token,
        body=body,
    )
    state.expected.authorization("certificate", granted=True)
    answer = json_of(response)
    return (answer["detail"], None) if response.status_code == 409 else (None, _issued(answer))


def _issued(body: dict[str, str]) -> Issued:
    return Issued(body["serial_number"], body["certificate_type"], body["certificate"])


async def _order(state: State, operation: Operation) -> None:
    issued = await issue(state, operation, operation.certificate_type)
    if issued is not None:
        state.good.append(issued)


async def _order_malformed(state: State, operation: Operation) -> None:
    await issue(state, operation, operation.certificate_type, request="not a request")


async def _order_for_too_long(state: State, operation: Operation) -> None:
    await issue(state, operation, "tls_server", validity_seconds=5 * _YEAR)


async def _order_without_permission(state: State, operation: Operation) -> None:
    await state.http.send(
        "POST",
        "/certificates",
        expect=(403,),
        affected=CHANGE_METRICS,
        address=operation.address,
        token=state.account("clerk", operation).token,
        body={
            "request": CERTIFICATE_REQUEST,
            "certificate_type": operation.certificate_type,
            "validity_seconds": _DAY,
        },
    )
    state.expected.authorization("certificate", granted=False)
    state.expected.audit("certificate.issue", success=False)


async def _renew(state: State, operation: Operation) -> None:
    await _post_renewal(state, operation, one_of(state.good, operation))


async def _renew_revoked(state: State, operation: Operation) -> None:
    await _post_renewal(state, operation, one_of(state.revoked, operation))


async def _post_renewal(state: State, operation: Operation, old: Issued) -> None:
    problem, renewed = await change(state, operation, old, "renew", 201)
    state.expected.certificate("renewal", old.certificate_type, problem)
    state.expected.audit("certificate.renew", success=problem is None)
    if renewed is not None:
        state.good.append(renewed)


async def _look_up(state: State, operation: Operation) -> None:
    await _show(state, operation, one_of(state.good, operation).serial_number, 200)


async def _look_up_missing(state: State, operation: Operation) -> None:
    await _show(state, operation, "0", 404)


async def _show(state: State, operation: Operation, serial_number: str, status: int) -> None:
    await state.http.send(
        "GET",
        "/certificates/{serial_number}",
        expect=(status,),
        affected=_READ_METRICS,
        path=f"/certificates/{serial_number}",
        address=operation.address,
        token=state.account("operator", operation).token,
    )
    state.expected.authorization("certificate", granted=True)


async def fetch_authority(state: State, address: str) -> str:
    """The certificates of the authority (PEM), of the issuing CA first."""
    response = await state.http.send("GET", "/certificates/authority", expect=(200,), address=address)
    return response.text


async def _fetch_authority(state: State, operation: Operation) -> None:
    await fetch_authority(state, operation.address)


async def _validate_good(state: State, operation: Operation) -> None:
    certificate = one_of(state.good, operation)
    await _validate(state, operation, certificate.certificate, certificate.certificate_type)


async def _validate_expired(state: State, operation: Operation) -> None:
    certificate = one_of(state.expired, operation)
    await _validate(state, operation, certificate.certificate, certificate.certificate_type)


async def _validate_revoked(state: State, operation: Operation) -> None:
    certificate = one_of(state.revoked, operation)
    await _validate(state, operation, certificate.certificate, certificate.certificate_type)


async def _validate_forged(state: State, operation: Operation) -> None:
    certificate = one_of(state.good, operation)
    await _validate(state, operation, forged(certificate.certificate), certificate.certificate_type)


async def _validate_untrusted(state: State, operation: Operation) -> None:
    await _validate(state, operation, UNTRUSTED_CERTIFICATE, operation.certificate_type)


async def _validate_malformed(state: State, operation: Operation) -> None:
    await _validate(state, operation, "not a certificate", operation.certificate_type)


async def _validate_for_wrong_purpose(state: State, operation: Operation) -> None:
    certificate = one_of(state.good, operation)
    other = next(t for t in CERTIFICATE_TYPES if t != certificate.certificate_type)
    await _validate(state, operation, certificate.certificate, other)


async def _validate(state: State, operation: Operation, certificate: str, certificate_type: str) -> None:
    response = await state.http.send(
        "POST",
        "/certificates/validate",
        expect=(200,),
        affected=_VALIDATION_METRICS,
        address=operation.address,
        body={"certificate": certificate, "certificate_type": certificate_type},
    )
    state.expected.certificate("validation", certificate_type, json_of(response)["reason"])


OPERATION_TYPES = {
    "certificate.issue": OperationType(6, _order),
    "certificate.issue.malformed": OperationType(0.3, _order_malformed),
    "certificate.issue.too_long": OperationType(0.2, _order_for_too_long, may_alert=True),
    "certificate.issue.denied": OperationType(0.5, _order_without_permission),
    "certificate.renew": OperationType(2, _renew),
    "certificate.renew.revoked": OperationType(0.2, _renew_revoked),
    "certificate.show": OperationType(4, _look_up),
    "certificate.show.missing": OperationType(0.5, _look_up_missing),
    "certificate.authority": OperationType(0.5, _fetch_authority),
    "certificate.validate": OperationType(14, _validate_good),
    "certificate.validate.expired": OperationType(0.4, _validate_expired),
    "certificate.validate.revoked": OperationType(0.4, _validate_revoked),
    "certificate.validate.forged": OperationType(0.1, _validate_forged, may_alert=True),
    "certificate.validate.untrusted": OperationType(0.2, _validate_untrusted, may_alert=True),
    "certificate.validate.malformed": OperationType(0.2, _validate_malformed, may_alert=True),
    "certificate.validate.wrong_type": OperationType(0.2, _validate_for_wrong_purpose, may_alert=True),
}
