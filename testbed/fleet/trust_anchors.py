"""The series of lists of trust anchors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from testbed.fleet.course import Course
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
