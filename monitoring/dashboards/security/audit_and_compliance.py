"""What is on record: the audit log, and compliance."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import TEXT_COLOUR, About, Column, Signal, Words, rows, trend
from monitoring.dashboards.queries import increase, rate, series, share, total
from monitoring.dashboards.security.constants import (
    AUDIT,
    COMPLIANCE,
    FAILED,
    NO_CHECKS,
    NO_OPERATIONS,
    WARN_OF_ANY,
    counted,
    known,
    unrecorded,
)
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling
from trust_otel.semconv.metrics import (
    TRUST_AUDIT_EVENTS,
    TRUST_AUDIT_OPERATIONS,
    TRUST_COMPLIANCE_CHECKS,
)

_ACTION: Final = "trust_audit_action"
_CONTROL: Final = ("trust_compliance_framework", "trust_compliance_control")

_FRAMEWORKS: Final[Words] = {
    "eidas": ("eIDAS", TEXT_COLOUR),
    "gdpr": ("GDPR", TEXT_COLOUR),
    "cab_forum": ("CA/Browser Forum", TEXT_COLOUR),
    "etsi": ("ETSI", TEXT_COLOUR),
    "iso_27001": ("ISO 27001", TEXT_COLOUR),
    "nis2": ("NIS 2", TEXT_COLOUR),
}


def audit() -> table.Panel:
    """Operations and their records, action by action."""
    began, missing = total(series(TRUST_AUDIT_OPERATIONS), _ACTION), unrecorded(_ACTION)
    failed = total(increase(TRUST_AUDIT_EVENTS, FAILED), _ACTION)
    records = total(increase(TRUST_AUDIT_EVENTS), _ACTION)
    return rows(
        About(
            AUDIT,
            "Audit log events and completeness",
            "Records written in the time shown, how many of them tell of a failed operation, and operations of "
            "running instances that have left none for 5 minutes. Complete: share of the operations since their "
            "start that are on record.",
            "A missing record: note when it began (below), find out from other logs who did what, and repair the log "
            "before the next review. Many failures: somebody tries what he may not do.",
            NO_OPERATIONS,
            alerts=("TrustAuditRecordsMissing",),
        ),
        {_ACTION: "Action"},
        (
            Column("Records", counted(records, f"{began} * 0"), "none", width=100),
            Column("Failed", counted(failed, f"{began} * 0"), "none", width=100),
            Column("Missing", missing, "none", levels=NONE_ALLOWED, width=100),
            Column("Complete", f"1 - {missing} / {began}", "percentunit", levels=falling(red=1), width=100),
        ),
        sort="Records",
        width=12,
        height=10,
    )


def audit_events() -> timeseries.Panel:
    """Records over time, and what is missing."""
    events = total(rate(TRUST_AUDIT_EVENTS), _ACTION)
    return trend(
        About(
            32,
            "Audit log events",
            "Records written in a minute, by action, and the number of records that are missing (right axis).",
            "No records at all while operations go on: the log cannot be written. A step in what is missing tells "
            "when it happened.",
            "No audit record has been written in this time.",
            alerts=("TrustAuditRecordsMissing",),
        ),
        "cpm",
        (
            Signal("{{" + _ACTION + "}}", f"{events} * 60"),
            Signal("missing", unrecorded(), "none", dashed=True, colour="red"),
        ),
        height=10,
    )


def compliance() -> table.Panel:
    """Checks of each control."""

    def checks(*matchers: str, over: str) -> str:
        return total(increase(TRUST_COMPLIANCE_CHECKS, *matchers, over=over), *_CONTROL)

    def number(*matchers: str, over: str = "$__range") -> str:
        return counted(checks(*matchers, over=over), known(TRUST_COMPLIANCE_CHECKS, *_CONTROL))

    return rows(
        About(
            COMPLIANCE,
            "Compliance violations and regulatory requirements",
            "Each control that the service checks, by regulation: violations of the last 15 minutes (which raise an "
            "alert), and all checks of the time shown.",
            "Each violation is a case: the audit log has the operation. A control that is no longer checked is none "
            "that holds.",
            NO_CHECKS,
            alerts=("TrustComplianceFailure",),
        ),
        dict(zip(_CONTROL, ("Regulation", "Control"), strict=True)),
        (
            Column("15 min", number(FAILED, over="15m"), "none", levels=WARN_OF_ANY, width=70),
            Column("Violations", number(FAILED), "none", width=90),
            Column("Passed", number('trust_outcome="success"'), "none", width=90),
            Column(
                "Share passed",
                share(checks('trust_outcome="success"', over="$__range"), checks(over="$__range")),
                "percentunit",
                width=110,
            ),
        ),
        sort="Violations",
        key_words={"Regulation": _FRAMEWORKS},
        width=12,
        height=9,
    )


def failed_checks() -> timeseries.Panel:
    """Violations over time."""
    failed = total(increase(TRUST_COMPLIANCE_CHECKS, FAILED, over="15m"), *_CONTROL)
    return trend(
        About(
            33,
            "Compliance violations over time",
            "Checks that failed within 15 minutes, by regulation and control.",
            "A step that stays: a change of the service or of a policy broke the control. Look at deployments (blue "
            "lines).",
            NO_CHECKS,
            alerts=("TrustComplianceFailure",),
        ),
        "none",
        (
            Signal(
                "{{trust_compliance_framework}} {{trust_compliance_control}}",
                counted(failed, known(TRUST_COMPLIANCE_CHECKS, *_CONTROL)),
            ),
        ),
        height=9,
    )
