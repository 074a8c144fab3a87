"""People who order certificates and who check them."""

from __future__ import annotations

from testbed.load_generator.operations.act import Act
from testbed.load_generator.population import CERTIFICATE_TYPES
from testbed.load_generator.samples import CERTIFICATE_REQUEST, UNTRUSTED_CERTIFICATE, forged
from testbed.load_generator.state import Issued, Operation, World, one_of
from testbed.load_generator.web import json_of
from trust_otel.semconv import metrics

_DAY = 86_400
_YEAR = 365 * _DAY

_READING = (metrics.TRUST_AUTHZ_DECISIONS,)
_CHANGING = (
    metrics.TRUST_AUTHZ_DECISIONS,
    metrics.TRUST_AUDIT_EVENTS,
    metrics.TRUST_COMPLIANCE_CHECKS,
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
)
_VALIDATING = (
    metrics.TRUST_CERTIFICATE_OPERATION_DURATION,
    metrics.TRUST_SECURITY_INCIDENTS,
)


async def issue(
    world: World,
    operation: Operation,
    certificate_type: str,
    *,
    request: str = CERTIFICATE_REQUEST,
    validity_seconds: int = 90 * _DAY,
) -> Issued | None:
    """Order a certificate; None when the service refuses."""
    answer = await world.web.send(
        "POST",
        "/certificates",
        expect=(201, 400),
        touches=_CHANGING,
        address=operation.address,
        token=world.account("operator", operation).token,
        body={
            "request": request,
            "certificate_type": certificate_type,
            "validity_seconds": validity_seconds,
        },
    )
    body = json_of(answer)
    problem = body["detail"] if answer.status_code == 400 else None
    world.truth.authorization("certificate", granted=True)
    if certificate_type == "tls_server" and problem != "malformed":
        world.truth.compliance("cab_forum", "certificate_lifetime", passed=problem is None)
    world.truth.certificate("issuance", certificate_type, problem)
    world.truth.audit("certificate.issue", success=problem is None)
    return None if problem is not None else _issued(body)


async def revoke(world: World, operation: Operation, certificate: Issued) -> None:
    problem, _ = await _change(world, operation, certificate, "revoke", 200)
    world.truth.certificate("revocation", certificate.certificate_type, problem)
    world.truth.audit("certificate.revoke", success=problem is None)
    if problem is None:
        world.revoked.append(certificate)


async def _change(
    world: World, operation: Operation, certificate: Issued, verb: str, done: int
) -> tuple[str | None, Issued | None]:
    answer = await world.web.send(
        "POST",
        f"/certificates/{{serial_number}}/{verb}",
        expect=(done, 409),
        touches=_CHANGING,
        path=f"/certificates/{certificate.serial_number}/{verb}",
        address=operation.address,
        token=world.account("operator", operation).token,
    )
    world.truth.authorization("certificate", granted=True)
    body = json_of(answer)
    return (body["detail"], None) if answer.status_code == 409 else (None, _issued(body))


def _issued(body: dict[str, str]) -> Issued:
    return Issued(body["serial_number"], body["certificate_type"], body["certificate"])


async def _order(world: World, operation: Operation) -> None:
    issued = await issue(world, operation, operation.certificate_type)
    if issued is not None:
        world.good.append(issued)


async def _order_malformed(world: World, operation: Operation) -> None:
    await issue(world, operation, operation.certificate_type, request="not a request")


async def _order_for_too_long(world: World, operation: Operation) -> None:
    await issue(world, operation, "tls_server", validity_seconds=5 * _YEAR)


async def _order_without_right(world: World, operation: Operation) -> None:
    await world.web.send(
        "POST",
        "/certificates",
        expect=(403,),
        touches=_CHANGING,
        address=operation.address,
        token=world.account("clerk", operation).token,
        body={
            "request": CERTIFICATE_REQUEST,
            "certificate_type": operation.certificate_type,
            "validity_seconds": _DAY,
        },
    )
    world.truth.authorization("certificate", granted=False)
    world.truth.audit("certificate.issue", success=False)


async def _renew(world: World, operation: Operation) -> None:
    await _ask_to_renew(world, operation, one_of(world.good, operation))


async def _renew_revoked(world: World, operation: Operation) -> None:
    await _ask_to_renew(world, operation, one_of(world.revoked, operation))


