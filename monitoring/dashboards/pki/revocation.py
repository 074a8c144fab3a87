"""Revocation latency, revocation lists and OCSP."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, table_panel, time_series_panel
from monitoring.dashboards.pki.constants import (
    BY_SERVICE,
    DEADLINES,
    DECISION_LIMITS,
    LIST_LIMIT,
    MISSING,
    OCSP_LATENCY,
    OCSP_RESPONSES,
    PENDING,
    PUBLICATION_LIMITS,
    REASONS,
    REASONS_SHOWN,
    RESPONDERS,
    RESPONSE_AGE_LIMIT,
    REVOCATION_LATENCY,
    REVOCATION_LISTS,
    SERVICE_KEY,
    SERVICE_WIDTH,
    STEPS,
    WAITING,
    or_unknown,
)
from monitoring.dashboards.queries import TIME_RANGE, increase, quantile, rate, ratio, series, total
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling, rising
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    TRUST_CERTIFICATE_CRL_NEXT_UPDATE,
    TRUST_CERTIFICATE_CRL_NUMBER,
    TRUST_CERTIFICATE_CRL_SIZE,
    TRUST_CERTIFICATE_CRL_THIS_UPDATE,
    TRUST_CERTIFICATE_OCSP_NEXT_UPDATE,
    TRUST_CERTIFICATE_OCSP_REQUEST_DURATION,
    TRUST_CERTIFICATE_OCSP_RESPONSES,
    TRUST_CERTIFICATE_OCSP_THIS_UPDATE,
    TRUST_CERTIFICATE_OPERATION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_DURATION,
    TRUST_CERTIFICATE_REVOCATION_PENDING_AGE,
    TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION,
)

_STEP: Final = "trust_certificate_revocation_pending"
_CHANNEL: Final = "trust_certificate_revocation_channel"
_REASON: Final = "trust_certificate_revocation_reason"
_DECISION: Final = f'{_STEP}="decision"'
_PUBLICATION: Final = f'{_STEP}=~"crl|ocsp"'
_DAY, _HOUR = 86400, 3600


def pending_age(*matchers: str) -> str:
    """Age of the oldest revocation that waits, by service and step."""
    # All instances of a service report the same store.
    return f"max by (service_name, {_STEP}) ({series(TRUST_CERTIFICATE_REVOCATION_PENDING_AGE, *matchers)})"


LIMIT_USED: Final = (
    f"max by (service_name) ({pending_age(_DECISION)} / {DECISION_LIMITS['critical']:g}"
    f" or {pending_age(_PUBLICATION)} / {PUBLICATION_LIMITS['critical']:g})"
)
"""Share of its limit for which the oldest revocation of each service has waited."""


def waiting() -> table.Panel:
    """The oldest pending revocation of each step."""

    def overdue(severity: str) -> str:
        return (
            f"({pending_age(_DECISION)} > {DECISION_LIMITS[severity]:g}"
            f" or {pending_age(_PUBLICATION)} > {PUBLICATION_LIMITS[severity]:g}) * 0"
        )

    return table_panel(
        PanelText(
            WAITING,
            "Waiting revocations",
            "Does a request wait for its decision, or a decision for its publication, and how much time is left? Age "
            "of the oldest one, suspensions and their ends included, and the limits of ETSI EN 319 411-1.",
            "Due soon or overdue: decide the request, or publish the list or the OCSP response now.",
            "No service reports pending revocations. Call observe_pending_revocations.",
            alerts=("TrustRevocationDecisionOverdue", "TrustRevocationPublicationOverdue"),
        ),
        {**SERVICE_KEY, _STEP: "Waits for"},
        (
            Column(
                "State",
                f"{overdue('critical')} + 2 or {overdue('warning')} + 1 or {pending_age()} * 0",
                levels=rising(yellow=1, red=2),
                texts={"0": ("OK", "green"), "1": ("due soon", "yellow"), "2": ("overdue", "red")},
            ),
            Column("Oldest", pending_age(), "s", width=90),
        ),
        sort="State",
        key_texts={"Waits for": STEPS},
        key_widths=SERVICE_WIDTH,
        height=6,
        width=10,
    )


def deadlines() -> table.Panel:
    """Revocation latency against its limits, by step."""

    def by_step(published: str, decided: str) -> str:
        return f'{published} or label_replace({decided}, "{_CHANNEL}", "decision", "", "")'

    def counted(part: str) -> str:
        return by_step(
            total(_increase(TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION, part, _HOUR), *BY_SERVICE, _CHANNEL),
            total(_increase(TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION, part, _DAY), *BY_SERVICE),
        )

    done, within = f"({counted('_count')})", f"({counted('_bucket')})"
    slowest = by_step(
        quantile(0.95, TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION, by=(*BY_SERVICE, _CHANNEL), over=TIME_RANGE),
        quantile(0.95, TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION, by=BY_SERVICE, over=TIME_RANGE),
    )
    return table_panel(
        PanelText(
            DEADLINES,
            "Revocation deadlines",
            "Was every revocation decided within 24 hours of its request, and published within 60 minutes of its "
            "decision (ETSI EN 319 411-1)? What was decided or published in the selected time range, suspensions and "
            "their ends included.",
            "Late: explain each case in the records of the audit, and find out what it waited for in Oldest waiting "
            "revocation.",
            "No service records revocations. Call revocation_decided and revocation_published.",
            alerts=("TrustRevocationLate",),
        ),
        {**SERVICE_KEY, _CHANNEL: "Step and limit"},
        (
            Column("Done", f"round({done})", "none"),
            Column("Late", f"round({done} - {within})", "none", levels=NONE_ALLOWED),
            Column("Within limit", ratio(within, done), "percentunit", width=100),
            Column("p95", slowest, "s", width=90),
        ),
        sort="Late",
        key_texts={"Step and limit": STEPS},
        key_widths=SERVICE_WIDTH,
        height=6,
        width=14,
    )


def _increase(metric: Metric, part: str, limit: int) -> str:
    matchers = (f'le=~"{limit}|{limit}.0"',) if part == "_bucket" else ()
    return increase(metric, *matchers, part="_bucket" if part == "_bucket" else "_count")


def reasons() -> table.Panel:
    """Decisions by reason, with suspensions and their ends."""
    keys = {**SERVICE_KEY, _REASON: "Reason"}
    decided = total(increase(TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION, part="_count"), *BY_SERVICE, _REASON)
    return table_panel(
        PanelText(
            REASONS,
            "Revocations, suspensions and their ends",
            "How many certificates were revoked, suspended and unsuspended, why, and how long did it take from the "
            "request until relying parties could see it? In the selected time range, by reason (RFC 5280, 5.3.1).",
            "keyCompromise or cACompromise: check that the incident is recorded and reported. More suspensions than "
            "ends: check how long certificates may be suspended.",
            "No revocation was decided in the selected time range.",
        ),
        keys,
        (
            Column("Decided", or_unknown(f"round({decided})", _REASON), "none"),
            Column(
                "Decision (p95)",
                or_unknown(
                    quantile(
                        0.95,
                        TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION,
                        by=(*BY_SERVICE, _REASON),
                        over=TIME_RANGE,
                    ),
                    _REASON,
                ),
                "s",
            ),
            Column(
                "Until visible (p95)",
                or_unknown(
                    quantile(0.95, TRUST_CERTIFICATE_REVOCATION_DURATION, by=(*BY_SERVICE, _REASON), over=TIME_RANGE),
                    _REASON,
                ),
                "s",
            ),
        ),
        sort="Decided",
        key_texts={"Reason": REASONS_SHOWN},
        key_widths=SERVICE_WIDTH,
        height=6,
    )


def pending() -> timeseries.Panel:
    """Age of the oldest pending revocation, over time."""
    return time_series_panel(
        PanelText(
            PENDING,
            "Oldest waiting revocation",
            "How long did revocations wait, and when did it get better or worse? Age of the oldest one that waits for "
            "its decision, or for its publication in the CRL or in OCSP.",
            "A line that rises without a drop: nothing is decided or published since its last drop.",
            "No service reports pending revocations. Call observe_pending_revocations.",
        ),
        "s",
        (Query("{{service_name}} {{" + _STEP + "}}", pending_age()),),
        highest_first=True,
    )


def revocation_latency() -> timeseries.Panel:
    """Percentiles of the steps over time."""

    def slowest(metric: Metric, *by: str) -> str:
        return quantile(0.95, metric, by=(*BY_SERVICE, *by), over="6h")

    return time_series_panel(
        PanelText(
            REVOCATION_LATENCY,
            "Revocation latency (p95 of 6 h)",
            "Does revocation get slower? 95th percentile of the time from the request to the decision, and from the "
            "decision until the CRL or OCSP shows it, within 6 hours.",
            "Slow decisions: look at who is on duty for revocations. Slow publications: look at when lists and OCSP "
            "responses are signed.",
            "No revocation was decided or published",
        ),
        "s",
        (
            Query("{{service_name}} decision", slowest(TRUST_CERTIFICATE_REVOCATION_DECISION_DURATION)),
            Query(
                "{{service_name}} publication {{" + _CHANNEL + "}}",
                slowest(TRUST_CERTIFICATE_REVOCATION_PUBLICATION_DURATION, _CHANNEL),
            ),
        ),
        highest_first=True,
    )


_OF_LIST: Final = (*BY_SERVICE, "trust_certificate_crl_name")


def _newest(metric: Metric, *by: str) -> str:
    return f"max by ({', '.join(by)}) ({series(metric)})"


_LIST_ISSUED: Final = _newest(TRUST_CERTIFICATE_CRL_THIS_UPDATE, *_OF_LIST)
_LIST_ENDS: Final = _newest(TRUST_CERTIFICATE_CRL_NEXT_UPDATE, *_OF_LIST)
LIST_VALIDITY_USED: Final = f"(time() - {_LIST_ISSUED}) / (({_LIST_ENDS} - {_LIST_ISSUED}) > 0)"
"""Share of the time between thisUpdate and nextUpdate of each list that has passed."""


def revocation_lists() -> table.Panel:
    """Revocation lists: number, age, next update and size."""
    number = _newest(TRUST_CERTIFICATE_CRL_NUMBER, *_OF_LIST)
    return table_panel(
        PanelText(
            REVOCATION_LISTS,
            "Revocation lists: age and number",
            "Is each list current, and is its successor published in time? The newest list that any instance has read. "
            "Its validity is the time from thisUpdate to nextUpdate.",
            "Due: sign and publish the next list while the old one is valid. Out of date: strict verifiers reject "
            "every certificate of the issuer. A number that decreased: an old list is published again.",
            "No service watches revocation lists. Set TRUST_OTEL_CERTIFICATES.",
            alerts=("TrustRevocationListNotPublished", "TrustRevocationListStale"),
        ),
        {**SERVICE_KEY, "trust_certificate_crl_name": "Revocation list"},
        (
            Column(
                "State",
                f"({_LIST_ENDS} < time()) * 0 + 2 or ({LIST_VALIDITY_USED} > {LIST_LIMIT:g}) * 0 + 1"
                f" or {_LIST_ENDS} * 0",
                levels=rising(yellow=1, red=2),
                texts={"0": ("OK", "green"), "1": ("due", "yellow"), "2": ("out of date", "red")},
                missing=MISSING,
                width=110,
            ),
            Column("Age", f"time() - {_LIST_ISSUED}", "s", width=90),
            Column("Next update in", f"{_LIST_ENDS} - time()", "s", levels=falling(red=0), width=110),
            Column("Validity used", LIST_VALIDITY_USED, "percentunit", width=100),
            Column("Number", number, "none"),
            Column("Number, 24 h", f"{number} - max_over_time(({number})[1d:15m])", "none", levels=falling(red=0)),
            Column("Size", _newest(TRUST_CERTIFICATE_CRL_SIZE, *_OF_LIST), "bytes", width=80),
        ),
        sort="State",
        key_widths=SERVICE_WIDTH,
        height=7,
    )


_OF_RESPONDER: Final = (*BY_SERVICE, "trust_certificate_ocsp_responder")
_RESPONSE_ISSUED: Final = _newest(TRUST_CERTIFICATE_OCSP_THIS_UPDATE, *_OF_RESPONDER)
_RESPONSE_ENDS: Final = _newest(TRUST_CERTIFICATE_OCSP_NEXT_UPDATE, *_OF_RESPONDER)
RESPONSE_FRESH_FOR: Final = f"(({_RESPONSE_ENDS} - time()) or ({_RESPONSE_ISSUED} - time() + {RESPONSE_AGE_LIMIT:g}))"
"""Time for which the responses of each responder are still current."""


def responders() -> table.Panel:
    """OCSP responders: freshness, status and latency of their responses."""
    by = _OF_RESPONDER

    def responses(*matchers: str) -> str:
        return total(increase(TRUST_CERTIFICATE_OCSP_RESPONSES, *matchers), *by)

    return table_panel(
        PanelText(
            RESPONDERS,
            "OCSP responders",
            "Can a relying party rely on what OCSP says? The newest response that any instance has verified, and the "
            "responses about the watched certificates in the selected time range. Without a nextUpdate, a response is "
            "current for a day.",
            "Out of date or many errors: check that the responder signs new responses, its certificate, and its clock. "
            "An error is no response, or one that cannot be verified.",
            "No service asks an OCSP responder. Add its address to TRUST_OTEL_CERTIFICATES.",
            alerts=("TrustOcspResponseStale",),
        ),
        {**SERVICE_KEY, "trust_certificate_ocsp_responder": "Responder"},
        (
            Column(
                "State",
                f"({RESPONSE_FRESH_FOR} < 0) * 0 + 2 or {_RESPONSE_ISSUED} * 0",
                levels=rising(red=2),
                texts={"0": ("OK", "green"), "2": ("out of date", "red")},
                missing=MISSING,
                width=110,
            ),
            Column("Age", f"time() - {_RESPONSE_ISSUED}", "s", width=90),
            Column("Next update in", f"{_RESPONSE_ENDS} - time()", "s", levels=falling(red=0), width=110),
            Column("Responses", f"round({responses()})", "none"),
            Column(
                "Errors",
                ratio(responses('trust_certificate_ocsp_status="error"'), responses()),
                "percentunit",
                levels=rising(yellow=0.01, red=0.1),
            ),
            Column(
                "Latency (p95)",
                quantile(0.95, TRUST_CERTIFICATE_OCSP_REQUEST_DURATION, by=by, over=TIME_RANGE),
                "s",
                levels=rising(yellow=1, red=5),
                width=100,
            ),
        ),
        sort="State",
        key_widths=SERVICE_WIDTH,
        height=6,
    )


def ocsp_responses() -> timeseries.Panel:
    """Responses by status over time."""
    by = (*_OF_RESPONDER, "trust_certificate_ocsp_status")
    return time_series_panel(
        PanelText(
            OCSP_RESPONSES,
            "OCSP responses by status",
            "What did responders say about the watched certificates? Responses per second by status.",
            "revoked: a certificate in use is revoked; replace it. unknown: the responder does not know a certificate "
            "of its issuer. error: see OCSP responders.",
            "No service asks an OCSP responder. Add its address to TRUST_OTEL_CERTIFICATES",
        ),
        "reqps",
        (
            Query(
                "{{service_name}} {{trust_certificate_ocsp_responder}} {{trust_certificate_ocsp_status}}",
                total(rate(TRUST_CERTIFICATE_OCSP_RESPONSES), *by),
            ),
        ),
        highest_first=True,
    )


def ocsp_latency() -> timeseries.Panel:
    """Latency as a relying party sees it, and of the service's own responder."""
    own = 'trust_certificate_operation="ocsp_response"'
    return time_series_panel(
        PanelText(
            OCSP_LATENCY,
            "OCSP latency",
            "How long do relying parties wait for OCSP, and is it the responder or the network? 95th percentile. Where "
            "a relying party is: until the response was received and verified. Own responder: until the service has "
            "made it.",
            "Both slow: check the responder's key (HSM, Vault) and its database. Only the relying party's side: check "
            "the network and the CDN.",
            "No OCSP response was received or made",
        ),
        "s",
        (
            Query(
                "{{service_name}} from {{trust_certificate_ocsp_responder}}",
                quantile(0.95, TRUST_CERTIFICATE_OCSP_REQUEST_DURATION, by=_OF_RESPONDER),
            ),
            Query(
                "{{service_name}} own responder",
                quantile(0.95, TRUST_CERTIFICATE_OPERATION_DURATION, own, by=BY_SERVICE),
                dashed=True,
            ),
        ),
        highest_first=True,
    )
