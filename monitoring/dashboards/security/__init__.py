"""The security dashboard, for SOC analysts and compliance officers."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.security.audit_and_compliance import (
    audit_completeness,
    audit_events_over_time,
    compliance_checks,
    coverage,
    violations_over_time,
)
from monitoring.dashboards.security.authentication import (
    authentication_methods,
    authentication_outcomes,
    failed_logins_by_source,
    failing_addresses,
    mfa_challenges,
)
from monitoring.dashboards.security.geography import (
    authentication_by_country,
    feeds_and_geoip,
    geographic_distribution,
    threat_matches,
)
from monitoring.dashboards.security.overview import (
    incidents_over_time,
    security_events,
    security_status,
    suspicious_activity,
)
from monitoring.dashboards.security.rate_limiting import access_denied, rate_limiting
from monitoring.dashboards.template import SECURITY, add_rows, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    empty = new_dashboard(
        SECURITY,
        "Trust service: security",
        "Attacks and their origin, authentication, access control, audit log and compliance. For SOC analysts and "
        "compliance officers.",
    )
    return add_rows(
        empty,
        {
            "Overview": (*security_status(), security_events(), suspicious_activity(), incidents_over_time()),
            "Authentication": (
                authentication_outcomes(),
                authentication_methods(),
                failing_addresses(),
                failed_logins_by_source(),
                mfa_challenges(),
            ),
            "Geography and threat intelligence": (
                geographic_distribution(),
                authentication_by_country(),
                threat_matches(),
                feeds_and_geoip(),
            ),
            "Rate limiting and access control": (rate_limiting(), access_denied()),
            "Audit and compliance": (
                audit_completeness(),
                audit_events_over_time(),
                compliance_checks(),
                violations_over_time(),
                coverage(),
            ),
        },
    )
