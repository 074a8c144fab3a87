"""What happens now: the state at a glance, the feed of events, and suspicious activity."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import stat, table, timeseries

from monitoring.dashboards.panels import About, Column, Signal, number, rows, trend
from monitoring.dashboards.queries import increase, named, recorded, scraped, series, total
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    AUDIT,
    BRUTE_FORCE_LIMIT,
    BURST_LIMIT,
    COMPLIANCE,
    DETECTED,
    EVENTS,
    FAILED,
    INCIDENT_WORDS,
    INCIDENTS,
    LOGINS,
    NO_CHECKS,
    NO_DETECTION,
    NO_LOGINS,
    NO_OPERATIONS,
    NO_REFUSALS,
    NO_SEVERITY,
    NOTHING,
    RATE_LIMIT_LIMIT,
    REFUSALS,
    SECOND_FACTORS,
    SEVERITIES,
    THREATS,
    UNMEASURED,
    WARN_OF_ANY,
    WATCHED,
    WITH_CREDENTIALS,
    counted,
    failing,
    known,
    no_row,
    unrecorded,
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
_OF_AN_ADDRESS: Final = ("deployment_environment_name", "service_name", "client_address")


# What is no incident, with the panel that explains it.
_OTHER_EVENTS: Final[tuple[tuple[str, Metric, tuple[str, ...], int], ...]] = (
    ("Failed login", TRUST_AUTH_ATTEMPTS, (FAILED, WITH_CREDENTIALS), LOGINS),
    ("Failed second factor", TRUST_AUTH_MFA_CHALLENGES, (FAILED,), SECOND_FACTORS),
    ("Access denied", TRUST_AUTHZ_DECISIONS, ('trust_authz_decision="deny"',), REFUSALS),
    ("Refused by a rate limit", TRUST_SECURITY_RATE_LIMITED, (), REFUSALS),
    ("Address on a threat feed", TRUST_SECURITY_THREAT_MATCHES, (), THREATS),
    ("Privileged operation failed", TRUST_AUDIT_EVENTS, (FAILED,), AUDIT),
    ("Compliance check failed", TRUST_COMPLIANCE_CHECKS, (FAILED,), COMPLIANCE),
)


_EVENTS: Final = (TRUST_SECURITY_INCIDENTS, *dict.fromkeys(metric for _, metric, _, _ in _OTHER_EVENTS))


def at_a_glance() -> tuple[stat.Panel, ...]:
    """A number for each question that the alerts ask."""
    return (_state(), _critical_incidents(), _attackers(), _refused(), _records_missing(), _violations())


def _state() -> stat.Panel:
    def firing(severity: str) -> str:
        alerts = recorded("ALERTS", 'team=~"security|compliance"', 'alertstate="firing"', f'severity="{severity}"')
        return f"count({alerts})"

    critical, warning = firing("critical"), firing("warning")
    # Nothing fires: that is good news only where rules are evaluated, over something that is measured.
    watchdog = scraped("ALERTS", 'alertname="TrustWatchdog"', 'alertstate="firing"')
    recorded_events = " or ".join(total(series(metric)) for metric in _EVENTS)
    calm = f"(count({watchdog}) * 0 and ({recorded_events}))"
    return number(
        About(
            20,
            "State",
            "The worst alert of the security and compliance teams that fires.",
            "Open the alerts, and the runbook of the worst.",
            NOTHING,
            links={"Alerts": panel_url(OPERATIONAL, 9), "Events": panel_url(SECURITY, EVENTS)},
        ),
        "none",
        (Signal("State", f"clamp_max({critical}, 1) * 2 or clamp_max({warning}, 1) or {calm}"),),
        levels=rising(yellow=1, red=2),
        words={"0": ("OK", "green"), "1": ("warning", "yellow"), "2": ("critical", "red")},
        sparkline=False,
        link=panel_url(OPERATIONAL, 9),
    )


def _critical_incidents() -> stat.Panel:
    return number(
        About(
            21,
            "Critical incidents",
            "Incidents of severity critical in the last 10 minutes.",
            "See which kind it is in the table of suspicious activity, and follow the runbook.",
            NO_DETECTION,
            alerts=("TrustSuspiciousActivity",),
            links={"Suspicious activity": panel_url(SECURITY, INCIDENTS)},
        ),
        "none",
        (
            Signal(
                "Critical incidents",
                counted(total(increase(TRUST_SECURITY_INCIDENTS, _CRITICAL, over=_ALERT_WINDOW)), *WATCHED),
            ),
        ),
        levels=NONE_ALLOWED,
        link=panel_url(SECURITY, INCIDENTS),
    )


def _attackers() -> stat.Panel:
    brute_force = f"{failing('1h', *_OF_AN_ADDRESS)} >= {BRUTE_FORCE_LIMIT:g}"
    burst = f"{failing('1m', *_OF_AN_ADDRESS)} >= {BURST_LIMIT:g}"
    return number(
        About(
            22,
            "Attacking addresses",
            f"Addresses with {BURST_LIMIT:g} failed logins or more in a minute, or {BRUTE_FORCE_LIMIT:g} in an hour.",
            "See which they are in the table of addresses, and block them.",
            NO_LOGINS,
            alerts=("TrustBruteForceFromAddress", "TrustAuthFailuresFromAddress"),
            links={"Addresses": panel_url(SECURITY, ADDRESSES)},
        ),
        "none",
        (Signal("Attacking addresses", f"count({brute_force} or {burst}) or {known(TRUST_AUTH_ATTEMPTS)}"),),
        levels=NONE_ALLOWED,
        # An hour of every address at each point would be slow.
        sparkline=False,
        link=panel_url(SECURITY, ADDRESSES),
    )


def _refused() -> stat.Panel:
    refusals = total(
        increase(TRUST_SECURITY_RATE_LIMITED, over="5m"),
        "deployment_environment_name",
        "service_name",
        "trust_rate_limit_name",
    )
    return number(
        About(
            23,
            "Refused by a rate limit",
            f"Requests that one rate limit refused in 5 minutes, of the limit that refused most; "
            f"{RATE_LIMIT_LIMIT:g} are too many.",
            "Many clients are refused: the limit may be too tight. One client: an attack, or a client gone wild.",
            NO_REFUSALS,
            alerts=("TrustExcessiveRateLimiting",),
            links={"Rate limiting": panel_url(SECURITY, REFUSALS)},
        ),
        "none",
        (Signal("Refused", counted(f"max({refusals})", known(TRUST_SECURITY_RATE_LIMITED))),),
        levels=rising(yellow=RATE_LIMIT_LIMIT / 2, red=RATE_LIMIT_LIMIT),
        link=panel_url(SECURITY, REFUSALS),
    )


def _records_missing() -> stat.Panel:
    return number(
        About(
            24,
            "Audit records missing",
            "Privileged operations that have left no record in the audit log for 5 minutes.",
            "Treat the log as incomplete from the first one on: find out who did it from other logs.",
            NO_OPERATIONS,
            alerts=("TrustAuditRecordsMissing",),
            links={"Audit log": panel_url(SECURITY, AUDIT)},
        ),
        "none",
        (Signal("Missing", unrecorded()),),
        levels=NONE_ALLOWED,
        link=panel_url(SECURITY, AUDIT),
    )


def _violations() -> stat.Panel:
    return number(
        About(
            25,
            "Compliance violations",
            "Checks of any control that did not pass in the last 15 minutes.",
            "Each is a case for the compliance officer. The table of controls says which it is.",
            NO_CHECKS,
            alerts=("TrustComplianceFailure",),
            links={"Compliance": panel_url(SECURITY, COMPLIANCE)},
        ),
        "none",
        (
            Signal(
                "Failed",
                counted(total(increase(TRUST_COMPLIANCE_CHECKS, FAILED, over="15m")), known(TRUST_COMPLIANCE_CHECKS)),
            ),
        ),
        levels=WARN_OF_ANY,
        link=panel_url(SECURITY, COMPLIANCE),
    )


def events() -> table.Panel:
    """What happened, whatever it is, and where to read on, in the order of the query: the worst first."""
    there = panel_url(SECURITY, "${__data.fields.Panel}")
    return rows(
        About(
            EVENTS,
            "Real-time security events",
            "What happened in the last minute, 5 minutes and hour. Incidents come first, the worst on top, and "
            "appear with the first of their kind. A dash stands for what no service records.",
            "Read from the top. The name of an event leads to the panel that explains it.",
            "No service has been heard of. Does it export, and does the Collector deliver?",
            links={"Alerts": panel_url(OPERATIONAL, 9)},
        ),
        {"event": "Event", "trust_severity": "Severity", "panel": "Panel"},
        (
            Column("1 minute", _happened("1m"), "none", levels=_SOME, width=85),
            Column("5 minutes", _happened("5m"), "none", levels=_SOME, width=90),
            Column("1 hour", _happened("1h"), "none", width=70),
        ),
        key_links={"Event": there},
        key_words={"Event": INCIDENT_WORDS, "Severity": SEVERITIES},
        key_widths={"Severity": 80, "Panel": 55},
        width=12,
        height=15,
    )


_SOME: Final = Levels("transparent", ((1, NEUTRAL),))


def _happened(over: str) -> str:
    others = (
        _as_event(f"({total(increase(metric, *matchers, over=over))} or {known(metric)} or {UNMEASURED})", event, panel)
        for event, metric, matchers, panel in _OTHER_EVENTS
    )
    severities = ('="critical"', '="warning"', '=~"info|_other"')
    return " or ".join(f"round({each})" for each in (*(_raised(each, over) for each in severities), *others))


def _as_event(query: str, event: str, panel: int) -> str:
    return named(named(named(query, "event", event), "trust_severity", NO_SEVERITY), "panel", str(panel))


def _raised(severity: str, over: str) -> str:
    found = total(increase(TRUST_SECURITY_INCIDENTS, f"trust_severity{severity}", over=over), _TYPE, "trust_severity")
    by_kind = f'label_replace({found}, "event", "$1", "{_TYPE}", "(.+)")'
    return named(f"sum by (event, trust_severity) ({by_kind})", "panel", str(INCIDENTS))


def suspicious_activity() -> table.Panel:
    """Incidents by kind, coloured by their severity."""

    def found(over: str, *matchers: str) -> str:
        query = total(increase(TRUST_SECURITY_INCIDENTS, *matchers, over=over), _TYPE)
        detected = (named(watched, _TYPE, kind) for kind, watched in DETECTED.items())
        return counted(query, known(TRUST_SECURITY_INCIDENTS, _TYPE), *detected)

    def recent(severities: str) -> str:
        return found(_ALERT_WINDOW, f"trust_severity{severities}")

    return rows(
        About(
            INCIDENTS,
            "Suspicious activity, attack patterns",
            "Incidents of each kind in the last 10 minutes by severity, and in longer times. While an attack goes "
            "on, its detector raises it again every 5 minutes.",
            "Critical: act now, by the runbook. Stuffing and scanning: block the address. Spraying and MFA fatigue: "
            "ask the owners of the accounts, and change what was guessed. Impossible travel: ask first, half of them "
            "are VPNs.",
            NO_DETECTION,
            alerts=("TrustSuspiciousActivity",),
            links={"Failing addresses": panel_url(SECURITY, ADDRESSES), "Threat feeds": panel_url(SECURITY, THREATS)},
        ),
        {_TYPE: "Pattern"},
        (
            Column("Critical", recent('="critical"'), "none", levels=NONE_ALLOWED, width=80),
            Column("Warning", recent('=~"warning|_other"'), "none", levels=WARN_OF_ANY, width=80),
            Column("Info", recent('="info"'), "none", levels=_SOME, width=80),
            Column("1 hour", found("1h"), "none", width=70),
            Column("1 day", found("1d"), "none", width=70),
        ),
        sort="1 day",
        key_words={"Pattern": INCIDENT_WORDS},
        width=12,
        height=15,
    )


def incidents() -> timeseries.Panel:
    """Incidents over time."""
    found = total(increase(TRUST_SECURITY_INCIDENTS, over="5m"), _TYPE)
    return trend(
        About(
            26,
            "Incidents over time",
            "Incidents of each kind within 5 minutes.",
            "One kind alone: an attack of that pattern. Several that begin together: one attacker who tries "
            "everything; begin with failing addresses.",
            NO_DETECTION,
            alerts=("TrustSuspiciousActivity",),
        ),
        "none",
        (Signal("{{" + _TYPE + "}}", counted(found, *(no_row(_TYPE, "none", each) for each in WATCHED))),),
        width=24,
        height=9,
    )
