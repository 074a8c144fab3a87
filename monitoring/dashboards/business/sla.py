"""SLA compliance, customer satisfaction, certificate operations and processing time."""

from __future__ import annotations

import itertools

from grafana_foundation_sdk.builders import bargauge, table, timeseries

from monitoring.alerts import minimum, threshold
from monitoring.dashboards.business.constants import FAILED, OPERATIONS, SCORES, SLA_EVENTS, SUM_OF_SCORES, amount
from monitoring.dashboards.panels import Column, PanelText, Query, bar_gauge_panel, table_panel, time_series_panel
from monitoring.dashboards.queries import TIME_RANGE, days_kept, increase, ratio, recorded, series, total
from monitoring.dashboards.thresholds import falling, rising
from trust_otel.semconv.metrics import (
    TRUST_CUSTOMER_SATISFACTION,
    TRUST_SLA_EVENTS,
    TRUST_SLA_OBJECTIVE,
)

_OPERATION = ("trust_certificate_operation",)
_ALL_SCORES = 'le="+Inf"'
_BY_SLA = ("service_name", "trust_sla_name")
# Whole weeks, so that all days of the week count alike.
_BUDGET_DAYS = days_kept(28)
_FAILURE_RATIO = "service:trust_certificate_validation_failures_per_validation:ratio_rate5m"
_MIN_MISSES = minimum("TrustSlaViolation")
_FAILURE_LIMIT = threshold("TrustCertificateValidationFailures")


def sla_compliance() -> table.Panel:
    """SLA status, error budget and compliance."""
    objective = f"max by ({', '.join(_BY_SLA)}) ({series(TRUST_SLA_OBJECTIVE)})"
    budget = f"1 - ({_missed_share(f'{_BUDGET_DAYS}d')}) / on ({', '.join(_BY_SLA)}) (1 - {objective})"
    return table_panel(
        PanelText(
            5,
            "SLA compliance",
            f"Each SLA: status of the last half hour, {_BUDGET_DAYS}-day error budget left, compliance in the selected "
            "time range, and objective. If the error budget is below 0 %, the SLA is violated. A dash means that there "
            "were no events.",
            "Red or yellow: open the runbook, and inform the customers before they notice.",
            "No SLA is defined. Set TRUST_OTEL_SLA_FILE.",
            ("TrustSlaViolation",),
        ),
        {"trust_sla_name": "SLA", "service_name": "Service"},
        [
            Column("Status", _violated_now(objective), texts={"0": ("met", "green"), "1": ("violated", "red")}),
            Column("Error budget left", budget, "percentunit", falling(red=0, yellow=0.25), width=180),
            Column("Compliance", f"1 - ({_missed_share(TIME_RANGE)})", "percentunit"),
            Column("Objective", objective, "percentunit"),
        ],
        key_widths={"SLA": 170},
        width=12,
    )


def _violated_now(objective: str) -> str:
    """As in the alert: more misses than the objective allows, and not only a few."""
    by = ", ".join(_BY_SLA)
    share_now = total(recorded("service:trust_sla_misses:rate30m"), *_BY_SLA)
    events = total(recorded("service:trust_sla_events:rate30m"), *_BY_SLA)
    many = f"{total(increase(TRUST_SLA_EVENTS, FAILED, over='30m'), *_BY_SLA)} >= {_MIN_MISSES:g}"
    violated = f"{share_now} / ({events} > 0) > on ({by}) 1 - {objective} and on ({by}) {many}"
    return f"({violated}) * 0 + 1 or on ({by}) ({events} > 0) * 0"


def _missed_share(over: str) -> str:
    missed, events = amount(SLA_EVENTS, FAILED, by=_BY_SLA, over=over), amount(SLA_EVENTS, by=_BY_SLA, over=over)
    return ratio(missed, events)


def mean_score(over: str) -> str:
    """Mean customer score over a window."""
    return f"{amount(SUM_OF_SCORES, over=over)} / ({amount(SCORES, _ALL_SCORES, over=over)} > 0)"


def _mean_of_an_hour() -> str:
    """The same for a graph, from the counters: at each point the window is short."""
    whole, count = (total(increase(TRUST_CUSTOMER_SATISFACTION, part=part, over="1h")) for part in ("_sum", "_count"))
    return f"{whole} / ({count} > 0)"


