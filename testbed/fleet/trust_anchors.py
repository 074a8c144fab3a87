"""The series of lists of trust anchors, certificate transparency and ACME."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from testbed.fleet.course import Course, counter, histogram
from trust_otel.semconv import metrics
from trust_otel.semconv.attributes import TRUST_TRUST_LIST_SIGNATURE_STATUS

_DAY: Final = 86_400.0


def trust_lists(begin: float, load: float) -> Iterator[Course]:
    """A trusted list, and a master list that is not verified; with more load they are older and longer."""
    for name, kind, status in (("eu-lotl", "etsi", "valid"), ("csca", "icao", "not_verified")):
        labels = {"trust_trust_list_name": name, "trust_trust_list_type": kind}
        for each in map(str, TRUST_TRUST_LIST_SIGNATURE_STATUS.members):
            shown = "invalid" if load > 1 else status
            signature = {**labels, "trust_trust_list_signature_status": each}
            yield Course(metrics.TRUST_TRUST_LIST_SIGNATURE.prometheus_name, signature, float(each == shown))
        yield Course(metrics.TRUST_TRUST_LIST_ANCHORS.prometheus_name, labels, 90 * load)
        issued = begin - 30 * _DAY * load
        yield Course(metrics.TRUST_TRUST_LIST_ISSUE_DATE.prometheus_name, labels, issued)
        if kind == "etsi":
            yield Course(metrics.TRUST_TRUST_LIST_NEXT_UPDATE.prometheus_name, labels, begin + 150 * _DAY / load)
            yield Course(metrics.TRUST_TRUST_LIST_SEQUENCE_NUMBER.prometheus_name, labels, 300 + load)


def ct_and_acme(load: float, errors: float) -> Iterator[Course]:
    """Issued certificates with two SCTs on average, unknown ones where there is more load, orders and challenges."""
    yield from histogram(metrics.TRUST_CT_SCTS, {"trust_certificate_type": "tls_server"}, 0.05 * load, 2 / load)
    yield counter(metrics.TRUST_CT_UNKNOWN_CERTIFICATES.prometheus_name, {}, 0.001 * (load - 1))
    for status, error, share in (("valid", "", 1 - errors), ("invalid", "dns", errors)):
        problem = {"trust_acme_error_type": error} if error else {}
        order = {"trust_acme_order_status": status, **problem}
        yield counter(metrics.TRUST_ACME_ORDERS.prometheus_name, order, 0.05 * share * load)
        challenge = {"trust_acme_challenge_type": "dns-01", "trust_acme_challenge_status": status, **problem}
        yield counter(metrics.TRUST_ACME_CHALLENGES.prometheus_name, challenge, 0.05 * share * load)
