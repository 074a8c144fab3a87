"""The namespaces of a site in the recording rules."""

import pytest
import yaml

from trust_ops.site_config.recording_rules import UNMONITORED, with_critical_routes, with_namespaces
from trust_ops.stack.files import project_file

PUBLISHED = project_file("monitoring/prometheus/trust-service-recording.yml").read_text(encoding="utf-8")


def expressions(text: str) -> dict[str, str]:
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return {f"{rule['record']} {rule.get('labels')}": rule["expr"].strip() for rule in rules}


def test_without_a_list_nothing_changes() -> None:
    assert with_namespaces(PUBLISHED, ()) == PUBLISHED


def test_the_listed_namespaces_are_monitored() -> None:
    before, after = expressions(PUBLISHED), expressions(with_namespaces(PUBLISHED, ("payments", "signing.v2")))
    name = f"{UNMONITORED} None"
    assert after[name] == r'count by (namespace) (kube_pod_info{namespace!~"payments|signing\\.v2"})'
    assert after == {**before, name: after[name]}


def test_missing_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="have 0 rules namespace:kube_pods_unmonitored:count"):
        with_namespaces("groups: []\n", ("payments",))


def test_the_recorded_latency_is_that_of_the_routes_of_the_site() -> None:
    before, after = expressions(PUBLISHED), expressions(with_critical_routes(PUBLISHED, ("/v1/{id}", "/sign")))
    changed = "service:http_server_request_duration_seconds_bucket:rate2m"
    assert [name for name in before if before[name] != after[name]] == [f"{changed} None"]
    assert 'seconds_bucket{http_route=~"/v1/\\\\{id\\\\}|/sign"}[2m]' in after[f"{changed} None"]
    assert with_critical_routes(PUBLISHED, ()) == PUBLISHED


def test_rules_without_the_latency_are_an_error() -> None:
    with pytest.raises(ValueError, match="have 0 times rate"):
        with_critical_routes("groups: []\n", ("/sign",))
