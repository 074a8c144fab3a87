"""The fake Slack, PagerDuty, mail server and webhooks accept what the real ones accept, and report mistakes."""

from __future__ import annotations

import copy
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from testbed.drill.receivers import Delivery, Receivers, Rejection
from trust_ops.site_config import render
from trust_ops.site_config.variables import VARIABLES

LABELS = {"alertname": "TrustServiceDown", "service": 'a "quoted" service', "severity": "critical", "team": "platform"}
LINK = "https://alertmanager.trust.test/#/silences/new?filter=" + quote(
    "{" + ",".join('{}="{}"'.format(name, value.replace('"', '\\"')) for name, value in LABELS.items()) + "}", safe=""
)
SLACK: dict[str, Any] = {
    "attachments": [
        {
            "title": "[CRITICAL] the service is down",
            "title_link": "https://grafana.trust.test/d/trust-service-operational?viewPanel=1&from=1",
            "text": f"It is down, &lt;for good&gt;.\n<{LINK}|Acknowledge (silence)>",
            "fallback": "the service is down",
            "callback_id": "",
            "color": "#c62828",
            "footer": "Level 1",
            "mrkdwn_in": ["fallback", "pretext", "text"],
            "fields": [{"title": "Severity", "value": "critical", "short": True}],
            "actions": [{"type": "button", "text": "Runbook", "url": "https://runbooks.trust.test/TrustServiceDown"}],
        }
    ]
}
EVENT: dict[str, Any] = {
    "event_action": "trigger",
    "dedup_key": "5f3c",
    "client": "trust-otel",
    "client_url": "https://alertmanager.trust.test/#/alerts",
    "links": [{"href": "https://runbooks.trust.test/TrustServiceDown", "text": "Runbook"}],
    "images": [],
    "payload": {
        "summary": "[CRITICAL] the service is down",
        "source": "host-1",
        "severity": "critical",
        "class": "availability",
        "component": "the service",
        "group": "production",
        "custom_details": {"firing": f"It is down.\nAcknowledge: {LINK}", "resolved": ""},
    },
}
MESSAGE: dict[str, Any] = {
    "version": "4",
    "groupKey": '{}:{alertname="TrustServiceDown"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "incidents",
    "groupLabels": {"alertname": "TrustServiceDown"},
    "commonLabels": LABELS,
    "commonAnnotations": {},
    "externalURL": "https://alertmanager.trust.test",
    "alerts": [
        {
            "status": "firing",
            "labels": LABELS,
            "annotations": {"summary": "It is down."},
            "startsAt": "2026-11-25T18:44:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
            "fingerprint": "0123456789abcdef",
        }
    ],
}


class Received:
    """What the receivers have received since the test began."""

    def __init__(self, running: Receivers) -> None:
        self.running = running
        self._before = (len(running.problems), len(running.deliveries), len(running.rejections))

    @property
    def problems(self) -> list[str]:
        return self.running.problems[self._before[0] :]

    @property
    def deliveries(self) -> list[Delivery]:
        return self.running.deliveries[self._before[1] :]

    @property
    def rejections(self) -> list[Rejection]:
        return self.running.rejections[self._before[2] :]


@pytest.fixture(scope="module")
def running() -> Iterator[Receivers]:
    with Receivers() as started:
        yield started


@pytest.fixture
def receivers(running: Receivers) -> Iterator[Received]:
    yield Received(running)
    for channel in running.channels:
        running.restore(channel)


@pytest.fixture
def variables(running: Receivers) -> dict[str, str]:
    return running.environment()


@pytest.fixture(scope="module")
def post() -> Iterator[Callable[..., httpx.Response]]:
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client.post


