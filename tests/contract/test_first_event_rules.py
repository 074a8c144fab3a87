"""Recording rules count the first event of each series as alerts do."""

from monitoring.alerts.events import events
from tests.contract.rule_files import RULES
from tools.checks.promql import parse
from trust_otel.semconv.metrics import HTTP_SERVER_REQUEST_DURATION


def test_the_recorded_http_responses_include_the_first_of_each_series() -> None:
    (rule,) = (rule for rule in RULES if rule.name == "service:http_server_responses:increase2m")
    assert rule.expression() == parse(events(HTTP_SERVER_REQUEST_DURATION, "2m", ("http_response_status_code",)))