def customer_satisfaction() -> timeseries.Panel:
    """Mean customer score over time."""
    return time_series_panel(
        PanelText(
            6,
            "Customer satisfaction",
            "Mean of the customer scores within an hour, from 1 (worst) to 5 (best). A gap means that no score was "
            "given in that hour.",
            "Dropping: compare with SLA compliance and Processing time trends for the same time.",
            "No customer score was recorded.",
        ),
        "none",
        [Query("Mean score", _mean_of_an_hour())],
        min_value=1,
        max_value=5,
        width=7,
    )


def satisfaction_scores() -> bargauge.Panel:
    """Distribution of the customer scores."""
    below = [amount(SCORES, f'le=~"{score}|{score}.0"') for score in range(1, 6)]
    counts = [
        f"round({below[0]})",
        *(f"round(clamp_min({upper} - {lower}, 0))" for lower, upper in itertools.pairwise(below)),
    ]
    return bar_gauge_panel(
        PanelText(
            21,
            "Satisfaction scores",
            "Number of customers by score in the selected time range.",
            "Many scores of 1 and 2 next to many of 5: one group of customers is dissatisfied. Find out which.",
            "No customer scores were recorded in the selected time range, or only in the last minutes.",
        ),
        "short",
        [Query(f"{5 - index}", count) for index, count in enumerate(reversed(counts))],
        width=5,
    )


def certificate_statistics() -> table.Panel:
    """Certificate operations and their failures."""
    done = amount(OPERATIONS, by=_OPERATION)
    failed = f"({amount(OPERATIONS, FAILED, by=_OPERATION)} or {done} * 0)"
    return table_panel(
        PanelText(
            4,
            "Certificate issuance statistics",
            "Certificate issuances, renewals, revocations, validations and signatures in the selected time range. "
            "Failed operations were refused or ended with an error. Refusing an invalid certificate is correct, and "
            "counts as failed.",
            "A red failure rate: open the runbook, and see in Certificate operation failure rate when it began.",
            "No certificate operations in the selected time range, or only in the last minutes.",
            ("TrustCertificateValidationFailures", "TrustSigningFailures", "TrustValidationBudgetBurn"),
        ),
        {"trust_certificate_operation": "Operation"},
        [
            Column("Total", f"round({done})"),
            Column("Failed", f"round({failed})"),
            Column("Failure rate", ratio(failed, done), "percentunit", rising(red=_FAILURE_LIMIT)),
        ],
        sort="Total",
        width=12,
        height=9,
    )


def certificate_failure_rate() -> timeseries.Panel:
    """Failure rate over time."""
    done = total(recorded(f"{OPERATIONS.name}:rate5m"), *_OPERATION)
    failed = total(recorded(f"{OPERATIONS.name}:rate5m", FAILED), *_OPERATION)
    return time_series_panel(
        PanelText(
            22,
            "Certificate operation failure rate",
            "Share of failed operations by type. The dashed line is the alert threshold for validations. A gap means "
            "that there were no operations.",
            "Open the runbooks linked in Certificate issuance statistics.",
            "No certificate operations in the last minutes.",
            ("TrustCertificateValidationFailures",),
        ),
        "percentunit",
        [Query("{{trust_certificate_operation}}", ratio(failed, done))],
        levels=rising(red=_FAILURE_LIMIT),
        width=12,
        height=9,
    )


def processing_time() -> timeseries.Panel:
    """Processing time percentiles by document type."""
    return time_series_panel(
        PanelText(
            8,
            "Processing time trends",
            "Document processing time over half an hour, by type: p95 and p50 (dashed).",
            "One type rises: check the size of its documents and recent changes to their processing. All types "
            "rise: ask operations.",
            "No documents were processed in the selected time range.",
        ),
        "s",
        [
            Query("{{trust_document_type}} p95", _processing_time("p95")),
            Query("{{trust_document_type}} p50", _processing_time("p50"), dashed=True),
        ],
        width=12,
        height=10,
    )


def _processing_time(quantile: str) -> str:
    recorded_name = f"service_document:trust_document_processing_duration_seconds:{quantile}_rate30m"
    return f"max by (trust_document_type) ({recorded(recorded_name)})"
