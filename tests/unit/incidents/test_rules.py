"""The names of the alerts that can fire."""

from __future__ import annotations

import httpx
import pytest
import yaml

from trust_ops.incidents.rules import RULES, RulesError, own_rules, rules_of
from trust_ops.stack.files import project_file


def test_own_rules_are_those_of_the_file_that_can_become_incidents() -> None:
    content = yaml.safe_load(project_file(RULES).read_text())
    expected = {rule["alert"] for group in content["groups"] for rule in group["rules"] if "alert" in rule}
    assert expected >= {"TrustWatchdog", "TrustServiceDown"}
    assert own_rules() == expected - {"TrustWatchdog", "TrustEscalation"}


def answering(status: int, content: object) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, json=content))


def test_rules_of_a_prometheus() -> None:
    groups = [{"rules": [{"name": "A", "type": "alerting"}, {"name": "TrustWatchdog"}]}, {"rules": [{"name": "B"}]}]
    answer = answering(200, {"status": "success", "data": {"groups": groups}})
    assert rules_of("http://prometheus:9090/", answer) == {"A", "B"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answering(503, {}), "responded with 503 to the request for its rules"),
        (answering(200, {"data": []}), "is not that of Prometheus"),
        (httpx.MockTransport(lambda _: httpx.Response(200, text="<html>")), "is not that of Prometheus"),
    ],
)
def test_a_failing_prometheus_is_named_without_password(answer: httpx.MockTransport, said: str) -> None:
    with pytest.raises(RulesError) as failed:
        rules_of("http://me:secret-word@prometheus:9090", answer)
    assert said in str(failed.value)
    assert "secret-word" not in str(failed.value)
