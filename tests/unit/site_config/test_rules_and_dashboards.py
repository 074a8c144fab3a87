"""The rules and dashboards of a site, and settings with which they could not work."""

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import pytest

from trust_ops.site_config import DEFAULTS, RenderError, Site, read_site
from trust_ops.site_config.dashboards import dashboards, published_file
from trust_ops.site_config.rules import rule_files
from trust_ops.stack.files import project_file

SITE = read_site(
    """
addresses: {grafana: https://graphs.trust.test, runbooks: https://books.trust.test/pages}
thresholds:
  TrustServiceHighLatency: 3
  TrustDatabaseSlowQueries: 0.2
  TrustAuthFailuresFromAddress: 20
  TrustCertificateExpiring: {warning: 60}
kubernetes: {namespaces: [payments]}
critical: {grpc_methods: [Seal]}
retention: 25d
""",
    "site.yml",
)


def dashboard(name: str, site: Site = SITE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dashboards(site)[f"dashboards/trust-service-{name}.json"])
    return found


def panel(name: str, number: int) -> dict[str, Any]:
    (found,) = [each for each in dashboard(name)["panels"] if each["id"] == number]
    return dict(found)


def steps(node: Any) -> Iterator[list[Any]]:
    """The values of all coloured steps."""
    if isinstance(node, dict):
        if "steps" in node:
            yield [step["value"] for step in node["steps"]]
        for value in node.values():
            yield from steps(value)
    elif isinstance(node, list):
        for each in node:
            yield from steps(each)


@pytest.mark.parametrize("name", sorted(rule_files(DEFAULTS)))
def test_the_published_rules_are_those_of_a_site_without_changes(name: str) -> None:
    assert rule_files(DEFAULTS)[name] == project_file(f"monitoring/prometheus/{name}").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(dashboards(DEFAULTS)))
def test_the_published_dashboards_are_those_of_a_site_without_changes(name: str) -> None:
    published = published_file(PurePath(name).stem).read_text(encoding="utf-8")
    assert dashboards(DEFAULTS)[name] == published


def test_all_settings_are_in_the_rules() -> None:
    alerts, recording = (rule_files(SITE)[f"trust-service-{name}.yml"] for name in ("alerts", "recording"))
    assert "p95_rate2m > 3\n" in alerts
    assert 'rpc_method=~".*/(Seal).*"' in alerts
    assert "runbook_url: https://books.trust.test/pages/TrustServiceDown" in alerts
    assert "dashboard_url: https://graphs.trust.test/d/" in alerts
    assert "marty.com" not in alerts
    assert 'kube_pod_info{namespace!~"payments"}' in recording


def test_lines_and_colours_of_panels_follow_the_thresholds() -> None:
    assert [None, 3.0] in steps(panel("operational", 2))
    assert [None, 0.75, 3.0] in steps(panel("operational", 21))
    assert [None, 7 * 86400.0, 60 * 86400.0] in [
        found for each in dashboard("operational")["panels"] for found in steps(each)
    ]


def test_texts_and_queries_of_panels_follow_the_thresholds() -> None:
    assert "threshold 20%)" in json.dumps(panel("operational", 26))
    attacking = panel("security", 22)
    assert attacking["description"].startswith("Client addresses with at least 21 failed logins within a minute")
    assert ">= 21" in attacking["targets"][0]["expr"]


def test_required_controls_are_in_the_rules_the_alert_and_the_panels() -> None:
    required = read_site("compliance: {required_controls: [{framework: eidas, control: 'a\"b$1'}]}", "site.yml")
    alerts, recording = (rule_files(required)[f"trust-service-{name}.yml"] for name in ("alerts", "recording"))
    assert "service_control:trust_compliance_required_checks:state <= -2" in alerts
    assert 'trust_compliance_control="a\\"b$1"}[1d]' in recording
    assert '"trust_compliance_control", "a\\"b$$1", "", ""' in recording
    shown = dashboard("security", required)
    assert json.dumps(shown).count("service_control:trust_compliance_required_checks:state") > 1
    assert "<<" not in json.dumps(shown)


def test_several_services_may_have_the_same_required_control() -> None:
    entry = "{framework: eidas, control: a, service: %s}"
    required = read_site(f"compliance: {{required_controls: [{entry % 'one'}, {entry % 'two'}]}}", "site.yml")
    assert len(required.compliance.required_controls) == 2


def test_panels_say_which_routes_and_methods_have_the_latency_that_alerts() -> None:
    routes = read_site('critical: {http_routes: ["/v1/documents/{id}"]}', "site.yml")
    panels = {each["id"]: each for each in dashboard("operational", routes)["panels"]}
    assert panels[2]["description"].startswith("Latency percentiles of the critical routes with the alert threshold")
    assert "Request rate and instances are of all routes." in panels[2]["description"]
    assert "latency of the critical routes, errors" in panels[1]["description"]
    assert '"$service", service_instance_id=~"$instance", http_route=~' in panels[2]["targets"][0]["expr"]
    assert "critical routes" not in json.dumps(dashboard("operational", DEFAULTS))
    assert "methods whose names begin with Seal." in panel("operational", 5)["description"]


@pytest.mark.parametrize("name", ["operational", "security", "business", "pki", "monitoring"])
def test_runbooks_are_those_of_the_site(name: str) -> None:
    (runbooks,) = [each for each in dashboard(name)["templating"]["list"] if each["name"] == "runbooks"]
    assert runbooks["query"] == "https://books.trust.test/pages"
    assert "marty.com" not in json.dumps(dashboard(name))


@pytest.mark.parametrize(
    ("environments", "opened"),
    [
        ("{staging: notify, live: page, production: page}", "live"),
        ("{test: show, staging: notify}", "test"),
        ("{}", ""),
    ],
)
def test_dashboards_open_with_the_first_environment_that_pages(environments: str, opened: str) -> None:
    variables = dashboard("security", read_site(f"environments: {environments}", "site.yml"))["templating"]["list"]
    (environment,) = [each for each in variables if each["name"] == "environment"]
    assert (environment["current"]["value"], environment["current"]["text"]) == (opened, opened)


def test_windows_end_where_the_data_ends() -> None:
    assert "[21d]" in json.dumps(dashboard("business"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("retention: 14d", "site.yml:1: retention: '14d' is not valid; use at least 15d: forecasts compare"),
        (
            "thresholds: {TrustHostMemoryHigh: 85}",
            "site.yml:1: thresholds.TrustHostMemoryHigh: 85 is not valid; use a number below 1, such as 0.85 for 85 %",
        ),
        (
            "thresholds:\n  TrustCertificateExpiring: {critical: 40}",
            "site.yml:2: thresholds.TrustCertificateExpiring: critical (40 days) must stay below warning (30 days)",
        ),
        (
            "thresholds:\n  TrustCertificateExpiring:\n    critical: 0",
            "site.yml:3: thresholds.TrustCertificateExpiring.critical: 0 is not valid; use a number above 0",
        ),
    ],
)
def test_a_setting_that_cannot_work_is_named_with_line_value_and_remedy(text: str, problem: str) -> None:
    with pytest.raises(RenderError) as error:
        read_site(text, "site.yml")
    assert str(error.value).startswith(problem)
