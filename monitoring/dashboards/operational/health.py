"""Service health overview and alerts."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table

from monitoring.dashboards.operational.constants import (
    ALERTS,
    CERTIFICATES,
    DATABASE,
    DEPENDENCIES,
    ERROR_LIMIT,
    ERRORS,
    EXPIRY_LIMITS,
    GRPC,
    GRPC_ERROR_LIMIT,
    HEALTH,
    HTTP,
    INSTANCES,
    LATENCY_LIMIT,
    OF_CRITICAL_ROUTES,
)
from monitoring.dashboards.panels import (
    Column,
    PanelText,
    table_panel,
)
from monitoring.dashboards.queries import INSTANCE, named, recorded, scraped, series, total, zero_if_recorded
from monitoring.dashboards.template import BUSINESS, MONITORING, OPERATIONAL, SECURITY, panel_url
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling, rising
from trust_otel.semconv.metrics import (
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    TRUST_CERTIFICATE_NOT_AFTER,
    TRUST_DEPENDENCY_UP,
    TRUST_OTEL_INSTANCE_UP,
)

_BY_SERVICE: Final = ("service_name",)
_MANY_INSTANCES: Final = 30
_UNREPORTED: Final = 60
"""Seconds without a report after which the alert fires: three exports, and its `for`."""
_WATCHDOG: Final = 'alertname="TrustWatchdog"'
_WITHOUT_SERVICE: Final = 'service_name=""'
_FIRING: Final = 'alertstate="firing"'


def service_health() -> table.Panel:
    """One row per service, with a status for each signal."""
    instances = total(recorded("service:trust_otel_instances:count"), *_BY_SERVICE)
    known = total(f"last_over_time({recorded('service:trust_otel_instances:count')}[1d])", *_BY_SERVICE)
    # Without a firing alert a service is OK only if rules are evaluated.
    healthy = f"{known} * 0 and on () {scraped('ALERTS', _WATCHDOG, _FIRING)}"

    def alerting(severity: str, state: str) -> str:
        alerts = recorded(
            "ALERTS", 'alertname=~"Trust.+"', 'service_name!=""', f'alertstate="{state}"', f'severity="{severity}"'
        )
        return f"clamp_max(count by ({', '.join(_BY_SERVICE)}) ({alerts}), 1)"

    def worst(name: str) -> str:
        return f"max by ({', '.join(_BY_SERVICE)}) ({recorded(name)})"

    down = f"min by ({', '.join(_BY_SERVICE)}, trust_dependency_name) ({series(TRUST_DEPENDENCY_UP)}) == 0"
    return table_panel(
        PanelText(
            HEALTH,
            "Service health overview",
            f"One row per service: alerts, requests, latency{OF_CRITICAL_ROUTES}, errors, requests waiting for a "
            "database connection, dependencies that are down, and time until the next certificate expires. Pending "
            "means that a critical alert is about to fire. Each cell links to the panel with the details.",
            "Start with the red cells, from left to right. A dash means that the service does not record this "
            "metric. A service without data for a day is removed from the list.",
            "No service reports data. Check the export of the services and the Collector.",
            alerts=("TrustServiceDown",),
            links={
                "Security": panel_url(SECURITY, 1),
                "Business": panel_url(BUSINESS, 1),
                "Meta-monitoring": panel_url(MONITORING, 1),
            },
        ),
        {"service_name": "Service"},
        (
            Column(
                "State",
                f"{alerting('critical', 'firing')} * 3 or {alerting('critical', 'pending')} * 2"
                f" or {alerting('warning', 'firing')} or {healthy}",
                levels=rising(yellow=1, red=3),
                texts={
                    "0": ("OK", "green"),
                    "1": ("warning", "yellow"),
                    # In the first minutes of an outage, critical alerts are pending.
                    "2": ("pending", "orange"),
                    "3": ("critical", "red"),
                },
                link=panel_url(OPERATIONAL, ALERTS),
            ),
            Column(
                "Instances",
                f"{instances} or {known} * 0",
                "none",
                levels=falling(red=1),
                link=panel_url(OPERATIONAL, INSTANCES),
            ),
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
                "Waiting for connection",
                total(series(DB_CLIENT_CONNECTION_PENDING_REQUESTS), *_BY_SERVICE),
                "none",
                levels=NONE_ALLOWED,
                link=panel_url(OPERATIONAL, DATABASE),
            ),
            Column(
                "Dependencies down",
                f"count by ({', '.join(_BY_SERVICE)}) ({down})"
                f" or {zero_if_recorded(TRUST_DEPENDENCY_UP, by=_BY_SERVICE)}",
                "none",
                levels=NONE_ALLOWED,
                link=panel_url(OPERATIONAL, DEPENDENCIES),
            ),
            Column(
                "Certificate expiry",
                f"min by ({', '.join(_BY_SERVICE)}) ({series(TRUST_CERTIFICATE_NOT_AFTER)} - time())",
                "s",
                levels=falling(red=EXPIRY_LIMITS["critical"], yellow=EXPIRY_LIMITS["warning"]),
                link=panel_url(OPERATIONAL, CERTIFICATES),
            ),
        ),
        sort="State",
        key_widths={"Service": 160},
        height=6,
    )


def instances() -> table.Panel:
    """The instances that have not reported for the longest time."""
    heartbeat = series(TRUST_OTEL_INSTANCE_UP)
    by = f"max by ({', '.join(INSTANCE)})"
    newest = f"timestamp({heartbeat})"
    # The second half keeps an instance that has not reported for more than five minutes.
    last = f"({by} ({newest}) or {by} (max_over_time({newest}[1h:1m])))"
    running = f"{by} (last_over_time({heartbeat}[1h])) == 1"
    return table_panel(
        PanelText(
            INSTANCES,
            "Instances: last seen",
            f"Time since the last report of each instance within an hour, the {_MANY_INSTANCES} longest. Instances "
            "export every 15 s. Instances that shut down cleanly are not listed.",
            "Red: the instance was killed, ran out of memory, or cannot reach the Collector. Check its container and "
            "its node.",
            "No instance reports data. Check the export of the services and the Collector.",
            alerts=("TrustServiceInstanceDown",),
        ),
        {"instance_name": "Instance"},
        (
            Column(
                "Last seen",
                f"topk({_MANY_INSTANCES}, {named(f'time() - {last} and {running}')})",
                "s",
                levels=rising(yellow=_UNREPORTED / 2, red=_UNREPORTED),
                width=110,
            ),
        ),
        sort="Last seen",
        key_widths={"Instance": 340},
        width=10,
    )


def alert_status() -> table.Panel:
    """Pending and firing alerts, the most severe first."""
    keys = {"alertname": "Alert", "service": "Service", "team": "Team"}
    # Nothing at all is shown only if no rules are evaluated.
    calm = f"max by ({', '.join(keys)}) ({scraped('ALERTS', _WATCHDOG, _FIRING)}) * 0"
    return table_panel(
        PanelText(
            ALERTS,
            "Alert status overview",
            "Firing and pending alerts of the selected services, and of hosts, databases and the monitoring, the most "
            "severe first. An alert is pending until its condition has held for long enough. Without any, "
            "TrustWatchdog shows that rules are evaluated.",
            "Open the runbook of the alert. To acknowledge an alert, silence it: this also stops its escalation.",
            "Not even TrustWatchdog fires: Prometheus evaluates no rules.",
            links={"Notifications": panel_url(MONITORING, 5)},
        ),
        keys,
        (
            Column(
                "Status",
                # `or` keeps the most severe of several alerts with the same name.
                f"{' or '.join(_alerts(*key, rank, *keys) for rank, key in _RANKS)} or on () {calm}",
                "none",
                levels=rising(yellow=2, red=len(_STATUS)),
                texts={**{str(rank): _STATUS[key] for rank, key in _RANKS}, "0": ("no alerts", "green")},
            ),
        ),
        sort="Status",
        key_widths={"Alert": 280, "Team": 110},
        key_links={"Alert": "${runbooks}/${__value.raw}"},
        width=14,
    )


# Severity and state of an alert with their text and colour, the most severe first.
_STATUS: Final = {
    ("critical", "firing"): ("critical", "red"),
    # In the first minutes of an outage, critical alerts are pending.
    ("critical", "pending"): ("critical, pending", "orange"),
    ("warning", "firing"): ("warning", "yellow"),
    ("warning", "pending"): ("warning, pending", "yellow"),
    ("info", "firing"): ("info", "blue"),
}
_RANKS: Final = tuple(zip(range(len(_STATUS), 0, -1), _STATUS, strict=True))


def _alerts(severity: str, state: str, rank: int, *by: str) -> str:
    """The alerts of the selected services, and those without a service."""
    matchers = (
        'alertname=~"Trust.+"',
        'alertname!~"TrustWatchdog|TrustEscalation"',
        f'severity="{severity}"',
        f'alertstate="{state}"',
    )
    found = f"{recorded('ALERTS', *matchers)} or {scraped('ALERTS', *matchers, _WITHOUT_SERVICE)}"
    return f"max by ({', '.join(by)}) ({found}) * {rank}"
