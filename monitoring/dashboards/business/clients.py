"""Which client of the service has the errors, or misses its SLA."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from monitoring.alerts import threshold
from monitoring.dashboards.business.constants import (
    CLIENT,
    FAILED,
    REQUESTS_BY_CLIENT,
    SLA_EVENTS_BY_CLIENT,
    amount,
    count,
)
from monitoring.dashboards.panels import Column, PanelText, table_panel
from monitoring.dashboards.queries import ratio
from monitoring.dashboards.thresholds import rising

_BY = (CLIENT,)
# Events without a client are of the same metric.
_NAMED = f'{CLIENT}!=""'
_ERRORS = 'trust_outcome="error"'
_REFUSALS = 'trust_outcome="failure"'
_ERROR_LIMIT = threshold("TrustServiceHighErrorRate")


def clients() -> table.Panel:
    """Requests, errors and missed SLA events by client."""
    requests = amount(REQUESTS_BY_CLIENT, by=_BY)
    events = amount(SLA_EVENTS_BY_CLIENT, _NAMED, by=_BY)
    missed = f"round({amount(SLA_EVENTS_BY_CLIENT, _NAMED, FAILED, by=_BY)}) or round({events}) * 0"
    return table_panel(
        PanelText(
            31,
            "Clients: errors and SLA",
            "Each client in the selected time range: its requests, the share that ended with a fault of the service, "
            "the share that the service refused, its SLA events that were missed, and the share that was met. Clients "
            "that TRUST_OTEL_CLIENT_NAMES does not list are combined in _other.",
            "One client has errors or misses its SLA: inform it, and look for what only it uses. All clients have: see "
            "SLA compliance and ask operations.",
            "No request has a client. List the clients in TRUST_OTEL_CLIENT_NAMES and call set_client.",
            ("TrustSlaViolation", "TrustServiceHighErrorRate"),
        ),
        {CLIENT: "Client"},
        [
            Column("Requests", count(REQUESTS_BY_CLIENT, by=_BY)),
            Column(
                "Errors",
                ratio(amount(REQUESTS_BY_CLIENT, _ERRORS, by=_BY), requests),
                "percentunit",
                rising(red=_ERROR_LIMIT),
            ),
            Column("Refused", ratio(amount(REQUESTS_BY_CLIENT, _REFUSALS, by=_BY), requests), "percentunit"),
            Column("SLA missed", missed),
            Column(
                "SLA met", f"1 - ({ratio(amount(SLA_EVENTS_BY_CLIENT, _NAMED, FAILED, by=_BY), events)})", "percentunit"
            ),
        ],
        sort="Errors",
        key_widths={"Client": 160},
        width=24,
        height=8,
    )
