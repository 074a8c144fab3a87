"""What an audit of a trust service asks, by service."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table

from monitoring.dashboards.panels import Column, PanelText, table_panel
from monitoring.dashboards.pki.certificates import UNTIL_RENEWAL
from monitoring.dashboards.pki.constants import (
    CERTIFICATES,
    CLOCK_LIMITS,
    CLOCKS,
    DECISION_LIMITS,
    INDETERMINATE_LIMIT,
    LIST_LIMIT,
    MISSING,
    RENEWAL_LEVELS,
    RESPONDERS,
    REVOCATION_LISTS,
    SERVICE_KEY,
    SERVICE_WIDTH,
    STATUS,
    TIMESTAMPS,
    VALIDATION,
    WAITING,
    warning_from,
)
from monitoring.dashboards.pki.revocation import LIMIT_USED, LIST_VALIDITY_USED, RESPONSE_FRESH_FOR
from monitoring.dashboards.pki.timestamps import OFFSET, failed
from monitoring.dashboards.pki.validation import INDETERMINATE
from monitoring.dashboards.queries import TIME_RANGE, series, total
from monitoring.dashboards.template import OPERATIONAL, PKI, panel_url
from monitoring.dashboards.thresholds import NONE_ALLOWED, falling, rising
from trust_otel.semconv.metrics import TRUST_OTEL_INSTANCE_UP

_EVERY_SERVICE: Final = f"{total(series(TRUST_OTEL_INSTANCE_UP), 'service_name')} * NaN"
"""A row for each service, also for one of which nothing below is measured."""


def pki_status() -> table.Panel:
    """One row per service."""

    def worst(operator: str, expression: str) -> str:
        return f"{operator} by (service_name) ({expression})"

    def to(panel: int) -> str:
        return panel_url(PKI, panel)

    return table_panel(
        PanelText(
            STATUS,
            "PKI status",
            "Does each service do what it is audited on? One row per service: time until the next renewal is due; how "
            "much of its limit the oldest pending revocation has used; how much of the validity of its revocation "
            "lists is used; how long OCSP responses are current; what its clocks are off by at least; timestamps that "
            "failed in the selected time range; validations that are INDETERMINATE. Always the worst of the service. "
            "Each cell links to the panel with the details.",
            "Start with the red cells, from left to right. Not measured: the service does not do this, or nobody "
            "watches it; an auditor accepts only the former.",
            "No service reports data. Check the export of the services and the Collector.",
            links={"Alerts": panel_url(OPERATIONAL, 9)},
        ),
        SERVICE_KEY,
        (
            Column(
                "Renewal due in",
                f"{worst('min', UNTIL_RENEWAL)} or on (service_name) {_EVERY_SERVICE}",
                "s",
                levels=RENEWAL_LEVELS,
                link=to(CERTIFICATES),
                width=110,
                missing=MISSING,
            ),
            Column(
                "Revocation limit",
                LIMIT_USED,
                "percentunit",
                levels=rising(yellow=DECISION_LIMITS["warning"] / 86400, red=1),
                link=to(WAITING),
                width=110,
                missing=MISSING,
            ),
            Column(
                "CRL validity used",
                worst("max", LIST_VALIDITY_USED),
                "percentunit",
                levels=rising(yellow=LIST_LIMIT, red=1),
                link=to(REVOCATION_LISTS),
                width=110,
                missing=MISSING,
            ),
            Column(
                "OCSP current for",
                worst("min", RESPONSE_FRESH_FOR),
                "s",
                levels=falling(red=0),
                link=to(RESPONDERS),
                width=110,
                missing=MISSING,
            ),
            Column(
                "Clock off by",
                worst("max", OFFSET),
                "s",
                levels=rising(yellow=CLOCK_LIMITS["warning"], red=CLOCK_LIMITS["critical"]),
                link=to(CLOCKS),
                width=110,
                missing=MISSING,
            ),
            Column(
                "Timestamps failed",
                f"round({failed(TIME_RANGE)})",
                "none",
                levels=NONE_ALLOWED,
                link=to(TIMESTAMPS),
                width=110,
                missing=MISSING,
            ),
            Column(
                "INDETERMINATE",
                INDETERMINATE,
                "percentunit",
                levels=warning_from(INDETERMINATE_LIMIT),
                link=to(VALIDATION),
                width=120,
                missing=MISSING,
            ),
        ),
        key_widths=SERVICE_WIDTH,
        height=6,
    )