def changed(original: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    copied = copy.deepcopy(original)
    change(copied)
    return copied


def attachment(**values: object) -> dict[str, Any]:
    return changed(SLACK, lambda message: message["attachments"][0].update(values))


def event(**values: object) -> dict[str, Any]:
    return changed(EVENT, lambda copied: copied.update(values))


def payload(**values: object) -> dict[str, Any]:
    return changed(EVENT, lambda copied: copied["payload"].update(values))


def test_every_notification_variable_points_to_the_receivers(variables: dict[str, str]) -> None:
    assert set(variables) == {variable.name for variable in VARIABLES}
    rendered = render(variables, "/secrets")
    channels = [name for receiver in rendered.configuration["receivers"] for name in receiver if name != "name"]
    assert set(channels) == {"slack_configs", "pagerduty_configs", "email_configs", "webhook_configs"}


def channels(receivers: Received) -> list[str]:
    return [delivery.channel for delivery in receivers.deliveries]


def test_each_slack_webhook_is_a_separate_channel(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    names = ("DEFAULT", "SECURITY", "PLATFORM", "BUSINESS", "ESCALATION")
    answers = [post(variables[f"SLACK_WEBHOOK_{name}"], json=SLACK) for name in names]
    assert {(answer.status_code, answer.text, answer.headers["content-type"]) for answer in answers} == {
        (200, "ok", "text/plain; charset=utf-8")
    }
    assert channels(receivers) == [f"slack:{name.lower()}" for name in names]
    assert {(delivery.status, delivery.alerts[0].name) for delivery in receivers.deliveries} == {
        ("firing", "TrustServiceDown")
    }
    assert receivers.problems == []


def test_alert_labels_are_read_from_the_acknowledge_link(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    post(variables["SLACK_WEBHOOK_SECURITY"], json=SLACK)
    post(variables["PAGERDUTY_URL"], json=event(routing_key=variables["PAGERDUTY_SECURITY_KEY"]))
    send_mail(variables, mail(variables))
    post(variables["INCIDENT_WEBHOOK_URL"], json=MESSAGE, headers=bearer(variables))
    assert [delivery.alerts[0].labels for delivery in receivers.deliveries] == [LABELS] * 4
    assert receivers.problems == []


@pytest.mark.parametrize(
    ("request_", "status", "answer"),
    [
        ({"content": b"payload={}"}, 400, "invalid_payload"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "invalid_payload"),
        ({"json": []}, 400, "invalid_payload"),
        ({"json": {"attachments": ["text"]}}, 400, "invalid_payload"),
        ({"json": {"attachments": []}}, 400, "no_text"),
        ({"json": attachment(text=" ", fallback="")}, 400, "no_text"),
        ({"json": {"attachments": SLACK["attachments"] * 101}}, 400, "too_many_attachments"),
    ],
)
def test_slack_rejects_an_invalid_payload(
    receivers: Received,
    variables: dict[str, str],
    post: Callable[..., httpx.Response],
    request_: dict[str, Any],
    status: int,
    answer: str,
) -> None:
    response = post(variables["SLACK_WEBHOOK_SECURITY"], **request_)
    assert (response.status_code, response.text) == (status, answer)
    assert receivers.problems == [f"slack:security: {answer}"]
    assert receivers.deliveries == []


def test_slack_rejects_an_unknown_webhook(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    response = post(variables["SLACK_WEBHOOK_SECURITY"] + "x", json=SLACK)
    assert (response.status_code, response.text) == (404, "no_service")
    assert receivers.problems == ["slack: an unknown webhook"]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (attachment(color="red"), "not good, warning, danger"),
        (attachment(title_link="grafana.trust.test/d"), "title_link 'grafana.trust.test/d' is not an address"),
        (attachment(title_link="<no value>"), "is not an address"),
        (attachment(text=" "), "no text"),
        (attachment(fallback=""), "no fallback"),
        (attachment(title="<no value>: down"), "title has the template error '<no value>'"),
        (attachment(footer="{{ .Status }}"), "footer has the template error '{{'"),
        (attachment(text=f"a < b <{LINK}|Acknowledge (silence)>"), "has an unescaped"),
        (attachment(text=f"a & b <{LINK}|Acknowledge (silence)>"), "has an unescaped"),
        (attachment(text=f"<!channel> <{LINK}|Acknowledge (silence)>"), "has an unescaped"),
        (attachment(text=f"{'x' * 40_001}<{LINK}|Acknowledge (silence)>"), "more than 40000 characters"),
        (attachment(fields=[{"title": "Severity", "value": ""}]), "needs title and value"),
        (attachment(fields=[{"title": "Severity", "value": "critical", "short": "yes"}]), "not a boolean"),
        (attachment(actions=[{"type": "button", "text": "Runbook", "url": ""}]), "is not a button"),
        (attachment(mrkdwn_in=["titles"]), "mrkdwn_in"),
        (attachment(footer="x" * 301), "the footer has more than 300 characters"),
        (attachment(text="It is down."), "shows no alert"),
    ],
)
def test_a_formatting_mistake_in_a_slack_message_is_reported(
    receivers: Received,
    variables: dict[str, str],
    post: Callable[..., httpx.Response],
    message: dict[str, Any],
    problem: str,
) -> None:
    assert post(variables["SLACK_WEBHOOK_PLATFORM"], json=message).text == "ok"
    found = receivers.problems
    assert found
    assert all(text.startswith("slack:platform: ") for text in found)
    assert any(problem in text for text in found)


def test_each_pagerduty_routing_key_is_a_separate_channel(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    names = ("SECURITY", "PLATFORM", "ESCALATION")
    for name in names:
        answer = post(variables["PAGERDUTY_URL"], json=event(routing_key=variables[f"PAGERDUTY_{name}_KEY"]))
        assert answer.status_code == 202
        assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "5f3c"}
    assert channels(receivers) == [f"pagerduty:{name.lower()}" for name in names]
    assert receivers.problems == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (event(routing_key="short"), "Length of 'routing_key' is incorrect (should be 32 characters)"),
        (event(routing_key="x" * 32), "Invalid routing key"),
        (event(event_action="close"), "'event_action' must be one of"),
        (event(event_action="resolve", dedup_key=""), "'dedup_key' is missing or blank"),
        (event(dedup_key="x" * 256), "'dedup_key' must be a text of at most 255 characters"),
        (event(payload=None), "'payload' is missing"),
        (payload(summary=" "), "'payload.summary' is missing or blank"),
        (payload(summary="x" * 1025), "'payload.summary' has more than 1024 characters"),
        (payload(source=""), "'payload.source' is missing or blank"),
        (payload(severity="page"), "'payload.severity' must be one of critical, error, warning, info"),
        (payload(group=7), "'payload.group' is not a text"),
        (payload(custom_details="down"), "'payload.custom_details' is not an object"),
        (payload(timestamp="yesterday"), "'payload.timestamp' is not an ISO 8601 time"),
        (event(links=[{"href": "runbook"}]), "'links' has an entry whose href is not an address"),
        (event(images=[{"src": "http://plain"}]), "'images' has an entry whose src is not an https address"),
        (payload(custom_details={"firing": "x" * 600_000}), "larger than 524288 bytes"),
    ],
)
def test_pagerduty_rejects_an_invalid_event(
    receivers: Received,
    variables: dict[str, str],
    post: Callable[..., httpx.Response],
    change: dict[str, Any],
    error: str,
) -> None:
    sent = {"routing_key": variables["PAGERDUTY_SECURITY_KEY"], **change}
    answer = post(variables["PAGERDUTY_URL"], json=sent)
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert any(error in text for text in answer.json()["errors"])
    assert len(receivers.problems) == 1
    assert receivers.deliveries == []


