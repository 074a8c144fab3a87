"""Audit log and compliance."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import (
    TEXT_COLOUR,
    Column,
    PanelText,
    Query,
    ValueTexts,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import increase, rate, ratio, series, total, zero_if_recorded
from monitoring.dashboards.security.constants import (
    AUDIT,
    COMPLIANCE,
    FAILED,
    NO_CHECKS,
    NO_OPERATIONS,
    YELLOW_FROM_ONE,
    checks_of_controls,
    missing_audit_records,
    states_of_required_controls,
    whole_events,
)
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling
from trust_ops.site_config.required_controls import IN_TIME, NEVER, OVERDUE, WAITING
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    TRUST_AUDIT_EVENTS,
    TRUST_AUDIT_OPERATIONS,
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_AUTHZ_DECISIONS,
    TRUST_COMPLIANCE_CHECKS,
    TRUST_OTEL_INSTANCE_UP,
    TRUST_OTEL_SOURCE_LAST_READ,
)

_ACTION: Final = "trust_audit_action"
_CONTROL: Final = ("trust_compliance_framework", "trust_compliance_control")

_FRAMEWORKS: Final[ValueTexts] = {
    "eidas": ("eIDAS", TEXT_COLOUR),
    "gdpr": ("GDPR", TEXT_COLOUR),
    "cab_forum": ("CA/Browser Forum", TEXT_COLOUR),
    "etsi": ("ETSI", TEXT_COLOUR),
    "iso_27001": ("ISO 27001", TEXT_COLOUR),
    "nis2": ("NIS 2", TEXT_COLOUR),
}


_UNCHECKED: Final[ValueTexts] = {
    str(NEVER): ("never checked", "red"),
    str(OVERDUE): ("overdue", "red"),
    str(WAITING): ("not yet checked", "orange"),
    str(IN_TIME): ("in time", "green"),
}


def audit_completeness() -> table.Panel:
    """Audit records and completeness by action."""
    began, missing = total(series(TRUST_AUDIT_OPERATIONS), _ACTION), missing_audit_records(_ACTION)
    failed = total(increase(TRUST_AUDIT_EVENTS, FAILED), _ACTION)
    records = total(increase(TRUST_AUDIT_EVENTS), _ACTION)
    return table_panel(
        PanelText(
            AUDIT,
            "Audit log events and completeness",
            "Audit records written in the selected time range, records of failed operations, and operations without "
            "an audit record for 5 minutes. Completeness is the share of all operations since the start of the "
            "running instances that have a record.",
            "Missing records: find out when it began (Audit log events over time) and who did what from other logs, "
            "and repair the audit log before the next review. Many failures: somebody tries operations without "
            "permission.",
            NO_OPERATIONS,
            alerts=("TrustAuditRecordsMissing",),
        ),
        {_ACTION: "Action"},
        (
            Column("Records", whole_events(records, f"{began} * 0"), "none", width=100),
            Column("Failed", whole_events(failed, f"{began} * 0"), "none", width=100),
            Column("Missing", missing, "none", levels=NONE_ALLOWED, width=100),
            Column("Completeness", f"1 - {missing} / {began}", "percentunit", levels=falling(red=1), width=110),
        ),
        sort="Records",
        width=12,
        height=10,
    )


def audit_events_over_time() -> timeseries.Panel:
    """Audit records over time."""
    events = total(rate(TRUST_AUDIT_EVENTS), _ACTION)
    return time_series_panel(
        PanelText(
            32,
            "Audit log events over time",
            "Audit records per minute by action, and the number of missing records (right axis).",
            "No records although operations continue: the audit log cannot be written. A step in missing records "
            "shows when it happened.",
            "No audit records were written in the selected time range.",
            alerts=("TrustAuditRecordsMissing",),
        ),
        "cpm",
        (
            Query("{{" + _ACTION + "}}", f"{events} * 60"),
            Query("missing", missing_audit_records(), "none", dashed=True, colour="red"),
        ),
        height=10,
    )


def compliance_checks() -> table.Panel:
    """Compliance checks by control."""

    def checks(*matchers: str, over: str) -> str:
        return total(increase(TRUST_COMPLIANCE_CHECKS, *matchers, over=over), *_CONTROL)

    def number(*matchers: str, over: str = "$__range") -> str:
        return whole_events(checks(*matchers, over=over), zero_if_recorded(TRUST_COMPLIANCE_CHECKS, by=_CONTROL))

    return table_panel(
        PanelText(
            COMPLIANCE,
            "Compliance violations and regulatory requirements",
            "Compliance checks of each control: violations in the last 15 minutes, which trigger an alert, all "
            "checks in the selected time range, and the checks within a day, red if there were none. A control is "
            "listed for a week after its last check."
            "<<required_controls  A required control is always listed, and in time if all services have checked it "
            "within its age.>>",
            "Handle each violation as a case: the audit log has the operation. A control that is no longer checked may "
            "be violated unseen: find out why.",
            NO_CHECKS,
            alerts=("TrustComplianceFailure",),
        ),
        dict(zip(_CONTROL, ("Regulation", "Control"), strict=True)),
        (
            Column("Last 15 min", number(FAILED, over="15m"), "none", levels=YELLOW_FROM_ONE, width=95),
            Column("Violations", number(FAILED), "none", width=90),
            Column("Passed", number('trust_outcome="success"'), "none", width=90),
            Column(
                "Pass rate",
                ratio(checks('trust_outcome="success"', over="$__range"), checks(over="$__range")),
                "percentunit",
                width=110,
            ),
            Column(
                "Checks (1 day)",
                f"{states_of_required_controls(*_CONTROL)}round({checks_of_controls('1d', *_CONTROL)})",
                "none",
                levels=falling(red=1),
                texts=_UNCHECKED,
                width=120,
            ),
        ),
        sort="Violations",
        key_texts={"Regulation": _FRAMEWORKS},
        width=12,
        height=9,
    )


def violations_over_time() -> timeseries.Panel:
    """Compliance violations over time."""
    failed = total(increase(TRUST_COMPLIANCE_CHECKS, FAILED, over="15m"), *_CONTROL)
    return time_series_panel(
        PanelText(
            33,
            "Compliance violations over time",
            "Failed compliance checks within 15 minutes by regulation and control.",
            "A lasting step: a change of the service or of a policy broke the control. Compare with deployments "
            "(grey lines).",
            NO_CHECKS,
            alerts=("TrustComplianceFailure",),
        ),
        "none",
        (
            Query(
                "{{trust_compliance_framework}} {{trust_compliance_control}}",
                whole_events(failed, zero_if_recorded(TRUST_COMPLIANCE_CHECKS, by=_CONTROL)),
            ),
        ),
        height=9,
    )


def coverage() -> table.Panel:
    """What each service measures."""
    keys = ("deployment_environment_name", "service_name")

    def measured(metric: Metric, *matchers: str) -> str:
        return f"group by ({', '.join(keys)}) ({series(metric, *matchers)})"

    return table_panel(
        PanelText(
            34,
            "What is measured",
            "The security signals that each service has recorded since its start. Of what a service has never "
            "recorded, the other panels show nothing, or only other services: that does not mean no events.",
            "Never measured although the service has it: record it (docs/api.md). A threat feed is measured from its "
            "first successful read.",
            "No service reports data. Check the export of the services and the Collector.",
        ),
        {"deployment_environment_name": "Environment", "service_name": "Service"},
        [
            Column(
                heading,
                measured(metric, *matchers),
                "none",
                texts={"1": ("measured", "green")},
                missing=("never", TEXT_COLOUR),
            )
            for heading, metric, matchers in _SIGNALS
        ],
        key_widths={"Environment": 120, "Service": 180},
        width=24,
        height=6,
    )


_SIGNALS: Final[tuple[tuple[str, Metric, tuple[str, ...]], ...]] = (
    ("Telemetry", TRUST_OTEL_INSTANCE_UP, ()),
    ("Logins", TRUST_AUTH_ATTEMPTS, ()),
    ("MFA challenges", TRUST_AUTH_MFA_CHALLENGES, ()),
    ("Access decisions", TRUST_AUTHZ_DECISIONS, ()),
    ("Audit records", TRUST_AUDIT_EVENTS, ()),
    ("Compliance checks", TRUST_COMPLIANCE_CHECKS, ()),
    ("Threat feeds", TRUST_OTEL_SOURCE_LAST_READ, ('trust_otel_source_kind="reputation"',)),
)
