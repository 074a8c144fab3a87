"""Business panels with refunds, and with the KPIs that a service declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.dashboards.business import documents_and_revenue
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
        "evaluation_interval": "15s",
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


def test_nothing_is_shown_without_revenue(tmp_path: Path) -> None:
    assert _shows(documents_and_revenue.kpi_overview(), 2, {}, {}, tmp_path)
