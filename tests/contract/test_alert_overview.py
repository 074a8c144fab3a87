"""The panel "Alert status overview" and the annotations: the alerts of the selected services, the most severe first."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from monitoring.dashboards.operational.health import alert_status
from monitoring.dashboards.security import dashboard as security
from tests.contract.rule_files import promtool
from tools.checks.promtool import passes
from tools.checks.variables import as_sent

_WATCHDOG = (
    'ALERTS{alertname="TrustWatchdog", alertstate="firing", severity="info", service="monitoring", team="platform"}'
)
_CALM = {'{alertname="TrustWatchdog", service="monitoring", team="platform"}': 0.0}


def alert(
    name: str, severity: str, *, service: str = "signer", state: str = "firing", of_service: bool = True, more: str = ""
) -> str:
    where = f', service_name="{service}", deployment_environment_name="production"' if of_service else ""
    return (
        f'ALERTS{{alertname="{name}", severity="{severity}", alertstate="{state}", service="{service}", '
        f'team="platform"{where}{more}}}'
    )


def row(name: str, *, service: str = "signer") -> str:
    return f'{{alertname="{name}", service="{service}", team="platform"}}'


def gives(query: str, series: dict[str, str], expected: dict[str, float], folder: Path) -> bool:
    """Whether the query has this result after ten minutes."""
    test = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": "10m",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
                    }
                ],
            }
        ],
    }
    file = folder / "alerts.yml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    return passes(promtool(), file)


@pytest.mark.parametrize(
    ("alerts", "rows"),
    [
        pytest.param([_WATCHDOG], _CALM, id="calm"),
        pytest.param([], {}, id="no rules are evaluated"),
        pytest.param(
            [
                _WATCHDOG,
                alert("TrustServiceDown", "critical"),
                alert("TrustServiceHighLatency", "critical", state="pending"),
                alert("TrustDependencyDown", "warning"),
                alert("TrustGrpcHighLatency", "warning", state="pending"),
                alert("TrustSuspiciousActivity", "info"),
            ],
            {
                row("TrustServiceDown"): 5,
                row("TrustServiceHighLatency"): 4,
                row("TrustDependencyDown"): 3,
                row("TrustGrpcHighLatency"): 2,
                row("TrustSuspiciousActivity"): 1,
            },
            id="by severity",
        ),
        pytest.param(
            [
                _WATCHDOG,
                *(
                    alert("TrustCertificateExpiring", severity, more=f', trust_certificate_name="{name}"')
                    for severity, name in (("warning", "a"), ("critical", "b"), ("warning", "c"))
                ),
            ],
            {row("TrustCertificateExpiring"): 5},
            id="one row of several alerts with one name",
        ),
        pytest.param(
            [
                _WATCHDOG,
                alert("TrustServiceDown", "critical", service="validator"),
                alert("TrustHostMemoryHigh", "critical", service="host", of_service=False),
            ],
            {row("TrustHostMemoryHigh", service="host"): 5},
            id="of the selected service, and of no service",
        ),
        pytest.param(
            [
                _WATCHDOG,
                alert("TrustServiceDown", "critical"),
                alert("TrustEscalation", "critical", more=', escalation_level="manager"'),
            ],
            {row("TrustServiceDown"): 5},
            id="without escalations",
        ),
        pytest.param([_WATCHDOG, alert("SomebodysAlert", "critical")], _CALM, id="without alerts of others"),
    ],
)
def test_the_overview_shows_the_alerts_of_the_selected_service(
    alerts: list[str], rows: dict[str, float], tmp_path: Path
) -> None:
    (target,) = alert_status().build().targets or []
    query = as_sent(target.expr, seconds=3600, step_seconds=15, service="signer")  # type: ignore[attr-defined]
    assert gives(query, dict.fromkeys(alerts, "1x40"), rows, tmp_path)


@pytest.mark.parametrize(
    ("series", "marked"),
    [
        pytest.param(alert("TrustServiceDown", "critical"), True, id="of the selected service"),
        pytest.param(alert("TrustServiceDown", "critical", service="validator"), False, id="of another service"),
        pytest.param(alert("TrustHostMemoryHigh", "critical", service="host", of_service=False), True, id="of a host"),
        pytest.param(alert("TrustDependencyDown", "warning"), False, id="a warning"),
        pytest.param(alert("TrustServiceDown", "critical", state="pending"), False, id="pending"),
        pytest.param(alert("TrustEscalation", "critical"), False, id="an escalation"),
    ],
)
def test_an_annotation_marks_the_begin_of_a_critical_alert(series: str, marked: bool, tmp_path: Path) -> None:
    annotations = security().build().annotations
    (firing,) = (each for each in (annotations.list_val if annotations else None) or [] if each.name == "Firing alerts")
    query = as_sent(str(firing.expr), seconds=3600, step_seconds=15, service="signer")
    one = {"{}": 1.0}
    assert gives(f"count({query})", {series: "_x39 1"}, one if marked else {}, tmp_path)
    assert gives(f"count({query})", {series: "1x40"}, {}, tmp_path)
