"""The business dashboard: what the service does for its customers, what it earns and costs, and what is to be expected.

Long times are read from recording rules: their sums over a month are as fast as those over an hour.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.business import documents_and_revenue as turnover
from monitoring.dashboards.business import forecasts, sla
from monitoring.dashboards.template import BUSINESS, fill, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard, to be built."""
    whole = new_dashboard(
        BUSINESS,
        "Trust service: business",
        "Documents, revenue, agreements and customers, and what the next days will bring.",
        shown="now-24h",
    )
    return fill(
        whole,
        {
            "Overview": (
                turnover.overview(),
                turnover.pace(),
                turnover.volume(),
                turnover.types(),
            ),
            "Revenue": (turnover.revenue_by_country(), turnover.revenue_by_client()),
            "Expected": (forecasts.revenue(), forecasts.revenue_course(), forecasts.documents()),
            "Agreements and customers": (sla.agreements(), sla.satisfaction(), sla.scores()),
            "Certificates": (sla.certificates(), sla.certificate_failures()),
            "Use": (turnover.world_map(), sla.duration()),
            "Costs and capacity": (
                forecasts.cost_per_document(),
                forecasts.documents_per_cpu_second(),
                forecasts.capacity(),
                forecasts.days_left(),
            ),
        },
    )
