"""Each service at a glance, and the alerts."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import table

from monitoring.dashboards.operational.constants import (
    ALERTS,
    DATABASE,
    DEPENDENCIES,
    ERROR_LIMIT,
    ERRORS,
    EXPIRY_LIMITS,
    GRPC,
    GRPC_ERROR_LIMIT,
    HEALTH,
    HTTP,
    LATENCY_LIMIT,
)
from monitoring.dashboards.panels import (
    About,
    Column,
    firing_alerts,
    rows,
)
from monitoring.dashboards.queries import measured, recorded, scraped, series, total
from monitoring.dashboards.template import BUSINESS, MONITORING, OPERATIONAL, SECURITY, panel_url
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling, rising
from trust_otel.semconv.metrics import (
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_DEPENDENCY_UP,
)

_BY_SERVICE: Final = ("deployment_environment_name", "service_name")
_WATCHDOG: Final = 'alertname="TrustWatchdog"'
_FIRING: Final = 'alertstate="firing"'
_SERVICE_KEYS: Final = {"deployment_environment_name": "Environment", "service_name": "Service"}


def health() -> table.Panel:
    """O1."""
    instances = total(recorded("service:trust_otel_instances:count"), *_BY_SERVICE)
    known = total(f"last_over_time({recorded('service:trust_otel_instances:count')}[1d])", *_BY_SERVICE)
    # No alert fires: that is good news only where rules are evaluated.
    healthy = f"{known} * 0 and on () {scraped('ALERTS', _WATCHDOG, _FIRING)}"

    def alerting(severity: str, state: str) -> str:
        alerts = recorded(
            "ALERTS", 'alertname=~"Trust.+"', 'service_name!=""', f'alertstate="{state}"', f'severity="{severity}"'
        )
        return f"clamp_max(count by ({', '.join(_BY_SERVICE)}) ({alerts}), 1)"

    def worst(name: str) -> str:
        return f"max by ({', '.join(_BY_SERVICE)}) ({recorded(name)})"

    down = f"min by ({', '.join(_BY_SERVICE)}, trust_dependency_name) ({series(TRUST_DEPENDENCY_UP)}) == 0"
    return rows(
        About(
            HEALTH,
            "Service health overview",
            "Each service, from its alerts to its certificates: requests that wait for a database connection, "
            "dependencies "
            "that are down, and the time until the next certificate ends. A cell leads to the panel that explains it.",
            "Begin with the red cells, from left to right: a cause often stands left of its symptoms. A dash stands "
            "for what the service does not measure. A service that has not been heard of for a day disappears.",
            "No service has been heard of. Does it export, and does the Collector deliver?",
            alerts=("TrustServiceDown", "TrustServiceInstanceDown", "TrustCertificateExpiring"),
            links={
                "Security": panel_url(SECURITY, 1),
                "Business": panel_url(BUSINESS, 1),
                "Is the monitoring well?": panel_url(MONITORING, 1),
            },
        ),
        _SERVICE_KEYS,
        (
            Column(
                "State",
                f"{alerting('critical', 'firing')} * 3 or {alerting('critical', 'pending')} * 2"
                f" or {alerting('warning', 'firing')} or {healthy}",
                levels=rising(yellow=1, red=3),
                words={
                    "0": ("healthy", "green"),
                    "1": ("warning", "yellow"),
                    # In the first minutes of an outage no alert fires yet.
                    "2": ("critical soon", "orange"),
                    "3": ("critical", "red"),
                },
                link=panel_url(OPERATIONAL, ALERTS),
            ),
            Column("Instances", f"{instances} or {known} * 0", "none", levels=falling(red=1), width=90),
            Column(
                "Requests",
                worst("service:http_server_requests:rate2m"),
                "reqps",
                link=panel_url(OPERATIONAL, HTTP),
            ),
            Column(
                "Errors",
                worst("service:http_server_errors_per_request:ratio_rate2m"),
                "percentunit",
                levels=rising(yellow=ERROR_LIMIT / 5, red=ERROR_LIMIT),
                link=panel_url(OPERATIONAL, ERRORS),
            ),
            Column(
                "Latency (p95)",
                worst("service:http_server_request_duration_seconds:p95_rate2m"),
                "s",
                levels=rising(yellow=LATENCY_LIMIT / 4, red=LATENCY_LIMIT),
                link=panel_url(OPERATIONAL, HTTP),
            ),
            Column(
                "gRPC errors",
                worst("service_method:rpc_server_errors_per_call:ratio_rate2m"),
                "percentunit",
                levels=rising(yellow=GRPC_ERROR_LIMIT / 5, red=GRPC_ERROR_LIMIT),
                link=panel_url(OPERATIONAL, GRPC),
            ),
            Column(
                "Pool waiting",
                total(series(DB_CLIENT_CONNECTION_PENDING_REQUESTS), *_BY_SERVICE),
                "none",
                levels=NONE_ALLOWED,
                link=panel_url(OPERATIONAL, DATABASE),
            ),
            Column(
                "Needs down",
                f"count by ({', '.join(_BY_SERVICE)}) ({down}) or {measured(TRUST_DEPENDENCY_UP, by=_BY_SERVICE)}",
                "none",
                levels=NONE_ALLOWED,
                link=panel_url(OPERATIONAL, DEPENDENCIES),
            ),
            Column(
                "Certificate",
                f"min by ({', '.join(_BY_SERVICE)}) ({series(TRUST_CERTIFICATE_NOT_AFTER)} - time())",
                "s",
                levels=falling(red=EXPIRY_LIMITS["critical"], yellow=EXPIRY_LIMITS["warning"]),
                link=panel_url(BUSINESS, 4),
            ),
        ),
        sort="State",
        key_widths={"Environment": 120, "Service": 180},
        height=6,
    )


def alert_status() -> table.Panel:
    """O9."""
    return rows(
        About(
            ALERTS,
            "Alert status overview",
            "Every alert that fires (or is about to), the worst first. TrustWatchdog always fires: it proves that "
            "alerts can.",
            "Open the runbook of the alert. Acknowledge it with a silence, which also ends its escalation.",
            "Not even the watchdog fires: Prometheus evaluates no rules.",
            links={"Notifications": panel_url(MONITORING, 5)},
        ),
        {"alertname": "Alert", "severity": "Severity", "alertstate": "State", "service": "Service", "team": "Team"},
        (
            Column(
                "Series",
                'sum by (alertname, severity, alertstate, service, team) (ALERTS{alertname=~"Trust.+"})',
                "none",
                width=80,
            ),
        ),
        sort="Series",
        key_widths={"Alert": 270},
        key_links={"Alert": "${runbooks}/${__value.raw}"},
        key_words={
            "Severity": {
                "critical": ("critical", "red"),
                "warning": ("warning", "orange"),
                "info": ("info", "blue"),
            },
            "State": {"firing": ("firing", "red"), "pending": ("pending", "yellow")},
        },
        width=14,
    )


def alert_list() -> builders.Panel:
    """Grafana's own list."""
    return firing_alerts(
        About(
            20,
            "Alerts that fire",
            "Grafana's own list of the same alerts, with all of their labels and for how long they have been firing.",
            "Open an alert to see its description, with the values that matter.",
            "",
        ),
        width=10,
    )
