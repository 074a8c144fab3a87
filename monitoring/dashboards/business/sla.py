"""What customers were promised and what they got: agreements, satisfaction, certificates, time."""

from __future__ import annotations

import itertools

from grafana_foundation_sdk.builders import bargauge, table, timeseries

from monitoring.dashboards.business.constants import FAILED, OPERATIONS, amount
from monitoring.dashboards.panels import About, Column, Signal, bars, rows, trend
from monitoring.dashboards.queries import SHOWN, increase, recorded, series, share, total
from monitoring.dashboards.thresholds import falling, limit, rising
from trust_otel.semconv.metrics import (
    TRUST_CUSTOMER_SATISFACTION,
    TRUST_SLA_EVENTS,
    TRUST_SLA_OBJECTIVE,
)

_OPERATION = ("trust_certificate_operation",)
_AGREEMENT = ("service_name", "trust_sla_name")
_MONTH = "30d"
_REFUSED_RATIO = "service:trust_certificate_validation_failures_per_validation:ratio_rate5m"
_MANY_MISSES = limit("TrustSlaViolation", "trust_sla_events_total")
_REFUSED = limit("TrustCertificateValidationFailures", _REFUSED_RATIO)


def agreements() -> table.Panel:
    """B5."""
    objective = f"max by ({', '.join(_AGREEMENT)}) ({series(TRUST_SLA_OBJECTIVE)})"
    budget = f"1 - ({_missed_share(_MONTH)}) / on ({', '.join(_AGREEMENT)}) (1 - {objective})"
    return rows(
        About(
            5,
            "SLA compliance",
            "Each agreement: the share of events that it promises to be met, the share that was, and how much of the "
            "misses that it allows in 30 days is left. Below 0 % the agreement is broken.",
            "Red or yellow: open the runbook; tell the customers before they ask.",
            "No agreement is set: name a file in TRUST_OTEL_SLA_FILE.",
            ("TrustSlaViolation",),
        ),
        {"trust_sla_name": "Agreement", "service_name": "Service"},
        [
            Column("Now", _broken_now(objective), words={"0": ("kept", "green"), "1": ("not kept", "red")}),
            Column("Left, 30 days", budget, "percentunit", falling(red=0, yellow=0.25)),
            Column("Kept", f"1 - ({_missed_share(SHOWN)})", "percentunit"),
            Column("Promised", objective, "percentunit"),
        ],
        key_widths={"Agreement": 160, "Service": 100},
        width=12,
    )


def _broken_now(objective: str) -> str:
    """As the alert has it: more misses than allowed, and not only a few."""
    by = ", ".join(_AGREEMENT)
    share_now = total(recorded("service:trust_sla_misses:rate30m"), *_AGREEMENT)
    events = total(recorded("service:trust_sla_events:rate30m"), *_AGREEMENT)
    many = f"{total(increase(TRUST_SLA_EVENTS, FAILED, over='30m'), *_AGREEMENT)} >= {_MANY_MISSES:g}"
    broken = f"{share_now} / ({events} > 0) > on ({by}) 1 - {objective} and on ({by}) {many}"
    return f"({broken}) * 0 + 1 or on ({by}) {events} * 0"


def _missed_share(over: str) -> str:
    missed, events = (
        total(f"sum_over_time({recorded(f'service:trust_sla_{each}:rate30m')}[{over}:1m])", *_AGREEMENT)
        for each in ("misses", "events")
    )
    return f"{missed} / ({events} > 0) or {events} * 0"


def mean_score(over: str) -> str:
    """The mean of the scores in a time."""
    whole, count = (total(increase(TRUST_CUSTOMER_SATISFACTION, part=part, over=over)) for part in ("_sum", "_count"))
    return f"{whole} / ({count} > 0)"


def satisfaction() -> timeseries.Panel:
    """B6, the mean."""
    return trend(
        About(
            6,
            "Customer satisfaction",
            "Mean of the scores that customers gave within an hour, from 1 (worst) to 5 (best). A gap is an hour "
            "without a score.",
            "Falling: compare with SLA compliance and Processing time at the same time.",
            "No customer has given a score yet.",
        ),
        "none",
        [Signal("Mean score", mean_score("1h"))],
        least=1,
        most=5,
        width=7,
    )


def scores() -> bargauge.Panel:
    """B6, the distribution."""
    below = [
        total(increase(TRUST_CUSTOMER_SATISFACTION, f'le=~"{score}|{score}.0"', part="_bucket"))
        for score in range(1, 6)
    ]
    counts = [
        f"round({below[0]})",
        *(f"round(clamp_min({upper} - {lower}, 0))" for lower, upper in itertools.pairwise(below)),
    ]
    return bars(
        About(
            21,
            "Scores",
            "How many customers gave each score in the time shown.",
            "Many 1 and 2 beside many 5: one group of customers is unhappy. Ask which.",
            "No customer gave a score in the time shown.",
        ),
        "short",
        [Signal(f"{5 - index}", count) for index, count in enumerate(reversed(counts))],
        width=5,
    )


def certificates() -> table.Panel:
    """B4."""
    done = amount(OPERATIONS, by=_OPERATION)
    failed = f"({amount(OPERATIONS, FAILED, by=_OPERATION)} or {done} * 0)"
    return rows(
        About(
            4,
            "Certificate issuance statistics",
            "Certificates issued, renewed, revoked and validated, and signatures made, in the time shown. Failed is "
            "what was refused or could not be done; refusing a bad certificate is right.",
            "A red share: open the runbook, and look in the panel beside it since when.",
            "No certificate operation in the time shown.",
            ("TrustCertificateValidationFailures", "TrustSigningFailures", "TrustValidationBudgetBurn"),
        ),
        {"trust_certificate_operation": "Operation"},
        [
            Column("All", f"round({done})"),
            Column("Failed", f"round({failed})"),
            Column("Failed share", share(failed, done), "percentunit", rising(red=_REFUSED)),
        ],
        sort="All",
        width=12,
        height=9,
    )


def certificate_failures() -> timeseries.Panel:
    """The course of what failed."""
    done = total(recorded(OPERATIONS), *_OPERATION)
    failed = total(recorded(OPERATIONS, FAILED), *_OPERATION)
    return trend(
        About(
            22,
            "Certificate operations that fail",
            "Share of each operation that was refused or could not be done; the dashed line is where the alert for "
            "validations begins.",
            "Open the runbooks of Certificate issuance statistics.",
            "No certificate operation in the last minutes.",
            ("TrustCertificateValidationFailures",),
        ),
        "percentunit",
        [Signal("{{trust_certificate_operation}}", f"{share(failed, done)} or {done} * 0")],
        levels=rising(red=_REFUSED),
        width=12,
        height=9,
    )


def duration() -> timeseries.Panel:
    """B8."""
    return trend(
        About(
            8,
            "Processing time trends",
            "Time to process a document within the last half hour, by type: half take longer than the dashed line, "
            "and one in twenty longer than the full one.",
            "One type rises: look at its size and at what changed for it. All rise: ask operations.",
            "No document was processed in the time shown.",
        ),
        "s",
        [
            Signal("{{trust_document_type}} 95 %", _duration("p95")),
            Signal("{{trust_document_type}} 50 %", _duration("p50"), dashed=True),
        ],
        width=12,
        height=10,
    )


def _duration(quantile: str) -> str:
    recorded_name = f"service_document:trust_document_processing_duration_seconds:{quantile}_rate30m"
    return f"max by (trust_document_type) ({recorded(recorded_name)})"
