"""The business dashboard: what the service does for its customers, what it earns and costs, and what is to be expected.

Long times are read from recording rules: their sums over a month are as fast as those over an hour.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.business import outlook, promises, turnover
from monitoring.dashboards.frame import BUSINESS, fill, new_dashboard


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
            "Overview": (turnover.overview(), turnover.pace(), turnover.volume(), turnover.types()),
            "Revenue": (turnover.revenue_by_country(), turnover.revenue_by_client()),
            "Expected": (outlook.revenue(), outlook.revenue_course(), outlook.documents()),
            "Agreements and customers": (promises.agreements(), promises.satisfaction(), promises.scores()),
            "Certificates": (promises.certificates(), promises.certificate_failures()),
            "Use": (turnover.world_map(), promises.duration()),
            "Costs and capacity": (
                outlook.cost_per_document(),
                outlook.documents_per_cpu_second(),
                outlook.capacity(),
                outlook.days_left(),
            ),
        },
    )
