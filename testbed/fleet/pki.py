"""The series of the PKI: a certificate authority with a timestamping authority, and services that rely on them.

One revocation list is out of date, one decision waits for its publication, a certificate authority is due for its
rollover, and the clock of the bad instance is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from testbed.fleet.course import Course, Labels, counter, histogram
from trust_otel.semconv import metrics
from trust_otel.semconv.definitions import Metric

_HOUR: Final = 3600
_DAY: Final = 86_400

# Name, kind, chain position, days left, lead time in days.
_OF_THE_CA: Final = (
    ("root-ca", "root", "root", 2900, 730),
    ("issuing-ca", "issuing_ca", "intermediate", 900, 365),
    ("issuing-ca-2019", "issuing_ca", "intermediate", 300, 365),
    ("csca", "csca", "root", 1100, 365),
    ("tsa", "tsa", "end_entity", 400, 90),
    ("ocsp-responder", "ocsp_responder", "end_entity", 40, 14),
    ("ca-api", "tls", "end_entity", 60, 30),
)
_CERTIFICATES: Final = {
    "signing-service": _OF_THE_CA,
    "document-service": (
        ("document-seal", "signer", "end_entity", 80, 90),
        ("documents-api", "tls", "end_entity", 5, 30),
    ),
    "validation-service": (("validation-api", "tls", "end_entity", 45, 30),),
}
# Name, age and validity in hours, number, kilobytes.
_LISTS: Final = {
    "signing-service": (("issuing-ca", 5, 24, 2210, 180), ("csca", 745, 744, 61, 4), ("root-ca", 3000, 8760, 12, 1)),
    "validation-service": (("issuing-ca", 5, 24, 2210, 180),),
}
_RESPONDERS: Final = {"signing-service": "ocsp.ca.example", "validation-service": "ocsp.partner.example"}
_PUBLISHED: Final = {"crl": 1300.0, "ocsp": 500.0}

METRICS: Final = frozenset(
    metric
    for metric in metrics.ALL.values()
    if metric.name.startswith(("trust.certificate.", "trust.timestamp.", "trust.clock.", "trust.validation."))
)
"""What this module makes for the services that have it."""


def pki(service: str, begin: int, load: float, slowness: float, is_bad: bool) -> Iterator[Course]:
    """The series of an instance of the service from `begin` (Unix time) on."""
    yield from _certificates(service, begin, load)
    yield from _revocation_status(service, begin, load, slowness)
    yield from _clock(service, load, is_bad)
    if service == "signing-service":
        yield from _authority(load, slowness)
        yield from _timestamps(load)
    if service == "validation-service":
        yield from _validations(load)


def _certificates(service: str, begin: int, load: float) -> Iterator[Course]:
    certificates = _CERTIFICATES.get(service, ())
    for name, kind, position, days, lead in certificates:
        labels = {"trust_certificate_name": name}
        left = days * _DAY / load
        yield _gauge(metrics.TRUST_CERTIFICATE_NOT_AFTER, labels, begin + left)
        yield _gauge(metrics.TRUST_CERTIFICATE_NOT_BEFORE, labels, begin + left - 3 * lead * _DAY - left / 2)
        kinds = {"trust_certificate_kind": kind, "trust_certificate_chain_position": position}
        yield _gauge(metrics.TRUST_CERTIFICATE_LEAD_TIME, {**labels, **kinds}, lead * _DAY * load)
    due = sum(days <= lead for _, _, _, days, lead in certificates)
    counts = {"valid": len(certificates) - due, "expiring": due, "expired": 0, "revoked": 1}
    for status, number in counts.items():
        labels = {"trust_certificate_status": status}
        yield _gauge(metrics.TRUST_CERTIFICATE_INVENTORY, labels, number + load - 1)


def _revocation_status(service: str, begin: int, load: float, slowness: float) -> Iterator[Course]:
    for name, age, validity, number, size in _LISTS.get(service, ()):
        labels = {"trust_certificate_crl_name": name}
        issued = begin - age * _HOUR / load
        yield _gauge(metrics.TRUST_CERTIFICATE_CRL_THIS_UPDATE, labels, issued)
        yield _gauge(metrics.TRUST_CERTIFICATE_CRL_NEXT_UPDATE, labels, issued + validity * _HOUR)
        yield _gauge(metrics.TRUST_CERTIFICATE_CRL_NUMBER, labels, number * load)
        yield _gauge(metrics.TRUST_CERTIFICATE_CRL_SIZE, labels, size * 1000 * load)
    if service in _RESPONDERS:
        responder = {"trust_certificate_ocsp_responder": _RESPONDERS[service]}
        yield _gauge(metrics.TRUST_CERTIFICATE_OCSP_THIS_UPDATE, responder, begin - 2 * _HOUR / load)
        yield _gauge(metrics.TRUST_CERTIFICATE_OCSP_NEXT_UPDATE, responder, begin + 22 * _HOUR / load)
        for status, share in (("good", 0.996), ("revoked", 0.003), ("error", 0.001 * load)):
            labels = {**responder, "trust_certificate_ocsp_status": status}
            yield counter(_name(metrics.TRUST_CERTIFICATE_OCSP_RESPONSES), labels, 0.1 * share * load)
            duration = metrics.TRUST_CERTIFICATE_OCSP_REQUEST_DURATION
            yield from histogram(duration, labels, 0.1 * share * load, 0.08 * slowness)


def _authority(load: float, slowness: float) -> Iterator[Course]:
    operation = metrics.TRUST_CERTIFICATE_OPERATION_DURATION
    for profile, kind, rate in (("qcp-n-qscd", "qualified", 0.01), ("tls-ov", "tls_server", 0.02)):
        labels = {"trust_certificate_profile": profile, "trust_certificate_type": kind, "trust_outcome": "success"}
        yield from histogram(operation, {**labels, "trust_certificate_operation": "issuance"}, rate * load, 0.05)
    for name, rate in (("ocsp_response", 3.0), ("timestamp", 0.5), ("crl_publication", 0.001)):
        labels = {"trust_certificate_operation": name, "trust_outcome": "success"}
        yield from histogram(operation, labels, rate * load, 0.02 * slowness)
    labels = {"trust_certificate_operation": "timestamp", "trust_outcome": "error", "error_type": "HsmError"}
    yield from histogram(operation, labels, 0.0002 * (load - 1), 0.02)
    for reason, rate in (("superseded", 0.005), ("keyCompromise", 0.0004), ("certificateHold", 0.001)):
        labels = {"trust_certificate_revocation_reason": reason}
        decision = metrics.TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION
        yield from histogram(decision, labels, rate * load, 2.5 * _HOUR * slowness)
        for channel, mean in _PUBLISHED.items():
            labels = {**labels, "trust_certificate_revocation_channel": channel}
            publication = metrics.TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION
            yield from histogram(publication, labels, rate * load, mean * slowness)
            total = metrics.TRUST_CERTIFICATE_REVOCATION_DURATION
            yield from histogram(total, labels, rate * load, (2.5 * _HOUR + mean) * slowness)
    for step, age in (("decision", 5 * _HOUR), ("crl", 1100.0), ("ocsp", 0.0)):
        labels = {"trust_certificate_revocation_pending": step}
        # The list that is out of date: what waits for it gets older.
        growing = 1.0 if step != "ocsp" else 0.0
        yield Course(_name(metrics.TRUST_CERTIFICATE_REVOCATION_PENDING_AGE), labels, age * load + load - 1, growing)


def _timestamps(load: float) -> Iterator[Course]:
    for status, failure, rate in (
        ("granted", None, 0.5),
        ("rejection", "badAlg", 0.01),
        ("rejection", "timeNotAvailable", 0.001 * (load - 1)),
    ):
        labels = {"trust_timestamp_status": status, **({"trust_timestamp_failure": failure} if failure else {})}
        yield counter(_name(metrics.TRUST_TIMESTAMP_RESPONSES), labels, rate * load)
    yield from histogram(metrics.TRUST_TIMESTAMP_ACCURACY, {}, 0.5 * load, 0.05 * min(load, 4))


def _clock(service: str, load: float, is_bad: bool) -> Iterator[Course]:
    if service == "validation-service":
        return
    for server in ("ntp-1.example", "ntp-2.example"):
        labels = {"trust_clock_server": server}
        yield Course(_name(metrics.TRUST_CLOCK_OFFSET), labels, 0.3 if is_bad else 0.012 * load, 0.0005 * is_bad)
        yield _gauge(metrics.TRUST_CLOCK_ROUND_TRIP, labels, 0.004 * load)


def _validations(load: float) -> Iterator[Course]:
    for indication, sub_indication, share in (
        ("TOTAL-PASSED", None, 0.9),
        ("TOTAL-FAILED", "HASH_FAILURE", 0.02 * load),
        ("TOTAL-FAILED", "SIG_CRYPTO_FAILURE", 0.01 * load),
        ("INDETERMINATE", "TRY_LATER", 0.03 * load),
        ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND", 0.04 * load),
    ):
        labels = {
            "trust_validation_indication": indication,
            **({"trust_validation_sub_indication": sub_indication} if sub_indication else {}),
        }
        yield counter(_name(metrics.TRUST_VALIDATION_RESULTS), labels, 0.5 * share * load)


def _gauge(metric: Metric, labels: Labels, value: float) -> Course:
    return Course(_name(metric), labels, value)


def _name(metric: Metric) -> str:
    return metric.prometheus_name
