"""Overview of the security dashboard: status, event feed and suspicious activity."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import stat, table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, stat_panel, table_panel, time_series_panel
from monitoring.dashboards.queries import counted, recorded, scraped, series, total, with_label, zero_if_recorded
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    AUDIT,
    BRUTE_FORCE_LIMIT,
    BURST_LIMIT,
    COMPLIANCE,
    DETECTOR_INPUT_BY_INCIDENT,
    DETECTOR_INPUTS,
    EVENTS,
    FAILED,
    INCIDENT_TEXTS,
    INCIDENTS,
    LOGINS,
    MFA,
    NO_CHECKS,
    NO_DETECTION,
    NO_EVENTS,
    NO_LOGINS,
    NO_OPERATIONS,
    NO_RATE_LIMITED,
    NO_SEVERITY,
    RATE_LIMIT_LIMIT,
    RATE_LIMITING,
    SEVERITIES,
    THREATS,
    UNMEASURED,
    WITH_CREDENTIALS,
    YELLOW_FROM_ONE,
    checks_of_controls,
    failures_by_address,
    missing_audit_records,
    placeholder_row,
    states_of_required_controls,
    whole_events,
)
from monitoring.dashboards.template import OPERATIONAL, SECURITY, panel_url
from monitoring.dashboards.thresholds import NEUTRAL, NONE_ALLOWED, Levels, rising
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import (
    TRUST_AUDIT_EVENTS,
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_AUTHZ_DECISIONS,
    TRUST_COMPLIANCE_CHECKS,
    TRUST_SECURITY_INCIDENTS,
    TRUST_SECURITY_RATE_LIMITED,
    TRUST_SECURITY_THREAT_MATCHES,
)

_TYPE: Final = "trust_security_incident_type"
_ALERT_WINDOW: Final = "10m"
_CRITICAL: Final = 'trust_severity="critical"'
_OF_A_CONTROL: Final = (
    *("deployment_environment_name", "service_name"),
    *("trust_compliance_framework", "trust_compliance_control"),
)
_OF_AN_ADDRESS: Final = ("deployment_environment_name", "service_name", "client_address")


# Events other than incidents, with the panel that has the details.
_OTHER_EVENTS: Final[tuple[tuple[str, Metric, tuple[str, ...], int], ...]] = (
    ("Failed login", TRUST_AUTH_ATTEMPTS, (FAILED, WITH_CREDENTIALS), LOGINS),
    ("Failed MFA challenge", TRUST_AUTH_MFA_CHALLENGES, (FAILED,), MFA),
    ("Access denied", TRUST_AUTHZ_DECISIONS, ('trust_authz_decision="deny"',), RATE_LIMITING),
    ("Rate-limited request", TRUST_SECURITY_RATE_LIMITED, (), RATE_LIMITING),
    ("Request from a listed address", TRUST_SECURITY_THREAT_MATCHES, (), THREATS),
    ("Failed privileged operation", TRUST_AUDIT_EVENTS, (FAILED,), AUDIT),
    ("Failed compliance check", TRUST_COMPLIANCE_CHECKS, (FAILED,), COMPLIANCE),
)


COUNTED_EVENTS: Final[tuple[tuple[Metric, tuple[str, ...]], ...]] = (
    (TRUST_SECURITY_INCIDENTS, ()),
    *((metric, matchers) for _, metric, matchers, _ in _OTHER_EVENTS if metric is not TRUST_AUDIT_EVENTS),
    (TRUST_AUDIT_EVENTS, ()),
)
"""What services can export as events, by metric and matchers of the series."""

_EVENTS: Final = (TRUST_SECURITY_INCIDENTS, *dict.fromkeys(metric for _, metric, _, _ in _OTHER_EVENTS))


def security_status() -> tuple[stat.Panel, ...]:
    """A single value for each group of security alerts."""
    return (
        _status(),
        _critical_incidents(),
        _attacking_addresses(),
        _rate_limited(),
        _missing_audit_records(),
        _compliance_violations(),
    )


def _status() -> stat.Panel:
    def firing(severity: str) -> str:
        alerts = recorded("ALERTS", 'team=~"security|compliance"', 'alertstate="firing"', f'severity="{severity}"')
        return f"count({alerts})"

    critical, warning = firing("critical"), firing("warning")
    # Without a firing alert the status is OK only if rules are evaluated and security events are recorded.
    watchdog = scraped("ALERTS", 'alertname="TrustWatchdog"', 'alertstate="firing"')
    recorded_events = " or ".join(total(series(metric)) for metric in _EVENTS)
    ok = f"(count({watchdog}) * 0 and ({recorded_events}))"
    return stat_panel(
        PanelText(
            20,
            "Security status",
            "Highest severity of the firing alerts of the security and compliance teams.",
            "Open the alerts, and follow the runbook of the most severe one.",
            NO_EVENTS,
            links={"Alerts": panel_url(OPERATIONAL, 9), "Events": panel_url(SECURITY, EVENTS)},
        ),
        "none",
        (Query("Status", f"clamp_max({critical}, 1) * 2 or clamp_max({warning}, 1) or {ok}"),),
        levels=rising(yellow=1, red=2),
        texts={"0": ("OK", "green"), "1": ("warning", "yellow"), "2": ("critical", "red")},
        sparkline=False,
        link=panel_url(OPERATIONAL, 9),
    )


def _critical_incidents() -> stat.Panel:
    return stat_panel(
        PanelText(
            21,
            "Critical incidents",
            "Security incidents of severity critical in the last 10 minutes.",
            "Find the type in Suspicious activity and attack patterns, and follow the runbook.",
            NO_DETECTION,
            alerts=("TrustSuspiciousActivity",),
            links={"Suspicious activity": panel_url(SECURITY, INCIDENTS)},
        ),
        "none",
        (
            Query(
                "Critical incidents",
                whole_events(total(counted(TRUST_SECURITY_INCIDENTS, _CRITICAL, over=_ALERT_WINDOW)), *DETECTOR_INPUTS),
            ),
        ),
        levels=NONE_ALLOWED,
        # Evaluated at the same time as the tables below.
        sparkline=False,
        link=panel_url(SECURITY, INCIDENTS),
    )


def _attacking_addresses() -> stat.Panel:
    brute_force = f"{failures_by_address('1h', *_OF_AN_ADDRESS)} >= {BRUTE_FORCE_LIMIT:g}"
    burst = f"{failures_by_address('1m', *_OF_AN_ADDRESS)} >= {BURST_LIMIT:g}"
    return stat_panel(
        PanelText(
            22,
            "Attacking IP addresses",
            f"Client addresses with at least {BURST_LIMIT:g} failed logins within a minute or {BRUTE_FORCE_LIMIT:g} "
            "within an hour. 0 does not include services that do not know the client's address, or that set "
            "TRUST_OTEL_CLIENT_ADDRESS=off: see Failed logins by source.",
            "Find the addresses in Failed authentication by IP address, and block them.",
            NO_LOGINS,
            alerts=("TrustBruteForceFromAddress", "TrustAuthFailuresFromAddress"),
            links={"Addresses": panel_url(SECURITY, ADDRESSES)},
        ),
        "none",
        (
            Query(
                "Attacking IP addresses", f"count({brute_force} or {burst}) or {zero_if_recorded(TRUST_AUTH_ATTEMPTS)}"
            ),
        ),
        levels=NONE_ALLOWED,
        # Evaluating an hour of all addresses at every step would be slow.
        sparkline=False,
        link=panel_url(SECURITY, ADDRESSES),
    )


def _rate_limited() -> stat.Panel:
    refusals = total(
        counted(TRUST_SECURITY_RATE_LIMITED, over="5m"),
        "deployment_environment_name",
        "service_name",
        "trust_rate_limit_name",
    )
    return stat_panel(
        PanelText(
            23,
            "Busiest rate limit",
            "Requests refused within 5 minutes by the rate limit that refused most. The alert fires at "
            f"{RATE_LIMIT_LIMIT:g}. Real-time security events counts the requests refused by all limits.",
            "Many clients are refused: the limit may be too low. One client is refused: an attack, or a misbehaving "
            "client.",
            NO_RATE_LIMITED,
            alerts=("TrustExcessiveRateLimiting",),
            links={"Rate limiting": panel_url(SECURITY, RATE_LIMITING)},
        ),
        "none",
        (
            Query(
                "Rate-limited requests", whole_events(f"max({refusals})", zero_if_recorded(TRUST_SECURITY_RATE_LIMITED))
            ),
        ),
        levels=rising(yellow=RATE_LIMIT_LIMIT / 2, red=RATE_LIMIT_LIMIT),
        sparkline=False,
        link=panel_url(SECURITY, RATE_LIMITING),
    )


def _missing_audit_records() -> stat.Panel:
    return stat_panel(
        PanelText(
            24,
            "Missing audit records",
            "Privileged operations without an audit record for 5 minutes.",
            "Treat the audit log as incomplete from the first missing record on. Use other logs to find out who did "
            "what.",
            NO_OPERATIONS,
            alerts=("TrustAuditRecordsMissing",),
            links={"Audit log": panel_url(SECURITY, AUDIT)},
        ),
        "none",
        (Query("Missing audit records", missing_audit_records()),),
        levels=NONE_ALLOWED,
        # Evaluated at the same time as the tables below.
        sparkline=False,
        link=panel_url(SECURITY, AUDIT),
    )


def _compliance_violations() -> stat.Panel:
    unchecked = f"({states_of_required_controls(*_OF_A_CONTROL)}{checks_of_controls('1d', *_OF_A_CONTROL)})"
    return stat_panel(
        PanelText(
            25,
            "Compliance violations",
            "Failed compliance checks of all controls in the last 15 minutes, and the controls that were checked "
            "within a week but not within a day."
            "<<required_controls  Of the required controls, those that were not checked within their age, or never.>>",
            "Report each violation to the compliance officer. The control is in Compliance violations and "
            "regulatory requirements. A control that is no longer checked may be violated unseen: find out why.",
            NO_CHECKS,
            alerts=("TrustComplianceFailure",),
            links={"Compliance": panel_url(SECURITY, COMPLIANCE)},
        ),
        "none",
        (
            Query(
                "Compliance violations",
                whole_events(
                    total(counted(TRUST_COMPLIANCE_CHECKS, FAILED, over="15m")),
                    zero_if_recorded(TRUST_COMPLIANCE_CHECKS),
                ),
            ),
            Query(
                "Controls not checked for a day",
                f"count({unchecked} <= 0) or count({unchecked}) * 0",
                levels=NONE_ALLOWED,
            ),
        ),
        levels=YELLOW_FROM_ONE,
        sparkline=False,
        link=panel_url(SECURITY, COMPLIANCE),
    )


def security_events() -> table.Panel:
    """All security events, the most severe first, with links to the detail panels."""
    there = panel_url(SECURITY, "${__data.fields.Panel}")
    return table_panel(
        PanelText(
            EVENTS,
            "Real-time security events",
            "Security events in the last minute, 5 minutes and hour. Incidents come first, by severity; an incident "
            "type is listed after its first incident. A dash means that no service records this event. Single events "
            "are on the dashboard Security events, if the site has Loki (docs/security-events.md).",
            "Start at the top. Each event links to the panel with the details.",
            "No service reports data. Check the export of the services and the Collector.",
            links={"Alerts": panel_url(OPERATIONAL, 9)},
        ),
        {"event": "Event", "trust_severity": "Severity", "panel": "Panel"},
        (
            Column("1 minute", _happened("1m"), "none", levels=_SOME, width=85),
            Column("5 minutes", _happened("5m"), "none", levels=_SOME, width=90),
            Column("1 hour", _happened("1h"), "none", width=70),
        ),
        key_links={"Event": there},
        key_texts={"Event": INCIDENT_TEXTS, "Severity": SEVERITIES},
        key_widths={"Severity": 80, "Panel": 55},
        width=12,
        height=15,
    )


_SOME: Final = Levels("transparent", ((1, NEUTRAL),))


def _happened(over: str) -> str:
    others = (
        _as_event(
            f"({total(counted(metric, *matchers, over=over))} or {zero_if_recorded(metric)} or {UNMEASURED})",
            event,
            panel,
        )
        for event, metric, matchers, panel in _OTHER_EVENTS
    )
    severities = ('="critical"', '="warning"', '=~"info|_other"')
    return " or ".join(f"round({each})" for each in (*(_raised(each, over) for each in severities), *others))


def _as_event(query: str, event: str, panel: int) -> str:
    return with_label(with_label(with_label(query, "event", event), "trust_severity", NO_SEVERITY), "panel", str(panel))


def _raised(severity: str, over: str) -> str:
    found = total(counted(TRUST_SECURITY_INCIDENTS, f"trust_severity{severity}", over=over), _TYPE, "trust_severity")
    by_kind = f'label_replace({found}, "event", "$1", "{_TYPE}", "(.+)")'
    return with_label(f"sum by (event, trust_severity) ({by_kind})", "panel", str(INCIDENTS))


def suspicious_activity() -> table.Panel:
    """Incidents by type and severity."""

    def found(over: str, *matchers: str) -> str:
        query = total(counted(TRUST_SECURITY_INCIDENTS, *matchers, over=over), _TYPE)
        detected = (with_label(watched, _TYPE, kind) for kind, watched in DETECTOR_INPUT_BY_INCIDENT.items())
        return whole_events(query, zero_if_recorded(TRUST_SECURITY_INCIDENTS, by=(_TYPE,)), *detected)

    def recent(severities: str) -> str:
        return found(_ALERT_WINDOW, f"trust_severity{severities}")

    return table_panel(
        PanelText(
            INCIDENTS,
            "Suspicious activity and attack patterns",
            "Incidents by type: by severity in the last 10 minutes, and in the last hour and day. During an attack, "
            "the detector reports the incident again every 5 minutes.",
            "Critical: follow the runbook now. Credential stuffing and path scanning: block the address. Password "
            "spraying and MFA fatigue: contact the account owners, and reset guessed passwords. Impossible travel: "
            "contact the user first, many are VPN users.",
            NO_DETECTION,
            alerts=("TrustSuspiciousActivity",),
            links={"Failing addresses": panel_url(SECURITY, ADDRESSES), "Threat feeds": panel_url(SECURITY, THREATS)},
        ),
        {_TYPE: "Pattern"},
        (
            Column("Critical", recent('="critical"'), "none", levels=NONE_ALLOWED, width=80),
            Column("Warning", recent('=~"warning|_other"'), "none", levels=YELLOW_FROM_ONE, width=80),
            Column("Info", recent('="info"'), "none", levels=_SOME, width=80),
            Column("1 hour", found("1h"), "none", width=70),
            Column("1 day", found("1d"), "none", width=70),
        ),
        sort=("Critical", "Warning", "1 day"),
        key_texts={"Pattern": INCIDENT_TEXTS},
        width=12,
        height=15,
    )


def incidents_over_time() -> timeseries.Panel:
    """Incidents over time."""
    found = total(counted(TRUST_SECURITY_INCIDENTS, over="5m"), _TYPE)
    return time_series_panel(
        PanelText(
            26,
            "Security incidents over time",
            "Incidents by type within 5 minutes.",
            "A single type: an attack of that pattern. Several types that begin at the same time: one attacker who "
            "tries several methods; start with Failed authentication by IP address.",
            NO_DETECTION,
            alerts=("TrustSuspiciousActivity",),
        ),
        "none",
        (
            Query(
                "{{" + _TYPE + "}}",
                whole_events(found, *(placeholder_row(_TYPE, "no incidents", each) for each in DETECTOR_INPUTS)),
            ),
        ),
        width=24,
        height=9,
    )
