"""The business dashboard: documents, revenue, SLA compliance, certificates and capacity.

Panels over long time ranges read recording rules, so that a month is as fast to query as an hour.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from monitoring.dashboards.business import clients, documents_and_revenue, forecasts, kpis, sla
from monitoring.dashboards.template import BUSINESS, add_rows, new_dashboard


def dashboard() -> builders.Dashboard:
    """The dashboard, to be built."""
    empty = new_dashboard(
        BUSINESS,
        "Trust service: business",
        "Documents, revenue, SLA compliance, forecasts and capacity. For stakeholders, product and business teams.",
        shown="now-24h",
    )
    return add_rows(
        empty,
        {
            "Overview": (
                documents_and_revenue.kpi_overview(),
                documents_and_revenue.documents_vs_expected(),
                documents_and_revenue.document_volume(),
                documents_and_revenue.document_types(),
            ),
            "Revenue": (documents_and_revenue.revenue_by_country(), documents_and_revenue.revenue_by_client()),
            "Forecasts": (
                forecasts.revenue_forecast(),
                forecasts.revenue_vs_forecast(),
                forecasts.document_volume_predictions(),
            ),
            "SLA compliance and customer satisfaction": (
                sla.sla_compliance(),
                sla.customer_satisfaction(),
                sla.satisfaction_scores(),
                clients.clients(),
            ),
            "Service KPIs": (kpis.declared_kpis(),),
            "Certificates": (sla.certificate_statistics(), sla.certificate_failure_rate()),
            "Usage and processing time": (documents_and_revenue.geographic_usage(), sla.processing_time()),
            "Costs and capacity": (
                forecasts.cost_per_transaction(),
                forecasts.resource_efficiency(),
                forecasts.capacity_utilisation(),
                forecasts.capacity_planning(),
            ),
        },
    )