def test_pagerduty_rejects_invalid_json(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    answers = [post(variables["PAGERDUTY_URL"], content=content) for content in (b"{", b"[]")]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert len(receivers.problems) == 2


def test_a_pagerduty_resolve_without_a_trigger_is_reported(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    key = variables["PAGERDUTY_SECURITY_KEY"]
    details = {"firing": "", "resolved": f"It was down.\nSilence: {LINK}"}
    post(variables["PAGERDUTY_URL"], json=event(routing_key=key, dedup_key="ab42"))
    resolved = changed(
        event(routing_key=key, dedup_key="ab42", event_action="resolve"),
        lambda copied: copied["payload"].update(custom_details=details),
    )
    post(variables["PAGERDUTY_URL"], json=resolved)
    assert [delivery.status for delivery in receivers.deliveries] == ["firing", "resolved"]
    assert receivers.problems == []
    for other in ({"dedup_key": "7d1e"}, {"routing_key": variables["PAGERDUTY_ESCALATION_KEY"]}):
        post(variables["PAGERDUTY_URL"], json={**resolved, **other})
    assert receivers.problems == [
        "pagerduty:security: resolve of '7d1e', never triggered",
        "pagerduty:escalation: resolve of 'ab42', never triggered",
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (event(dedup_key=""), "no dedup_key"),
        (event(client_url="alertmanager"), "client_url 'alertmanager' is not an address"),
        (payload(component="<no value>"), "template error"),
        (payload(custom_details={"firing": "It is down."}), "shows no alert"),
    ],
)
def test_a_mistake_in_an_accepted_pagerduty_event_is_reported(
    receivers: Received,
    variables: dict[str, str],
    post: Callable[..., httpx.Response],
    change: dict[str, Any],
    problem: str,
) -> None:
    sent = {**change, "routing_key": variables["PAGERDUTY_SECURITY_KEY"]}
    assert post(variables["PAGERDUTY_URL"], json=sent).status_code == 202
    assert any(problem in text for text in receivers.problems)


def bearer(variables: dict[str, str]) -> dict[str, str]:
    return {"authorization": f"Bearer {variables['INCIDENT_WEBHOOK_TOKEN']}"}


def test_only_the_incident_webhook_requires_a_token(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    incident, deadman = variables["INCIDENT_WEBHOOK_URL"], variables["DEADMAN_WEBHOOK_URL"]
    assert post(incident, json=MESSAGE, headers=bearer(variables)).status_code == 200
    assert post(deadman, json=MESSAGE).status_code == 200
    assert channels(receivers) == ["webhook:incident", "webhook:deadman"]
    assert receivers.problems == []
    assert post(incident, json=MESSAGE).status_code == 401
    assert post(incident, json=MESSAGE, headers={"authorization": "Bearer guess"}).status_code == 401
    assert post(deadman, json=MESSAGE, headers=bearer(variables)).status_code == 200
    assert receivers.problems == ["webhook:incident: not the bearer token"] * 2 + [
        "webhook:deadman: unexpected authorization header"
    ]


def alert(**values: object) -> dict[str, Any]:
    return changed(MESSAGE, lambda copied: copied["alerts"][0].update(values))


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({**MESSAGE, "version": "3"}, "version is '3'"),
        ({**MESSAGE, "status": "open"}, "status is 'open'"),
        ({**MESSAGE, "groupLabels": None}, "groupLabels is not an object"),
        ({**MESSAGE, "alerts": []}, "alerts is not a list with an alert"),
        ({**MESSAGE, "truncatedAlerts": "0"}, "truncatedAlerts is not a number"),
        (alert(labels={"service": "x"}), "no alertname"),
        (alert(endsAt="2026-11-25T18:45:00Z"), "a firing alert has an end"),
        (alert(startsAt="now"), "startsAt is not a time"),
        (alert(fingerprint=None), "no fingerprint"),
        (alert(status="open"), "an alert's status is 'open'"),
    ],
)
def test_a_webhook_rejects_a_message_that_is_not_valid_version_4(
    receivers: Received,
    variables: dict[str, str],
    post: Callable[..., httpx.Response],
    message: dict[str, Any],
    problem: str,
) -> None:
    assert post(variables["DEADMAN_WEBHOOK_URL"], json=message).status_code == 400
    assert len(receivers.problems) == 1
    assert problem in receivers.problems[0]
    assert receivers.deliveries == []


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({**MESSAGE, "status": "resolved"}, "status 'resolved' is not that of its alerts"),
        ({**MESSAGE, "truncatedAlerts": 3}, "3 alerts are left out"),
        (alert(annotations={"summary": "<no value> is down"}), "template error"),
    ],
)
def test_a_mistake_in_a_well_formed_message_is_reported(
    receivers: Received,
    variables: dict[str, str],
    post: Callable[..., httpx.Response],
    message: dict[str, Any],
    problem: str,
) -> None:
    assert post(variables["DEADMAN_WEBHOOK_URL"], json=message).status_code == 200
    assert len(receivers.problems) == 1
    assert problem in receivers.problems[0]


