"""PagerDuty's webhooks: signatures, events and the link that leads to the alerts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.unit.incidents.notifications import NIGHT
from tests.unit.incidents.webhooks import INTEGRATION, LINK, PING, signature, triggered, user, webhook
from trust_ops.incidents.pagerduty import SigningSecrets, page_matchers, parse_event
from trust_ops.incidents.tokens import TokenFileError
from trust_ops.incidents.validation import InvalidError

BODY = b"what do ya want for nothing?"
OLD, NEW = "old-signing-secret", "new-signing-secret"


def secrets(path: Path, *lines: str) -> SigningSecrets:
    path.write_text("\n".join(lines))
    return SigningSecrets(path)


def test_a_signature_of_the_body_with_the_secret_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # RFC 4231, test case 2; its secret is shorter than PagerDuty's.
    monkeypatch.setattr("trust_ops.incidents.tokens._MIN_LENGTH", 4)
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert secrets(tmp_path / "secret", "Jefe").signed(BODY, f"v1={known}")


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        (signature(BODY, NEW), True),
        (signature(BODY, OLD), True),
        (signature(BODY, "secret-of-somebody-else", OLD), True),
        (signature(BODY, OLD, NEW).replace(",", ", "), True),
        (f"v0={'0' * 64},{signature(BODY, NEW)},v2=x", True),
        (signature(BODY, "secret-of-somebody-else"), False),
        (signature(BODY + b" ", NEW), False),
        (signature(BODY, NEW)[3:], False),
        (signature(BODY, NEW)[:-1], False),
        (signature(BODY, NEW).replace("v1=", "v2="), False),
        ("v1=", False),
        ("v1=\u00e9\ud800", False),
        ("", False),
    ],
)
def test_one_valid_signature_is_required_and_enough(tmp_path: Path, header: str, valid: bool) -> None:
    assert secrets(tmp_path / "secret", OLD, NEW).signed(BODY, header) is valid


def test_secrets_rotate_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    signing = secrets(tmp_path / "secret", OLD)
    (tmp_path / "secret").write_text(f"{NEW}\n")
    assert signing.signed(BODY, signature(BODY, NEW))
    assert not signing.signed(BODY, signature(BODY, OLD))
    (tmp_path / "secret").write_text("short")
    with caplog.at_level(logging.ERROR):
        assert signing.signed(BODY, signature(BODY, NEW))
    assert "the previous signing secrets stay valid" in caplog.text
    assert "short" not in caplog.text


def test_a_file_without_a_secret_is_rejected_with_a_fix(tmp_path: Path) -> None:
    fix = "copy that of the webhook subscription from PagerDuty into it"
    with pytest.raises(TokenFileError, match=f"contains no signing secret: {fix}"):
        secrets(tmp_path / "secret")
    with pytest.raises(TokenFileError, match=f"a signing secret of fewer than 16 characters: {fix}"):
        secrets(tmp_path / "secret", "abc")


def test_an_event_is_read() -> None:
    event = parse_event(triggered())
    assert event is not None
    assert (event.event_type, event.occurred_at, event.data.id) == ("incident.triggered", NIGHT, "Q1")
    assert event.person is None
    assert event.matchers == {
        "alertname": "TrustServiceDown",
        "deployment_environment_name": "",
        "service": "issuer",
        "service_namespace": "",
        "severity": "critical",
    }


@pytest.mark.parametrize(
    "body",
    [
        PING,
        webhook("service.updated"),
        webhook("incident.annotated"),
        webhook("incident.priority_updated", agent=user("ann")),
        b'{"event": {"event_type": "something.new", "data": null}}',
    ],
)
def test_other_events_do_not_matter(body: bytes) -> None:
    assert parse_event(body) is None


@pytest.mark.parametrize(
    ("agent", "person"),
    [
        (user("ann"), "ann"),
        (user(""), None),
        (user("x" * 60_000), "x" * 100),
        ({"id": "P1", "type": "user_reference", "summary": None}, None),
        (INTEGRATION, None),
        (None, None),
    ],
)
def test_only_a_user_is_a_person(agent: dict[str, str] | None, person: str | None) -> None:
    event = parse_event(webhook("incident.acknowledged", agent=agent))
    assert event is not None
    assert event.person == person


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 60_000, "the body is not JSON"),
        (b"[]", "the body: must be a JSON object (got a list)"),
        (b"{}", "event: missing"),
        (b'{"event": null}', "event: must be a JSON object (got null)"),
        (b'{"event": {}}', "event.event_type: missing"),
        (triggered().replace(b'"Q1"', b"7"), "event.data.id: Input should be a valid string (got 7)"),
        (triggered(page="x" * 65), "event.data.id: String should have at most 64 characters"),
        (triggered().replace(b"2026-11-25T03:00:00Z", b"yesterday"), "event.occurred_at: 'yesterday' is not a time"),
        (b'{"messages": [{"event": "incident.acknowledge"}]}', "event: missing"),
    ],
)
def test_a_malformed_webhook_is_rejected_with_its_field(body: bytes, said: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_event(body)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a b+c&d=e,f{g}", "\u00e9\u202e\U0001f600", "line\nfeed", "\x07\x1b"])
def test_any_label_value_survives_the_link(value: str) -> None:
    # The Go format %q.
    quoted = json.dumps(value, ensure_ascii=False).replace("\\u0007", "\\a").replace("\\u001b", "\\x1b")
    link = LINK.replace("%22issuer%22", quote(quoted, safe=""))
    assert page_matchers(link)["service"] == value


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://alertmanager.trust.test/#/alerts?receiver=platform-critical",
        "https://alertmanager.trust.test/#/silences/new?filter=%7Balertname%3D%22a%22%7D",
        "https://app.example.test/monitors?filter=%7Balertname%3D%22a%22%7D",
        "https://[::1/#/alerts?filter=%7Balertname%3D%22a%22%7D",
        "https://alertmanager.trust.test/#/alerts?filter=%7B%7D",
        LINK.removesuffix("%7D"),
        # With the rest only, there would be more alerts.
        LINK.replace("service%3D%22issuer%22", "service%3D~%22issuer%22"),
        LINK.replace("service%3D%22issuer%22", "service!%3D%22issuer%22"),
        LINK.replace("%2Cservice%3D", "service%3D"),
        LINK.replace("issuer", "%5Cx1"),
        LINK.replace("issuer", "%5CU00110000"),
        LINK.replace("issuer", "%00"),
        LINK.replace("issuer", "a%22b"),
    ],
)
def test_other_links_lead_to_no_alerts(url: str) -> None:
    assert page_matchers(url) == {}


def test_a_value_is_stored_as_in_the_labels() -> None:
    # As `Text` replaces them in a notification.
    link = LINK.replace("issuer", "%5Cx00%5Cud800")
    assert page_matchers(link)["service"] == "\N{REPLACEMENT CHARACTER}?"
