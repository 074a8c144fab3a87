"""The security dashboard: for analysts of a security operations centre and compliance officers."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.security.audit_and_compliance import audit, audit_events, compliance, failed_checks
from monitoring.dashboards.security.authentication import attempts, failing_addresses, failures, methods, second_factors
from monitoring.dashboards.security.geography import countries, feeds, threats, world_map
from monitoring.dashboards.security.overview import at_a_glance, events, incidents, suspicious_activity
from monitoring.dashboards.security.rate_limiting import denials, rate_limiting
from monitoring.dashboards.template import SECURITY, fill, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    frame = new_dashboard(
        SECURITY,
        "Trust service: security",
        "Who attacks, how, and from where; and is everything recorded and within the rules? For security analysts and "
        "compliance officers.",
    )
    return fill(
        frame,
        {
            "Now": (*at_a_glance(), events(), suspicious_activity(), incidents()),
            "Logins": (attempts(), methods(), failing_addresses(), failures(), second_factors()),
            "Origins and threats": (world_map(), countries(), threats(), feeds()),
            "Refused requests": (rate_limiting(), denials()),
            "Audit and compliance": (audit(), audit_events(), compliance(), failed_checks()),
        },
    )