def test_a_request_to_an_unknown_address_is_reported(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    assert post(variables["DEADMAN_WEBHOOK_URL"] + "x", json=MESSAGE).status_code == 404
    assert len(receivers.problems) == 1
    assert receivers.problems[0].startswith("http: POST /deadman/")


def mail(variables: dict[str, str], to: str = "SECURITY_EMAIL") -> EmailMessage:
    message = EmailMessage()
    message["From"] = variables["SMTP_FROM"]
    message["To"] = variables[to]
    message["Subject"] = "[CRITICAL] the service is down: \u00fcberall"
    message["Date"] = format_datetime(datetime.now(timezone.utc))
    message["Message-ID"] = make_msgid(domain="trust.test")
    message.set_content(f"It is down.\n  Acknowledge: {LINK}\n", cte="quoted-printable")
    message.add_alternative(
        f'<html><body>It is down. <a href="{LINK}">Acknowledge</a></body></html>', "html", cte="quoted-printable"
    )
    return message


@contextmanager
def session(variables: dict[str, str], *, tls: bool = True, login: bool = True) -> Iterator[smtplib.SMTP]:
    host, _, port = variables["SMTP_HOST"].rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=10) as client:
        if tls:
            client.starttls(context=ssl.create_default_context(cafile=variables["SMTP_CA_FILE"]))
        if login:
            client.login(variables["SMTP_USERNAME"], variables["SMTP_PASSWORD"])
        yield client


