"""Recording rules count the first event of each series as alerts do."""

import pytest

from monitoring.alerts.events import events
from tests.contract.rule_files import RULES
from tools.checks.promql import parse
from trust_otel.semconv.definitions import Metric
from trust_otel.semconv.metrics import HTTP_SERVER_REQUEST_DURATION, RPC_SERVER_CALL_DURATION


@pytest.mark.parametrize(
    ("name", "metric", "by"),
    [
        ("service:http_server_responses:increase2m", HTTP_SERVER_REQUEST_DURATION, ("http_response_status_code",)),
        (
            "service_method:rpc_server_responses:increase2m",
            RPC_SERVER_CALL_DURATION,
            ("rpc_method", "trust_rpc_type", "rpc_response_status_code"),
        ),
    ],
)
def test_recorded_responses_include_the_first_of_each_series(name: str, metric: Metric, by: tuple[str, ...]) -> None:
    (rule,) = (rule for rule in RULES if rule.name == name)
    assert rule.expression() == parse(events(metric, "2m", by))
