"""What an audit of a trust service asks, by service."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from monitoring.dashboards.panels import Column, PanelText, table_panel
from monitoring.dashboards.pki.certificates import UNTIL_RENEWAL
from monitoring.dashboards.pki.constants import BY_SERVICE, CERTIFICATES, SERVICE_KEY, SERVICE_WIDTH, STATUS
from monitoring.dashboards.template import PKI, panel_url
from monitoring.dashboards.thresholds import falling


def pki_status() -> table.Panel:
    """One row per service."""
    return table_panel(
        PanelText(
            STATUS,
            "PKI status",
            "Does each service keep what it is audited on? One row per service: time until the renewal of the next "
            "certificate is due. Each cell links to the panel with the details.",
            "Start with the red cells, from left to right. Not measured means that no one watches it.",
            "No service watches certificates. Set TRUST_OTEL_CERTIFICATES.",
        ),
        SERVICE_KEY,
        (
            Column(
                "Renewal due in",
                f"min by ({', '.join(BY_SERVICE)}) ({UNTIL_RENEWAL})",
                "s",
                levels=falling(red=0),
                link=panel_url(PKI, CERTIFICATES),
                width=120,
            ),
        ),
        key_widths=SERVICE_WIDTH,
    )