def send_mail(variables: dict[str, str], message: EmailMessage) -> None:
    with session(variables) as client:
        client.send_message(message)


def test_a_mail_is_delivered_to_every_recipient(receivers: Received, variables: dict[str, str]) -> None:
    message = mail(variables)
    message.replace_header("To", f"{variables['TEAM_LEAD_EMAIL']}, {variables['ESCALATION_EMAIL']}")
    send_mail(variables, message)
    assert channels(receivers) == ["email:team-lead@trust.test", "email:escalation@trust.test"]
    assert receivers.problems == []


@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
def test_both_login_mechanisms_require_the_right_password(
    receivers: Received, variables: dict[str, str], mechanism: str
) -> None:
    with session(variables, login=False) as client:
        client.ehlo()
        client.user, client.password = variables["SMTP_USERNAME"], "guess"
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.auth(mechanism.removeprefix("auth_").upper(), getattr(client, mechanism))
        client.password = variables["SMTP_PASSWORD"]
        code, _ = client.auth(mechanism.removeprefix("auth_").upper(), getattr(client, mechanism))
    assert code == 235
    assert len(receivers.problems) == 1
    assert receivers.problems[0].startswith("email: wrong user or password")


def test_the_login_prompts_are_those_of_real_mail_servers(variables: dict[str, str]) -> None:
    with session(variables, login=False) as client:
        client.ehlo()
        # "Username:" and "Password:", the only prompts that Alertmanager understands.
        assert client.docmd("AUTH", "LOGIN") == (334, b"VXNlcm5hbWU6")
        assert client.docmd("dXNlcg==") == (334, b"UGFzc3dvcmQ6")
        assert client.docmd("Z3Vlc3M=")[0] == 535


def test_mail_is_rejected_without_tls_and_login(receivers: Received, variables: dict[str, str]) -> None:
    with session(variables, tls=False, login=False) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.mail(variables["SMTP_FROM"])[0] == 530
    with session(variables, login=False) as client:
        client.ehlo()
        assert client.mail(variables["SMTP_FROM"])[0] == 530
    assert receivers.deliveries == []


def test_an_unknown_sender_or_recipient_is_rejected(receivers: Received, variables: dict[str, str]) -> None:
    with session(variables) as client:
        assert client.mail("stranger@trust.test")[0] == 553
        assert client.mail(variables["SMTP_FROM"])[0] == 250
        assert client.rcpt("stranger@trust.test")[0] == 550
    assert receivers.problems == [
        "email: MAIL FROM 'stranger@trust.test': sender not allowed",
        "email: RCPT TO 'stranger@trust.test': unknown mailbox",
    ]


