"""Variables are inserted in their places, nothing else changes, and omitted values leave nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from trust_ops.site_config import Rendered, RenderError
from trust_ops.site_config.site import Addresses, Critical, Site
from trust_ops.site_config.template import dump, go_string
from trust_ops.site_config.variables import VARIABLES
from trust_ops.stack.files import project_file

_TEMPLATE = project_file("monitoring/alertmanager/trust-service-alertmanager.yml").read_text()
_NOTIFICATIONS = "".join(
    path.read_text()
    for path in sorted(project_file("monitoring/alertmanager/trust-service-common.tmpl").parent.glob("*.tmpl"))
)

Render = Callable[..., Rendered]
Receiver = Callable[[Rendered, str], Any]


def shape(node: Any) -> Any:
    """The structure without the texts."""
    if isinstance(node, dict):
        return {key: shape(value) for key, value in node.items()}
    if isinstance(node, list):
        return [shape(item) for item in node]
    return type(node)


def names(node: Any) -> set[str]:
    """Every key of every mapping."""
    if isinstance(node, dict):
        return set(node).union(*map(names, node.values()))
    if isinstance(node, list):
        return set().union(*map(names, node)) if node else set()
    return set()


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_variable_is_used(variable: Any) -> None:
    placeholder = f"${{file:{variable.name}}}" if variable.kind.secret else f"${{{variable.name}}}"
    assert placeholder in _TEMPLATE + _NOTIFICATIONS


def test_no_placeholder_is_left(rendered: Render) -> None:
    made = rendered()
    assert "${" not in dump(made.configuration) + "".join(
        made.texts[name] for name in made.texts if name.endswith("tmpl")
    )


def test_the_template_is_valid_yaml() -> None:
    assert yaml.safe_load(_TEMPLATE)["route"]["receiver"] == "default"


def test_yaml_round_trip(rendered: Render) -> None:
    configuration = rendered(SMTP_USERNAME="a: b # c", SMTP_PASSWORD="x").configuration
    assert yaml.safe_load(dump(configuration)) == configuration
    assert "&id" not in dump(configuration)


def test_every_channel_goes_to_its_own_address(rendered: Render, receiver: Receiver) -> None:
    made = rendered()
    secrets = "/etc/alertmanager/secrets"
    critical = receiver(made, "security-critical")
    assert critical["slack_configs"][0]["api_url_file"] == f"{secrets}/SLACK_WEBHOOK_SECURITY"
    assert critical["pagerduty_configs"][0]["routing_key_file"] == f"{secrets}/PAGERDUTY_SECURITY_KEY"
    assert receiver(made, "security-critical-email")["email_configs"][0]["to"] == "security@trust.test"
    assert receiver(made, "compliance-email")["email_configs"][0]["to"] == "compliance@trust.test"
    assert made.configuration["global"]["smtp_smarthost"] == "mail.trust.test:587"
    assert made.configuration["global"]["smtp_auth_password_file"] == f"{secrets}/SMTP_PASSWORD"


def test_the_configuration_contains_no_secret(rendered: Render, required: dict[str, str]) -> None:
    made = rendered(
        INCIDENT_WEBHOOK_URL="https://incidents.trust.test/sesame-url", INCIDENT_WEBHOOK_TOKEN="sesame-token"
    )
    text = dump(made.configuration) + "".join(made.texts.values()) + repr(made)
    for variable in VARIABLES:
        if variable.kind.secret and variable.name in required:
            assert required[variable.name] not in text
    assert "sesame" not in text


def test_an_address_in_several_variables_gets_one_mail(rendered: Render, receiver: Receiver) -> None:
    both = receiver(rendered(), "escalation-team-lead-email")["email_configs"]
    assert [config["to"] for config in both] == ["senior@trust.test"]
    two = receiver(rendered(TEAM_LEAD_EMAIL="lead@trust.test"), "escalation-team-lead-email")["email_configs"]
    assert [config["to"] for config in two] == ["lead@trust.test, senior@trust.test"]
    one = receiver(rendered(ESCALATION_EMAIL="off", TEAM_LEAD_EMAIL="lead@trust.test"), "escalation-team-lead-email")
    assert [config["to"] for config in one["email_configs"]] == ["lead@trust.test"]


@pytest.mark.parametrize(
    ("changes", "name", "gone"),
    [
        ({"PAGERDUTY_SECURITY_KEY": "off"}, "security-critical", "pagerduty_configs"),
        ({"SLACK_WEBHOOK_PLATFORM": "off"}, "platform-critical", "slack_configs"),
        ({"BUSINESS_EMAIL": "off"}, "business-email", "email_configs"),
        ({"INCIDENT_WEBHOOK_URL": "off"}, "incidents", "webhook_configs"),
        ({"INCIDENT_WEBHOOK_URL": None}, "incidents", "webhook_configs"),
        ({"DEADMAN_WEBHOOK_URL": "off"}, "watchdog", "webhook_configs"),
    ],
)
def test_off_removes_only_the_channel(
    rendered: Render, receiver: Receiver, changes: dict[str, str | None], name: str, gone: str
) -> None:
    everything = rendered(INCIDENT_WEBHOOK_URL="https://i.test/", DEADMAN_WEBHOOK_URL="https://d.test/")
    without = rendered(
        **{"INCIDENT_WEBHOOK_URL": "https://i.test/", "DEADMAN_WEBHOOK_URL": "https://d.test/", **changes}
    )
    assert gone in receiver(everything, name)
    assert gone not in receiver(without, name)
    assert shape(without.configuration["route"]) == shape(everything.configuration["route"])


def test_without_mail_the_configuration_has_no_mail(rendered: Render) -> None:
    made = rendered(SMTP_HOST="off", SMTP_USERNAME=None, SECURITY_EMAIL=None)
    found = names(made.configuration)
    assert "email_configs" not in found
    assert {name for name in found if name.startswith("smtp_")} == {"smtp_require_tls"}
    assert "SMTP_PASSWORD" not in made.secrets


def test_a_mail_server_without_authentication(rendered: Render) -> None:
    configuration = rendered(SMTP_USERNAME="off", SMTP_PASSWORD="off").configuration
    assert {"smtp_auth_username", "smtp_auth_password_file"}.isdisjoint(configuration["global"])


def test_a_token_without_its_webhook_is_not_written(rendered: Render) -> None:
    assert "INCIDENT_WEBHOOK_TOKEN" not in rendered(INCIDENT_WEBHOOK_TOKEN="x").secrets


def test_a_webhook_without_a_token_sends_none(rendered: Render, receiver: Receiver) -> None:
    (config,) = receiver(rendered(INCIDENT_WEBHOOK_URL="https://i.test/"), "incidents")["webhook_configs"]
    assert "http_config" not in config


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SLACK_WEBHOOK_DEFAULT": "off"}, {"default"}),
        ({"SLACK_WEBHOOK_BUSINESS": "off", "BUSINESS_EMAIL": "off"}, {"business"}),
        ({"SMTP_HOST": "off", "SLACK_WEBHOOK_BUSINESS": "off"}, {"business", "compliance"}),
        (
            {"PAGERDUTY_ESCALATION_KEY": "off", "ESCALATION_EMAIL": "off"},
            {"escalation-manager", "escalation-executives"},
        ),
    ],
)
def test_a_receiver_without_a_channel_is_named(rendered: Render, changes: dict[str, str], named: set[str]) -> None:
    with pytest.raises(RenderError) as error:
        rendered(**changes)
    assert {problem.subject.removeprefix("receiver ") for problem in error.value.problems} == named


@pytest.mark.parametrize(
    "hostile",
    [
        "a: b",
        "a # b",
        "- a",
        "'",
        '"',
        "{a: b}",
        "*a",
        "&a",
        "!a",
        "%a",
        "|",
        "yes",
        "null",
        "0o7",
        "{{ .x }}",
        "ü",
    ],
)
def test_no_value_changes_the_structure(rendered: Render, hostile: str) -> None:
    plain, strange = rendered(), rendered(SMTP_USERNAME=hostile, SMTP_CA_FILE=f"/{hostile}", ONCALL_SECURITY=hostile)
    read = yaml.safe_load(dump(strange.configuration))
    assert read["global"].pop("smtp_tls_config") == {"ca_file": f"/{hostile}"}
    assert read["global"]["smtp_auth_username"] == hostile
    assert shape(read) == shape(plain.configuration)


def test_a_text_in_a_notification_is_a_constant() -> None:
    assert go_string('a "b" {{ .x }} \\ é') == (
        '"a \\U00000022b\\U00000022 \\U0000007b\\U0000007b .x \\U0000007d\\U0000007d \\U0000005c \\U000000e9"'
    )


def test_links_in_rules_and_notifications_lead_to_the_own_addresses(rendered: Render) -> None:
    made = rendered(
        site=Site(addresses=Addresses(grafana="https://g.trust.test/grafana", runbooks="https://r.trust.test/"))
    )
    rules = yaml.safe_load(made.texts["trust-service-alerts.yml"])
    found = [rule["annotations"] for group in rules["groups"] for rule in group["rules"]]
    assert all(one["dashboard_url"].startswith("https://g.trust.test/grafana/d/") for one in found)
    assert all(one["runbook_url"].startswith("https://r.trust.test/") for one in found)
    assert not any("marty.com" in text for name, text in made.texts.items() if name.startswith("trust-service-alerts"))


def test_critical_grpc_methods_are_those_of_the_setting(rendered: Render) -> None:
    before = project_file("monitoring/prometheus/trust-service-alerts.yml").read_text().splitlines()
    after = (
        rendered(site=Site(critical=Critical(grpc_methods=("Seal", "Open"))))
        .texts["trust-service-alerts.yml"]
        .splitlines()
    )
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert 'rpc_method=~".*/(Seal|Open).*"' in changed[0][1]


def test_rules_change_in_nothing_but_the_addresses(rendered: Render) -> None:
    name = "trust-service-alerts.yml"
    assert rendered().texts[name] == Path(project_file(f"monitoring/prometheus/{name}")).read_text()
