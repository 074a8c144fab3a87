"""The texts of notifications in Slack, PagerDuty and mail, rendered by the real template engine."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.contract.alertmanager import Alert, alerts, amtool, receivers, rendered, routes
from trust_ops.incidents.pagerduty import page_matchers
from trust_ops.site_config import write

MONITORING = Path(__file__).parents[2] / "monitoring"
STARTED = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
ENDED = STARTED + timedelta(minutes=42)
HOSTILE = (
    "<script>alert(1)</script> {{ .x }} *bold* `code` <!channel> <https://evil.test|click> "
    '&amp; "quoted" \\ \' a+b\nAcknowledge: https://evil.test/'
)

PLAIN = [alert for alert in alerts() if "escalation_level" not in alert.labels]
ESCALATED = [
    alert for alert in alerts() if alert.name == "TrustVaultUnavailable" and "escalation_level" in alert.labels
]

Values = dict[str, str]
Show = Callable[[Mapping[str, Any]], Values]


def alert_data(
    labels: Mapping[str, str], *, resolved: bool = False, minutes: int = 0, text: str = "text"
) -> dict[str, Any]:
    started = STARTED + timedelta(minutes=minutes)
    return {
        "status": "resolved" if resolved else "firing",
        "labels": dict(labels),
        "annotations": {
            "summary": f"Summary {text}",
            "description": f"Description {text}",
            "runbook_url": f"https://runbooks.trust.test/{labels['alertname']}",
            "dashboard_url": "https://grafana.trust.test/d/trust-service-security?viewPanel=6",
        },
        "startsAt": started.isoformat(),
        "endsAt": ENDED.isoformat() if resolved else "0001-01-01T00:00:00Z",
    }


def group(*found: Mapping[str, Any], receiver: str = "security-critical") -> dict[str, Any]:
    common = set.intersection(*(set(alert["labels"].items()) for alert in found))
    return {
        "receiver": receiver,
        "status": "firing" if any(alert["status"] == "firing" for alert in found) else "resolved",
        "alerts": list(found),
        "groupLabels": {},
        "commonLabels": dict(common),
        "commonAnnotations": {},
        "externalURL": "http://elsewhere:9093",
    }


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Show:
    """Renders all texts of the three channels for a group of alerts."""
    folder = tmp_path_factory.mktemp("rendered")
    write(rendered(), folder)
    texts = dict(_texts("slack", receivers()["default"]["slack_configs"][0]))
    texts |= _texts("pagerduty", receivers()["security-critical"]["pagerduty_configs"][0])
    texts |= _texts("email", receivers()["security-critical-email"]["email_configs"][0])
    html = texts.pop("email.html")

    def run(data: Mapping[str, Any]) -> Values:
        file = folder / "data.json"
        file.write_text(json.dumps(data))
        separator = "\n=====next=====\n"
        values = _render(folder, file, "text", separator.join(texts.values())).split(separator)
        return {**dict(zip(texts, values, strict=True)), "email.html": _render(folder, file, "html", html)}

    return run


def _render(folder: Path, data: Path, kind: str, text: str) -> str:
    answer = amtool(
        *("template", "render", f"--template.glob={folder}/*.tmpl", f"--template.data={data}"),
        *(f"--template.type={kind}", f"--template.text={text}"),
    )
    assert answer.returncode == 0, answer.stderr
    # amtool adds no trailing newline.
    return answer.stdout


def _texts(name: str, node: Any) -> Values:
    """All templates of a configuration by path."""
    if isinstance(node, str):
        return {name: node} if "{{" in node else {}
    if isinstance(node, Mapping):
        return {path: text for key, value in node.items() for path, text in _texts(f"{name}.{key}", value).items()}
    if isinstance(node, Sequence):
        return {path: text for key, value in enumerate(node) for path, text in _texts(f"{name}.{key}", value).items()}
    return {}


def is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme == "https" and bool(parts.hostname) and not re.search(r"\s", text)


def silenced(link: str) -> dict[str, str]:
    """The labels in a silence link, as parsed by Alertmanager's UI."""
    parts = urlsplit(link)
    assert parts.netloc == "alertmanager.trust.test"
    path, _, query = parts.fragment.partition("?")
    assert path == "/silences/new"
    text = unquote(query.removeprefix("filter="))
    assert text[0] == "{"
    assert text[-1] == "}"
    return {name: json.loads(value) for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', text)}


class Page(HTMLParser):
    """Tags, links and the visible text of a mail."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


LINKS = ["slack.title_link", *(f"slack.actions.{number}.url" for number in range(3))]
LINKS += ["pagerduty.client_url", *(f"pagerduty.links.{number}.href" for number in range(3))]


def identifier(alert: Alert) -> str:
    return f"{alert.name}-{alert.labels.get('escalation_level', alert.labels['severity'])}"


@pytest.mark.parametrize("resolved", [False, True], ids=["firing", "resolved"])
@pytest.mark.parametrize("alert", [*PLAIN, *ESCALATED], ids=identifier)
def test_every_alert_is_rendered_without_errors(alert: Alert, resolved: bool, show: Show) -> None:
    shown = show(group(alert_data(alert.labels, resolved=resolved)))
    empty = {"pagerduty.details.firing"} if resolved else {"pagerduty.details.resolved"}
    assert {name for name, text in shown.items() if not text.strip()} == empty
    for name, text in shown.items():
        assert not re.search(r"<no value>|<nil>|\{\{|%!\w\(", text.replace("{{ .x }}", "")), name
    for name in ("email.headers.Subject", "slack.title", "slack.fallback", "pagerduty.description"):
        for part in (alert.name, alert.labels["service"], f"1 {'resolved' if resolved else 'firing'}"):
            assert part in shown[name]
        severity = alert.labels["severity"]
        assert f"RESOLVED {severity}" in shown[name] if resolved else severity.upper() in shown[name]
        assert "\n" not in shown[name]
    for name in LINKS:
        assert is_address(shown[name]), name
    for name in ("slack.text", "email.text", "email.html", f"pagerduty.details.{'resolved' if resolved else 'firing'}"):
        assert "Summary text" in shown[name]
        assert "Description text" in shown[name]


def test_the_dashboard_shows_from_half_an_hour_before_until_now_or_the_end(show: Show) -> None:
    def shown(*found: Mapping[str, Any]) -> dict[str, list[str]]:
        return parse_qs(urlsplit(show(group(*found))["slack.title_link"]).query)

    labels = {"alertname": "TrustHostMemoryHigh", "severity": "critical", "team": "platform"}
    before = str(int((STARTED - timedelta(minutes=30)).timestamp() * 1000))
    firing = alert_data(labels, minutes=5)
    assert shown(firing, alert_data({**labels, "instance": "b"})) == {
        "viewPanel": ["6"],
        "from": [before],
        "to": ["now"],
    }
    assert shown(alert_data(labels, resolved=True))["to"] == [str(int(ENDED.timestamp() * 1000))]


_ONE = {"deployment_environment_name": "production", "service_name": "signer", "service_instance_id": "signer-0"}
_UNNAMED = {"service_name": "signer"}


@pytest.mark.parametrize(
    ("labels", "selected"),
    [
        ([_ONE], {"environment": ["production"], "service": ["signer"], "instance": ["signer-0"]}),
        ([_ONE, _ONE], {"environment": ["production"], "service": ["signer"], "instance": ["signer-0"]}),
        (
            [_ONE, {**_ONE, "service_instance_id": "signer-1"}],
            {"environment": ["production"], "service": ["signer"]},
        ),
        ([_ONE, {**_ONE, "service_name": "validator", "service_instance_id": "v"}], {"environment": ["production"]}),
        (
            [_ONE, {**_ONE, "deployment_environment_name": "staging", "service_instance_id": "s"}],
            {"service": ["signer"]},
        ),
        # An empty value selects the services that set no environment.
        ([_UNNAMED], {"environment": [""], "service": ["signer"]}),
        ([_UNNAMED, {"service_name": "validator"}], {}),
        # One of the two sets none, in either order.
        ([_UNNAMED, {**_ONE, "service_instance_id": "s"}], {"service": ["signer"]}),
        ([{**_ONE, "service_instance_id": "s"}, _UNNAMED], {"service": ["signer"]}),
        ([{"instance": "host-1:9100"}], {}),
        ([{"instance": "collector-0:8888"}, {"instance": "collector-1:8888"}], {}),
        ([_ONE, {"node": "node-1"}], {}),
        *(
            (
                [{"deployment_environment_name": text, "service_name": text, "service_instance_id": text}],
                {"environment": [text], "service": [text], "instance": [text]},
            )
            for text in ("a&var-service=b", "a+b c", "q\"u'o\\te", "größe €", "50%25#x?y", HOSTILE)
        ),
    ],
)
def test_the_dashboard_shows_environment_service_and_instance_of_the_alerts(
    labels: list[dict[str, str]], selected: dict[str, list[str]], show: Show
) -> None:
    shown = show(group(*(alert_data({"alertname": "TrustExample", **each}) for each in labels)))
    page = Page(shown["email.html"])
    dashboards = [link for link in page.links if "grafana.trust.test" in link]
    dashboards += [text for name, text in shown.items() if name in LINKS and "grafana.trust.test" in text]
    assert len(dashboards) > 3
    for link in dashboards:
        assert is_address(link)
        assert "+" not in link
        query = parse_qs(urlsplit(link).query, keep_blank_values=True, strict_parsing=True)
        assert {
            name.removeprefix("var-"): value for name, value in query.items() if name.startswith("var-")
        } == selected
        assert query["viewPanel"] == ["6"]


def test_the_selected_variables_are_those_of_every_dashboard() -> None:
    read = set(re.findall(r"&var-(\w+)=", (MONITORING / "alertmanager" / "trust-service-common.tmpl").read_text()))
    assert read == {"environment", "service", "instance"}
    for file in (MONITORING / "grafana").glob("*.json"):
        variables = {each["name"] for each in json.loads(file.read_text())["templating"]["list"]}
        assert read <= variables, file.name


@pytest.mark.parametrize(("level", "minutes"), [("team-lead", 15), ("manager", 30), ("executives", 60)])
def test_an_escalation_has_its_level_and_the_start_of_its_alert(level: str, minutes: int, show: Show) -> None:
    labels = {**PLAIN[0].labels, "escalation_level": level}
    shown = show(group(alert_data(labels)))
    assert f"after {minutes} minutes" in shown["slack.footer"]
    assert "[CRITICAL, escalated]" in shown["email.headers.Subject"]
    began = f"{STARTED - timedelta(minutes=minutes):%Y-%m-%d %H:%M} UTC"
    assert began in shown["email.text"]
    start = int(parse_qs(urlsplit(shown["slack.title_link"]).query)["from"][0])
    assert start <= (STARTED - timedelta(minutes=minutes)).timestamp() * 1000


@pytest.mark.parametrize("alert", ESCALATED, ids=identifier)
def test_the_times_of_escalations_are_those_of_the_rules(alert: Alert, show: Show) -> None:
    assert f"after {alert.rule.wait / 60:.0f} minutes" in show(group(alert_data(alert.labels)))["slack.footer"]


def test_the_acknowledge_link_has_all_labels_except_the_level(show: Show) -> None:
    labels = {**ESCALATED[0].labels, "client_address": HOSTILE}
    shown = show(group(alert_data(labels)))
    expected = {name: value for name, value in labels.items() if name != "escalation_level"}
    found = [shown["slack.actions.2.url"], shown["pagerduty.links.2.href"]]
    for name in ("slack.text", "email.text", "pagerduty.details.firing"):
        (link,) = re.findall(r"https://alertmanager\.trust\.test/#/silences/new[^\s|>]*", shown[name])
        found.append(link)
    found += [link for link in Page(shown["email.html"]).links if "silences/new" in link]
    assert len(found) == 7
    for link in found:
        assert silenced(link) == expected


def test_the_link_of_a_page_leads_to_the_alerts_of_its_group(show: Show) -> None:
    labels = {**PLAIN[0].labels, "service": HOSTILE, "instance": "a"}
    del labels["service_namespace"]
    shown = show(group(alert_data(labels)))
    names = {*paging_routes()["security-critical"]["group_by"], "severity"}
    # A label that is absent has to be absent from the alerts, too.
    assert page_matchers(shown["pagerduty.client_url"]) == {name: labels.get(name, "") for name in names}


def test_the_link_of_an_escalation_leads_to_its_only_alert(show: Show) -> None:
    labels = {**ESCALATED[0].labels, "client_address": HOSTILE}
    assert page_matchers(show(group(alert_data(labels)))["pagerduty.client_url"]) == labels


def test_every_page_is_about_the_group_that_its_link_describes() -> None:
    for name, route in paging_routes().items():
        if name.startswith("escalation-"):
            assert route["group_by"] == ["..."]
        else:
            assert 'severity = "critical"' in route["matchers"]
            assert route["group_by"] == rendered().configuration["route"]["group_by"]


def paging_routes() -> dict[str, dict[str, Any]]:
    """The routes of the receivers that page, by receiver, with the inherited grouping."""
    root = rendered().configuration["route"]
    return {
        route["receiver"]: {"group_by": root["group_by"], **route}
        for route in root["routes"]
        if "pagerduty_configs" in receivers()[route["receiver"]]
    }


def test_a_group_is_acknowledged_by_its_common_labels(show: Show) -> None:
    labels = dict(PLAIN[0].labels)
    shown = show(group(alert_data({**labels, "instance": "a"}), alert_data({**labels, "instance": "b"})))
    assert silenced(shown["slack.actions.2.url"]) == labels
    each = re.findall(r"https://alertmanager\.trust\.test/#/silences/new[^\s|>]*", shown["slack.text"])
    assert [silenced(link)["instance"] for link in each] == ["a", "b"]


def test_a_hostile_label_stays_text(show: Show) -> None:
    shown = show(group(alert_data({**PLAIN[0].labels, "service": HOSTILE, "client_address": HOSTILE}, text=HOSTILE)))
    for name, text in shown.items():
        if name.startswith("slack") and name not in LINKS:
            rest = re.sub(r"<https://alertmanager\.trust\.test/[^<>|\s]*\|[\w ()]+>", "", text)
            assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", rest), name
            assert "evil.test|" not in text or "&lt;https://evil.test|click&gt;" in text
    page = Page(shown["email.html"])
    assert page.tags <= {"html", "head", "meta", "title", "body", "table", "tr", "td", "div", "a"}
    assert page.attributes <= {
        *(
            "lang",
            "charset",
            "name",
            "content",
            "style",
            "role",
            "width",
            "cellpadding",
            "cellspacing",
            "align",
            "href",
        ),
    }
    assert all(is_address(link) and "evil.test" not in urlsplit(link).netloc for link in page.links)
    assert "<script>alert(1)</script> {{ .x }} *bold*" in page.text
    # No separate line, which could look like one of ours.
    lines = [line for line in shown["email.text"].splitlines() if line.startswith("Acknowledge")]
    assert len(lines) == 1
    assert "\n" not in shown["slack.title"] + shown["email.headers.Subject"]


def test_a_mail_has_the_command_that_explains_its_alert(show: Show) -> None:
    shown = show(group(alert_data(PLAIN[0].labels)))
    assert f"\nCauses:      trust-otel explain {PLAIN[0].name}\n" in shown["email.text"]


def test_a_name_that_a_shell_would_interpret_is_in_no_command(show: Show) -> None:
    shown = show(group(alert_data({**PLAIN[0].labels, "alertname": "A$(reboot)"})))
    assert "trust-otel explain" not in shown["email.text"]


def test_slack_does_not_parse_markup_in_texts() -> None:
    for receiver in receivers().values():
        for config in receiver.get("slack_configs", ()):
            assert config["mrkdwn_in"] == ["pretext"]
            assert not {"pretext", "link_names"} & set(config)


def test_firing_and_resolved_alerts_are_separated(show: Show) -> None:
    labels = PLAIN[0].labels
    firing = [alert_data({**labels, "instance": "a"}, text="goes on")]
    ended = [alert_data({**labels, "instance": "b"}, resolved=True, text="is over")]
    shown = show(group(*firing, *ended))
    assert "(1 firing, 1 resolved" in shown["slack.title"]
    for name, heads in (("slack.text", ("Firing:", "Resolved:")), ("email.text", ("FIRING", "RESOLVED"))):
        marks = [shown[name].index(mark) for mark in (heads[0], "goes on", heads[1], "is over")]
        assert marks == sorted(marks)
    assert "is over" not in shown["pagerduty.details.firing"]
    assert "is over" in shown["pagerduty.details.resolved"]


@pytest.mark.parametrize(
    ("name", "most"), [("slack.text", 8), ("email.text", 20), ("email.html", 20), ("pagerduty.details.firing", 20)]
)
def test_a_long_group_is_truncated_with_a_note(name: str, most: int, show: Show) -> None:
    many = [alert_data({**PLAIN[0].labels, "instance": str(number)}, text=f"number-{number};") for number in range(25)]
    text = show(group(*many))[name]
    assert text.count("Summary number-") == most
    assert f"{most} of 25" in text
    assert "of 8" not in show(group(*many[:8]))[name]


@pytest.mark.parametrize(
    ("team", "expected"),
    [
        ("security", "https://schedule.trust.test/security?a=1&b=2"),
        ("platform", "Ada <b>{{ .x }}</b>"),
        ("business", "business team"),
        ("compliance", "compliance team"),
        ("elsewhere", "Ada <b>{{ .x }}</b>"),
    ],
)
def test_notifications_name_who_is_on_call(team: str, expected: str, show: Show) -> None:
    shown = show(group(alert_data({**PLAIN[0].labels, "team": team})))
    assert f"On call:     {expected}\n" in shown["email.text"]
    assert shown["pagerduty.details.on_call"] == expected
    assert shown["slack.fields.3.value"] == expected.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    page = Page(shown["email.html"])
    assert expected in page.text
    assert (expected in page.links) is expected.startswith("https")


def test_alerts_of_other_rules_have_links_too(show: Show) -> None:
    foreign = {**alert_data({"alertname": "SomebodysAlert"}), "annotations": {}}
    shown = show(group(foreign))
    assert all(is_address(shown[name]) for name in LINKS)
    assert "[MIXED] several services: SomebodysAlert" in shown["email.headers.Subject"]
    assert shown["pagerduty.severity"] == "error"


def test_every_receiver_shows_the_same(show: Show) -> None:
    for kind, address in (("slack", "api_url_file"), ("pagerduty", "routing_key_file"), ("email", "to")):
        configs = [config for receiver in receivers().values() for config in receiver.get(f"{kind}_configs", ())]
        assert len(configs) >= len({route["receiver"] for route in routes()} & {"default"})
        assert all({**config, address: ""} == {**configs[0], address: ""} for config in configs)