def replaced(name: str, value: str) -> Callable[[EmailMessage], object]:
    return lambda message: message.replace_header(name, value)


def without(name: str) -> Callable[[EmailMessage], object]:
    return lambda message: message.__delitem__(name)


def part(number: int, content: str, kind: str) -> Callable[[EmailMessage], object]:
    return lambda message: list(message.iter_parts())[number].set_content(content, kind)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("From"), "header From occurs 0 times"),
        (without("Subject"), "header Subject occurs 0 times"),
        (without("Date"), "header Date occurs 0 times"),
        (without("Message-ID"), "header Message-ID occurs 0 times"),
        (replaced("Subject", " "), "header Subject is empty"),
        (replaced("Subject", "<no value> is down"), "header Subject has the template error '<no value>'"),
        (replaced("Message-ID", "7"), "header Message-ID '7' is not an identifier"),
        (replaced("From", "other@trust.test"), "is not the envelope's 'alerts@trust.test'"),
        (part(0, " \n", "plain"), "text/plain is empty"),
        (part(1, "<html><head><style>p {}</style></head><body> </body></html>", "html"), "text/html is empty"),
        (
            part(1, f'<p>&lt;no value&gt; <a href="{LINK}">Acknowledge</a></p>', "html"),
            "has the template error '&lt;no value&gt;'",
        ),
        (part(0, f"{{{{ .Status }}}} {LINK}", "plain"), "text/plain has the template error '{{'"),
        (part(0, "It is down.", "plain"), "shows no alert"),
        (part(1, "<p>It is down.</p>", "html"), "shows only in plain text: {'alertname': 'TrustServiceDown'"),
        (lambda message: message.get_payload().reverse(), "not plain text followed by HTML"),
        (replaced("Content-Type", 'multipart/mixed; boundary="x"'), "is multipart/mixed, not multipart/alternative"),
    ],
)
def test_a_formatting_mistake_in_a_mail_is_reported(
    receivers: Received, variables: dict[str, str], change: Callable[[EmailMessage], object], problem: str
) -> None:
    message = mail(variables)
    change(message)
    with session(variables) as client:
        client.sendmail(variables["SMTP_FROM"], [variables["SECURITY_EMAIL"]], message.as_bytes(policy=SMTP))
    assert any(text.startswith("email:security@trust.test: ") and problem in text for text in receivers.problems)
    assert channels(receivers) == ["email:security@trust.test"]


@pytest.mark.parametrize(
    ("original", "broken", "problem"),
    [
        (b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: x-other", "encoding 'x-other'"),
        (b'charset="utf-8"', b'charset="x-other"', "cannot be decoded"),
        (b"It is down.", b"It is =E9.", "outside its character set"),
        (b"It is down.", b"It is down." * 100, "a line of more than 998 characters"),
    ],
)
def test_an_encoding_error_in_a_mail_is_reported(
    receivers: Received, variables: dict[str, str], original: bytes, broken: bytes, problem: str
) -> None:
    content = mail(variables).as_bytes(policy=SMTP).replace(original, broken)
    with session(variables) as client:
        client.sendmail(variables["SMTP_FROM"], [variables["SECURITY_EMAIL"]], content)
    assert any(problem in text for text in receivers.problems)


def deliver_to(channel: str, variables: dict[str, str], post: Callable[..., httpx.Response]) -> int:
    """Send a valid notification and return the status code of the response."""
    kind, _, name = channel.partition(":")
    if kind == "slack":
        return post(variables[f"SLACK_WEBHOOK_{name.upper()}"], json=SLACK).status_code
    if kind == "pagerduty":
        key = variables[f"PAGERDUTY_{name.upper()}_KEY"]
        return post(variables["PAGERDUTY_URL"], json=event(routing_key=key)).status_code
    if kind == "webhook":
        return post(variables["INCIDENT_WEBHOOK_URL"], json=MESSAGE, headers=bearer(variables)).status_code
    try:
        send_mail(variables, mail(variables))
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients[name][0]
    return 250


CHANNELS = [
    ("slack:platform", 500, 200),
    ("pagerduty:platform", 500, 202),
    ("webhook:incident", 503, 200),
    ("email:security@trust.test", 451, 250),
]


@pytest.mark.parametrize(("channel", "failing", "working"), CHANNELS)
def test_a_retried_notification_is_delivered_once(
    receivers: Received,
    variables: dict[str, str],
    post: Callable[..., httpx.Response],
    channel: str,
    failing: int,
    working: int,
) -> None:
    receivers.running.fail(channel, failing)
    assert [deliver_to(channel, variables, post) for _ in range(2)] == [failing, failing]
    assert receivers.deliveries == []
    receivers.running.restore(channel)
    assert deliver_to(channel, variables, post) == working
    assert channels(receivers) == [channel]
    assert [(rejection.channel, rejection.status) for rejection in receivers.rejections] == [(channel, failing)] * 2
    assert receivers.problems == []


@pytest.mark.parametrize(("channel", "working"), [(channel, working) for channel, _, working in CHANNELS])
def test_a_hanging_receiver_answers_the_open_request_when_restored(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response], channel: str, working: int
) -> None:
    receivers.running.hang(channel)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(deliver_to(channel, variables, post)))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    assert receivers.deliveries == []
    receivers.running.restore(channel)
    waiting.join(10)
    assert answers == [working]
    assert channels(receivers) == [channel]


