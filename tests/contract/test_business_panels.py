"""Business panels with refunds, and with the KPIs that a service declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.dashboards.business import documents_and_revenue, forecasts, kpis
from tests.contract.rule_files import FOLDER, promtool
from tools.checks.promtool import passes
from tools.checks.variables import as_sent

_SERVICE = (
    'deployment_environment_name="production", service_namespace="trust", service_name="signer", '
    'service_instance_id="a"'
)


def _shows(panel: Any, query: int, series: dict[str, str], samples: Mapping[str, float], folder: Path) -> bool:
    """Whether a query of a panel shows these rounded values of the last hour."""
    targets: Any = panel.build().targets
    test = {
        "rule_files": [str(FOLDER / "trust-service-recording.yml")],
        # That of the group of the totals; promtool evaluates all groups at the same interval.
        "evaluation_interval": "2m",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"round({as_sent(targets[query].expr, seconds=3600, step_seconds=15)}, 60)",
                        "eval_time": "90m",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
                    }
                ],
            }
        ],
    }
    file = folder / "business.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return passes(promtool(), file)


def _money(metric: str, currency: str, per_step: float) -> dict[str, str]:
    labels = f'{_SERVICE}, trust_currency="{currency}", geo_country_iso_code="DE", trust_client_name="acme"'
    return {f"trust_{metric}_amount_total{{{labels}}}": f"0+{per_step}x400"}


_REVENUE = {**_money("revenue", "EUR", 10), **_money("revenue", "USD", 5)}


@pytest.mark.parametrize(
    ("refunds", "net"),
    [({}, 2400), (_money("refund", "EUR", 2), 1920), (_money("refund", "EUR", 15), -1200)],
    ids=["none", "some", "more than the revenue"],
)
def test_revenue_is_shown_net_of_refunds(refunds: dict[str, str], net: float, tmp_path: Path) -> None:
    shown = {'{trust_currency="EUR"}': net, '{trust_currency="USD"}': 1200}
    assert _shows(documents_and_revenue.kpi_overview(), 2, {**_REVENUE, **refunds}, shown, tmp_path)


def test_refunds_are_shown_by_currency(tmp_path: Path) -> None:
    shown = {'{trust_currency="EUR"}': 480, '{trust_currency="USD"}': 0}
    series = {**_REVENUE, **_money("refund", "EUR", 2)}
    assert _shows(documents_and_revenue.revenue_by_country(), 2, series, shown, tmp_path)


def test_refunds_are_shown_by_client(tmp_path: Path) -> None:
    shown = {
        f'{{trust_currency="{currency}", trust_client_name="acme"}}': value
        for currency, value in (("EUR", 480), ("USD", 0))
    }
    series = {**_REVENUE, **_money("refund", "EUR", 2)}
    assert _shows(documents_and_revenue.revenue_by_client(), 2, series, shown, tmp_path)


_KPI = f'{_SERVICE}, trust_kpi_name="{{}}"'


def test_kpis_are_shown_by_name(tmp_path: Path) -> None:
    counter = _KPI.format("contracts_signed")
    series = {
        f'trust_kpi_amount_total{{{counter}, geo_country_iso_code="DE"}}': "0+1x400",
        f'trust_kpi_amount_total{{{counter}, geo_country_iso_code="FR"}}': "0+2x400",
    }
    shown = {'{service_name="signer", trust_kpi_name="contracts_signed"}': 720}
    for column in (0, 1):
        assert _shows(kpis.declared_kpis(), column, series, shown, tmp_path)


def test_value_of_a_kpi_is_the_largest_of_the_processes(tmp_path: Path) -> None:
    gauge = _KPI.format("open_orders")
    of_another = gauge.replace('instance_id="a"', 'instance_id="b"')
    series = {
        f'trust_kpi_value{{{gauge}, trust_currency="EUR", geo_country_iso_code="DE"}}': "600x400",
        f'trust_kpi_value{{{gauge}, trust_currency="EUR", geo_country_iso_code="FR"}}': "300x400",
        f'trust_kpi_value{{{gauge}, trust_currency="USD"}}': "60x400",
        f'trust_kpi_value{{{of_another}, trust_currency="USD"}}': "120x400",
    }
    shown = {
        f'{{service_name="signer", trust_kpi_name="open_orders", trust_currency="{currency}"}}': value
        for currency, value in (("EUR", 900), ("USD", 120))
    }
    assert _shows(kpis.declared_kpis(), 2, series, shown, tmp_path)


def test_nothing_is_shown_without_revenue(tmp_path: Path) -> None:
    assert _shows(documents_and_revenue.kpi_overview(), 2, {}, {}, tmp_path)


def _processed(service: str, per_step: int) -> dict[str, str]:
    labels = f'{service}, trust_document_type="invoice", trust_outcome="success"'
    return {f"trust_document_processing_duration_seconds_count{{{labels}}}": f"0+{per_step}x400"}


def test_documents_of_a_service_without_costs_do_not_lower_the_cost(tmp_path: Path) -> None:
    of_another = _SERVICE.replace("signer", "validator")
    series = {**_money("cost", "EUR", 6000), **_processed(_SERVICE, 10), **_processed(of_another, 90)}
    assert _shows(forecasts.cost_per_transaction(), 0, series, {'{trust_currency="EUR"}': 600}, tmp_path)


_POOL = f'service_pool:db_client_connections_used:ratio{{{_SERVICE}, db_client_connection_pool_name="a"}}'


@pytest.mark.parametrize("used", ["0.95x400", "0.9x400"])
def test_full_capacity_has_no_days_left_even_without_growth(used: str, tmp_path: Path) -> None:
    assert _shows(forecasts.capacity_planning(), 0, {_POOL: used}, {"{}": 0}, tmp_path)