async def _ask_to_renew(world: World, operation: Operation, old: Issued) -> None:
    problem, renewed = await _change(world, operation, old, "renew", 201)
    world.truth.certificate("renewal", old.certificate_type, problem)
    world.truth.audit("certificate.renew", success=problem is None)
    if renewed is not None:
        world.good.append(renewed)


async def _order_and_revoke(world: World, operation: Operation) -> None:
    issued = await issue(world, operation, operation.certificate_type)
    if issued is not None:
        await revoke(world, operation, issued)


async def _revoke_again(world: World, operation: Operation) -> None:
    await revoke(world, operation, one_of(world.revoked, operation))


async def _look_up(world: World, operation: Operation) -> None:
    await _show(world, operation, one_of(world.good, operation).serial_number, 200)


async def _look_up_missing(world: World, operation: Operation) -> None:
    await _show(world, operation, "0", 404)


async def _show(world: World, operation: Operation, serial_number: str, status: int) -> None:
    await world.web.send(
        "GET",
        "/certificates/{serial_number}",
        expect=(status,),
        touches=_READING,
        path=f"/certificates/{serial_number}",
        address=operation.address,
        token=world.account("operator", operation).token,
    )
    world.truth.authorization("certificate", granted=True)


async def _fetch_authority(world: World, operation: Operation) -> None:
    await world.web.send("GET", "/certificates/authority", expect=(200,), address=operation.address)


async def _validate_good(world: World, operation: Operation) -> None:
    certificate = one_of(world.good, operation)
    await _validate(world, operation, certificate.certificate, certificate.certificate_type)


async def _validate_expired(world: World, operation: Operation) -> None:
    certificate = one_of(world.expired, operation)
    await _validate(world, operation, certificate.certificate, certificate.certificate_type)


async def _validate_revoked(world: World, operation: Operation) -> None:
    certificate = one_of(world.revoked, operation)
    await _validate(world, operation, certificate.certificate, certificate.certificate_type)


async def _validate_forged(world: World, operation: Operation) -> None:
    certificate = one_of(world.good, operation)
    await _validate(world, operation, forged(certificate.certificate), certificate.certificate_type)


async def _validate_untrusted(world: World, operation: Operation) -> None:
    await _validate(world, operation, UNTRUSTED_CERTIFICATE, operation.certificate_type)


async def _validate_malformed(world: World, operation: Operation) -> None:
    await _validate(world, operation, "not a certificate", operation.certificate_type)


async def _validate_for_wrong_purpose(world: World, operation: Operation) -> None:
    certificate = one_of(world.good, operation)
    other = next(t for t in CERTIFICATE_TYPES if t != certificate.certificate_type)
    await _validate(world, operation, certificate.certificate, other)


async def _validate(world: World, operation: Operation, certificate: str, certificate_type: str) -> None:
    answer = await world.web.send(
        "POST",
        "/certificates/validate",
        expect=(200,),
        touches=_VALIDATING,
        address=operation.address,
        body={"certificate": certificate, "certificate_type": certificate_type},
    )
    world.truth.certificate("validation", certificate_type, json_of(answer)["reason"])


ACTS = {
    "certificate.issue": Act(6, _order),
    "certificate.issue.malformed": Act(0.3, _order_malformed),
    "certificate.issue.too_long": Act(0.2, _order_for_too_long, alarming=True),
    "certificate.issue.denied": Act(0.5, _order_without_right),
    "certificate.renew": Act(2, _renew),
    "certificate.renew.revoked": Act(0.2, _renew_revoked),
    "certificate.revoke": Act(1, _order_and_revoke),
    "certificate.revoke.again": Act(0.2, _revoke_again),
    "certificate.show": Act(4, _look_up),
    "certificate.show.missing": Act(0.5, _look_up_missing),
    "certificate.authority": Act(0.5, _fetch_authority),
    "certificate.validate": Act(14, _validate_good),
    "certificate.validate.expired": Act(0.4, _validate_expired),
    "certificate.validate.revoked": Act(0.4, _validate_revoked),
    "certificate.validate.forged": Act(0.1, _validate_forged, alarming=True),
    "certificate.validate.untrusted": Act(0.2, _validate_untrusted, alarming=True),
    "certificate.validate.malformed": Act(0.2, _validate_malformed, alarming=True),
    "certificate.validate.wrong_type": Act(0.2, _validate_for_wrong_purpose, alarming=True),
}