def test_a_request_whose_client_timed_out_is_not_delivered(receivers: Received, variables: dict[str, str]) -> None:
    receivers.running.hang("slack:platform")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(variables["SLACK_WEBHOOK_PLATFORM"], json=SLACK, timeout=0.2, trust_env=False)
    assert receivers.running.wait_for(lambda: receivers.rejections, 5)
    receivers.running.restore("slack:platform")
    assert [(rejection.channel, rejection.status) for rejection in receivers.rejections] == [("slack:platform", None)]
    assert receivers.deliveries == []


def test_a_mail_whose_client_timed_out_is_not_delivered(receivers: Received, variables: dict[str, str]) -> None:
    receivers.running.hang("email:security@trust.test")
    with session(variables) as client:
        assert client.sock is not None
        client.sock.settimeout(0.2)
        with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
            client.send_message(mail(variables))
        client.close()
    assert receivers.running.wait_for(lambda: receivers.rejections, 5)
    receivers.running.restore("email:security@trust.test")
    assert [(rejection.channel, rejection.status) for rejection in receivers.rejections] == [
        ("email:security@trust.test", None)
    ]
    assert receivers.deliveries == []


def test_a_rate_limited_sender_gets_retry_after(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    receivers.running.fail("slack:platform", 429, retry_after=30)
    answer = post(variables["SLACK_WEBHOOK_PLATFORM"], json=SLACK)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


def test_a_failing_channel_does_not_affect_the_others(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    receivers.running.hang("slack:platform")
    receivers.running.fail("email:security@trust.test", 451)
    for channel in ("slack:security", "pagerduty:security", "webhook:incident"):
        assert deliver_to(channel, variables, post) < 300
    assert channels(receivers) == ["slack:security", "pagerduty:security", "webhook:incident"]


def test_failing_an_unknown_channel_is_an_error(receivers: Received) -> None:
    with pytest.raises(ValueError, match="there is no channel 'slack:nowhere'"):
        receivers.running.fail("slack:nowhere")


def test_two_sets_of_receivers_are_independent_and_stop_completely(
    post: Callable[..., httpx.Response],
) -> None:
    before = threading.active_count()
    with Receivers() as first, Receivers() as second:
        assert deliver_to("slack:platform", second.environment(), post) == 200
        assert (len(first.deliveries), len(second.deliveries)) == (0, 1)
        second.hang("slack:platform")
        host, _, port = second.environment()["SMTP_HOST"].rpartition(":")
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_a_delivery_has_wall_clock_and_monotonic_times(
    receivers: Received, variables: dict[str, str], post: Callable[..., httpx.Response]
) -> None:
    before = (time.time(), time.monotonic())
    deliver_to("slack:platform", variables, post)
    (delivery,) = receivers.deliveries
    assert before[0] <= delivery.at <= time.time()
    assert before[1] <= delivery.monotonic <= time.monotonic()
