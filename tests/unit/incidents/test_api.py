"""The HTTP API: authorization, status codes and errors."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.incidents import webhooks
from tests.unit.incidents.alertmanagers import Answers
from tests.unit.incidents.notifications import NIGHT, Clock, alert, payload
from trust_ops.incidents import api
from trust_ops.incidents import health as health_module
from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import Alertmanager
from trust_ops.incidents.api import App, PagerDuty
from trust_ops.incidents.database import Database, DatabaseUnavailableError
from trust_ops.incidents.health import Health
from trust_ops.incidents.pagerduty import SigningSecrets
from trust_ops.incidents.pagerduty_events import PagerDutyEvents
from trust_ops.incidents.payload import parse
from trust_ops.incidents.store import Store
from trust_ops.incidents.tokens import TokenFile

DELIVER = "token-of-the-alertmanager"
OPERATE = "token-of-the-people-on-call"
DELIVERER = {"Authorization": f"Bearer {DELIVER}"}
OPERATOR = {"Authorization": f"Bearer {OPERATE}"}


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def client(store: Store, answers: Answers, clock: Clock, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "deliver").write_text(DELIVER)
    (tmp_path / "operate").write_text(OPERATE)
    acknowledgements = Acknowledgements(store, Alertmanager(["http://one"], httpx.MockTransport(answers)), clock)
    (tmp_path / "pagerduty").write_text(webhooks.SECRET)
    pagerduty = PagerDuty(SigningSecrets(tmp_path / "pagerduty"), PagerDutyEvents(store, acknowledgements, clock))
    deliver, operate = TokenFile(tmp_path / "deliver"), TokenFile(tmp_path / "operate")
    app = App(store, acknowledgements, deliver, operate, lambda: "up", pagerduty).asgi()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver") as made:
        yield made


async def test_a_notification_returns_its_outcome(client: httpx.AsyncClient, store: Store) -> None:
    answer = await client.post("/webhook", content=payload(alert()), headers=DELIVERER)
    assert (answer.status_code, answer.json()) == (200, {"opened": 1})
    assert store.incident(1)[0].alertname == "TrustServiceDown"


async def test_a_notification_with_one_malformed_alert_is_rejected_as_a_whole(
    client: httpx.AsyncClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.post(
        "/webhook", content=payload(alert(), {**alert(fingerprint="b2"), "startsAt": 7}), headers=DELIVERER
    )
    said = "alerts[1].startsAt: Input should be a valid datetime (got 7)"
    assert (answer.status_code, answer.json()) == (400, {"error": said})
    assert store.incidents(only_open=False, limit=1) == ([], 0)
    assert f"notification rejected: {said}" in caplog.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/webhook"),
        ("GET", "/incidents"),
        ("GET", "/incidents/1"),
        ("POST", "/incidents/1/acknowledge"),
        ("POST", "/incidents/1/notes"),
        ("GET", "/records"),
    ],
)
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong-token-of-the-alertmanager", 401),
        (f"Basic {DELIVER}", 401),
        (DELIVER, 401),
        ("the other one", 403),
    ],
)
async def test_every_endpoint_needs_its_token(
    client: httpx.AsyncClient, store: Store, method: str, path: str, authorization: str | None, status: int
) -> None:
    store.deliver(parse(payload(alert())))
    before = store.incident(1)
    if authorization == "the other one":
        authorization = f"Bearer {OPERATE if path == '/webhook' else DELIVER}"
    headers = {} if authorization is None else {"Authorization": authorization}
    content = payload(alert(fingerprint="b2")) if path == "/webhook" else b'{"by": "eve", "text": "x"}'
    answer = await client.request(method, path, content=content, headers=headers)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert store.incident(1) == before
    assert store.incidents(only_open=False, limit=10)[1] == 0


async def test_a_token_in_both_files_may_do_both(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "operate").write_text(f"{OPERATE}\n{DELIVER}")
    assert (await client.get("/incidents", headers=DELIVERER)).status_code == 200
    assert (await client.post("/webhook", content=payload(alert()), headers=DELIVERER)).status_code == 200


async def test_the_scheme_may_be_written_in_any_case(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"bearer  {OPERATE}"}
    assert (await client.get("/incidents", headers=headers)).status_code == 200


async def test_tokens_are_not_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for token in (DELIVER, OPERATE, "wrong-token-of-the-alertmanager"):
            headers = {"Authorization": f"Bearer {token}"}
            await client.post("/webhook", content=b"{", headers=headers)
            await client.get("/incidents", headers=headers)
    assert caplog.records
    assert not any(token in caplog.text for token in (DELIVER, OPERATE, "wrong-token"))


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "streamed"])
async def test_a_too_large_body_is_rejected(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, declared: bool
) -> None:
    monkeypatch.setattr(api, "MAX_DELIVERY_BYTES", 10_000)
    sent = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1000
            yield b" " * 1000

    content: Any = b" " * 10_001 if declared else stream()
    answer = await client.post("/webhook", content=content, headers=DELIVERER)
    assert (answer.status_code, answer.json()) == (413, {"error": "the body is larger than 10000 bytes"})
    assert (await client.post("/webhook", content=b" " * 10_000, headers=DELIVERER)).status_code == 400


async def test_a_body_declared_too_large_is_not_read(client: httpx.AsyncClient) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("somebody reads the body")

    length = str(api.MAX_DELIVERY_BYTES + 1).encode()
    assert await called(client, receive, (b"content-length", length)) == 413


async def test_an_incomplete_body_is_retried(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_BODY_SECONDS", 0.05)

    async def stream() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.2)
        yield b"}"

    body = stream()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(body), "more_body": True}

    assert await called(client, receive) == 503


async def called(
    client: httpx.AsyncClient,
    receive: Callable[[], Awaitable[dict[str, Any]]],
    *headers: tuple[bytes, bytes],
    path: str = "/webhook",
) -> int:
    """The status of the response when the application is called like a server does; httpx would read the body first."""
    transport: Any = client._transport
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {DELIVER}".encode()), *headers],
    }
    await transport.app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


async def test_alertmanager_retries_while_the_database_is_unavailable(
    client: httpx.AsyncClient,
    database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health_module, "_FRESH_SECONDS", 0.0)
    file = tmp_path / "incidents.db"
    file.mkdir()
    answer = await client.post("/webhook", content=payload(alert()), headers=DELIVERER)
    assert (answer.status_code, answer.json()) == (
        503,
        {"error": "the database is unavailable, try again", "database": "down"},
    )
    health = await client.get("/healthz")
    assert (health.status_code, health.json()["database"]) == (503, "down")
    assert "/webhook failed, the database is unavailable: IsADirectoryError" in caplog.text
    file.rmdir()
    assert (await client.post("/webhook", content=payload(alert()), headers=DELIVERER)).status_code == 200
    health = await client.get("/healthz")
    assert (health.status_code, health.json()) == (200, {"database": "up", "alertmanager": "up"})


async def test_a_hanging_database_does_not_delay_the_response(
    client: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(api, "_WORK_SECONDS", 0.1)
    monkeypatch.setattr(store, "incident", lambda number: release.wait(10))
    answer = await client.get("/incidents/1", headers=OPERATOR)
    release.set()
    assert (answer.status_code, answer.json()) == (503, {"error": "no result within 0.1 s, try again"})


async def test_a_hanging_write_is_unhealthy_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(health_module, "_FRESH_SECONDS", 0.0)
    release, writes = threading.Event(), []

    def write() -> None:
        writes.append(release.wait(10))

    health = Health(write)
    for _ in range(3):
        assert await health.problem() == "the database did not respond within 0.1 s"
    release.set()
    monkeypatch.setattr(health_module, "_WAIT_SECONDS", 10)
    assert await health.problem() is None
    assert writes == [True]


async def test_a_reason_names_no_host_and_no_user() -> None:
    def write() -> None:
        raise DatabaseUnavailableError(
            'OperationalError: connection to "10.0.0.7" failed for user "ann"', "OperationalError"
        )

    assert await Health(write).problem() == "the database is not writable: OperationalError"


async def test_truncated_alerts_are_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    await client.post("/webhook", content=payload(alert(), truncatedAlerts=7), headers=DELIVERER)
    assert "Alertmanager truncated 7 alerts" in caplog.text


async def test_incidents_are_listed_and_shown(client: httpx.AsyncClient, store: Store, clock: Clock) -> None:
    store.deliver(parse(payload(alert(), alert(fingerprint="b2", severity="warning"))))
    clock.forward(minutes=1)
    store.deliver(parse(payload(alert(ends_at=clock.now))))
    listed = (await client.get("/incidents", headers=OPERATOR)).json()
    assert ([one["id"] for one in listed["incidents"]], listed["more"]) == ([2, 1], 0)
    listed = (await client.get("/incidents?open=true&limit=1", headers=OPERATOR)).json()
    assert [one["fingerprint"] for one in listed["incidents"]] == ["b2"]
    shown = (await client.get("/incidents/1", headers=OPERATOR)).json()
    assert shown["starts_at"] == "2026-11-25T03:00:00Z"
    assert [(event["at"], event["kind"]) for event in shown["timeline"]] == [
        ("2026-11-25T03:00:00Z", "opened"),
        ("2026-11-25T03:01:00Z", "resolved"),
    ]


async def test_an_incident_is_acknowledged(client: httpx.AsyncClient, store: Store, answers: Answers) -> None:
    store.deliver(parse(payload(alert())))
    body = {"by": " ann ", "comment": "mine", "for": "30m"}
    answer = await client.post("/incidents/1/acknowledge", json=body, headers=OPERATOR)
    assert (answer.status_code, answer.json()) == (200, {"silenced_until": "2026-11-25T03:30:00Z"})
    assert store.incident(1)[0].acknowledged_by == "ann"
    assert answers.posted[0]["endsAt"] == "2026-11-25T03:30:00Z"


async def test_a_refused_acknowledgement_says_why(client: httpx.AsyncClient, store: Store, answers: Answers) -> None:
    store.deliver(parse(payload(alert())))
    answers.away = True
    answer = await client.post("/incidents/1/acknowledge", json={"by": "ann"}, headers=OPERATOR)
    assert answer.status_code == 502
    assert answer.json() == {"error": "Alertmanager at http://one cannot be reached: connection refused"}
    answers.away = False
    answer = await client.post("/incidents/2/acknowledge", json={"by": "ann"}, headers=OPERATOR)
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no incident 2"})
    store.deliver(parse(payload(alert(ends_at=NIGHT))))
    answer = await client.post("/incidents/1/acknowledge", json={"by": "ann"}, headers=OPERATOR)
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "the body: must be a JSON object (got a list)"),
        (b"[" * 60_000, "the body is not JSON"),
        (b"{}", "by: missing"),
        (b'{"by": "  "}', "by: String should have at least 1 character"),
        (b'{"by": 7}', "by: Input should be a valid string (got 7)"),
        (b'{"by": "' + b"a" * 101 + b'"}', "by: String should have at most 100 characters"),
        (b'{"by": "ann", "comment": null}', "comment: Input should be a valid string (got null)"),
        (b'{"by": "ann", "for": "2 hours"}', "for: '2 hours' is not a duration"),
        (b'{"by": "ann", "for": 7200}', "for: Input should be a valid timedelta (got 7200)"),
        (b'{"by": "ann", "for": "30s"}', "for: 30s is not between 1m and 7d"),
        (b'{"by": "ann", "for": "8d"}', "for: 8d is not between 1m and 7d"),
    ],
)
async def test_a_malformed_acknowledgement_silences_nothing(
    client: httpx.AsyncClient, store: Store, answers: Answers, body: bytes, said: str
) -> None:
    store.deliver(parse(payload(alert())))
    answer = await client.post("/incidents/1/acknowledge", content=body, headers=OPERATOR)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)
    assert answers.asked == []


async def test_notes_are_kept(client: httpx.AsyncClient, store: Store) -> None:
    store.deliver(parse(payload(alert())))
    answer = await client.post("/incidents/1/notes", json={"by": "ann", "text": "disk\0full"}, headers=OPERATOR)
    assert answer.status_code == 201
    assert store.incident(1)[1][-1].text == "disk\N{REPLACEMENT CHARACTER}full"
    answer = await client.post("/incidents/9/notes", json={"by": "ann", "text": "x"}, headers=OPERATOR)
    assert answer.status_code == 404
    answer = await client.post("/incidents/1/notes", json={"by": "ann", "text": "x" * 10_001}, headers=OPERATOR)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/incidents/one", 400),
        (f"/incidents/{5000 * '9'}", 400),
        ("/incidents/99999999999999999999", 404),
        ("/incidents?limit=0", 400),
        ("/incidents?limit=1001", 400),
        ("/incidents?limit=ten", 400),
        ("/incidents?limit=%C2%B2", 400),
        ("/records", 400),
        ("/incidents?open=maybe", 400),
        ("/records?from=2026-01-01T00:00:00Z&until=never", 400),
        ("/records?from=1767225600&until=2026-01-01T00:00:00Z", 400),
        ("/webhook", 405),
    ],
)
async def test_unknown_paths_and_methods_are_json_errors(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(path, headers=OPERATOR)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"])
async def test_the_api_has_no_pages_about_itself(client: httpx.AsyncClient, path: str) -> None:
    """They would be readable without a token."""
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/incidents?limit=1001", 'limit: Input should be less than or equal to 1000 (got "1001")'),
        ("/records?until=2026-01-01T00:00:00Z", "from: missing"),
    ],
)
async def test_errors_name_the_parameter_to_those_with_a_token(client: httpx.AsyncClient, path: str, said: str) -> None:
    assert (await client.get(path, headers=OPERATOR)).json() == {"error": said}
    assert (await client.get(path)).json() == {"error": "a bearer token is required"}


async def test_records_are_the_incidents_open_in_the_period(
    client: httpx.AsyncClient, store: Store, clock: Clock
) -> None:
    store.deliver(parse(payload(alert(annotations={"runbook_url": "https://runbooks/a"}))))
    store.note(1, "ann", "disk full")
    store.deliver(parse(payload(alert(ends_at=clock.forward(hours=1)))))

    async def fingerprints(start: str, end: str) -> list[str]:
        answer = await client.get("/records", params={"from": start, "until": end}, headers=OPERATOR)
        return [record["fingerprint"] for record in answer.json()["records"]]

    assert await fingerprints("2026-11-25T04:00:00Z", "2026-11-26T00:00:00Z") == ["a1"]
    assert await fingerprints("2026-11-25T04:00:01Z", "2026-11-26T00:00:00Z") == []
    assert await fingerprints("2026-11-24T00:00:00Z", "2026-11-25T03:00:00Z") == []
    (record,) = store.records(NIGHT, clock.now)
    assert (record.runbook_url, [note.text for note in record.notes]) == ("https://runbooks/a", ["disk full"])


async def test_responses_are_ascii_and_lossless(client: httpx.AsyncClient) -> None:
    name = "S\u00fcd\u202e\x1b[2J\u2028"
    await client.post("/webhook", content=payload(alert(service=name)), headers=DELIVERER)
    answer = await client.get("/incidents/1", headers=OPERATOR)
    assert answer.content.isascii()
    assert answer.json()["service"] == name


async def test_a_silence_shows_all_that_is_in_it(client: httpx.AsyncClient, store: Store, answers: Answers) -> None:
    store.deliver(parse(payload(alert())))
    body = {"by": "a\u202enn", "comment": "mine\x1b[2J"}
    assert (await client.post("/incidents/1/acknowledge", json=body, headers=OPERATOR)).status_code == 200
    assert (answers.posted[0]["createdBy"], answers.posted[0]["comment"]) == (
        r"a\u202enn",
        r"incident 1: mine\x1b[2J",
    )
    # The incident keeps the original text.
    assert store.incident(1)[0].acknowledged_by == "a\u202enn"


def signed(body: bytes) -> dict[str, str]:
    return {"X-PagerDuty-Signature": webhooks.signature(body)}


async def test_an_acknowledgement_in_pagerduty_acknowledges_the_incident(
    client: httpx.AsyncClient, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store.deliver(parse(payload(alert())))
    opened = webhooks.triggered()
    event = webhooks.webhook("incident.acknowledged", clock.forward(minutes=1), agent=webhooks.user("ann"))
    with caplog.at_level(logging.INFO, "trust_ops"):
        for body in (opened, event):
            answer = await client.post("/pagerduty", content=body, headers=signed(body))
    assert (answer.status_code, answer.json()) == (202, {"outcome": "acknowledged 1 incidents"})
    assert store.incident(1)[0].acknowledged_by == "ann"
    assert "PagerDuty's incident.acknowledged of Q1: acknowledged 1 incidents" in caplog.text


async def test_pagerduty_delivers_again_while_alertmanager_or_the_alert_is_missing(
    client: httpx.AsyncClient, store: Store, clock: Clock, answers: Answers
) -> None:
    opened = webhooks.triggered()
    event = webhooks.webhook("incident.acknowledged", clock.forward(minutes=1), agent=webhooks.user("ann"))
    await client.post("/pagerduty", content=opened, headers=signed(opened))
    assert (await client.post("/pagerduty", content=event, headers=signed(event))).status_code == 503
    store.deliver(parse(payload(alert())))
    answers.away = True
    assert (await client.post("/pagerduty", content=event, headers=signed(event))).status_code == 502
    answers.away = False
    assert (await client.post("/pagerduty", content=event, headers=signed(event))).status_code == 202


@pytest.mark.parametrize("header", [None, "", "v1=", "v1=0", webhooks.signature(b"other"), f"Bearer {OPERATE}"])
async def test_a_webhook_without_a_valid_signature_has_no_effect(
    client: httpx.AsyncClient, store: Store, header: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {**OPERATOR, **({} if header is None else {"X-PagerDuty-Signature": header})}
    answer = await client.post("/pagerduty", content=webhooks.triggered(), headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "X-PagerDuty-Signature is missing or wrong"})
    assert store.last_page_event("Q1") is None
    assert webhooks.SECRET not in caplog.text


async def test_signatures_in_several_headers_are_compared(client: httpx.AsyncClient) -> None:
    headers = [
        ("X-PagerDuty-Signature", f"v1={'0' * 64}"),
        ("X-PagerDuty-Signature", webhooks.signature(webhooks.PING)),
    ]
    assert (await client.post("/pagerduty", content=webhooks.PING, headers=headers)).status_code == 202


async def test_the_body_of_a_webhook_without_a_signature_is_not_read(client: httpx.AsyncClient) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("somebody reads the body")

    assert await called(client, receive, path="/pagerduty") == 401


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (webhooks.PING, 202, "ignored"),
        (b"{", 400, "the body is not JSON"),
        (webhooks.triggered(NIGHT - timedelta(days=2)), 400, "event.occurred_at: 2026-"),
        (webhooks.webhook("incident.acknowledged", page="QX"), 202, "not a page of Alertmanager"),
        (b" " * 65_537, 413, "the body is larger than 65536 bytes"),
    ],
    ids=["ping", "not JSON", "old", "of another integration", "too large"],
)
async def test_other_signed_webhooks_are_answered(
    client: httpx.AsyncClient, body: bytes, status: int, said: str
) -> None:
    answer = await client.post("/pagerduty", content=body, headers=signed(body))
    assert answer.status_code == status
    assert next(iter(answer.json().values())).startswith(said)


async def test_webhooks_of_pagerduty_are_rejected_unless_they_are_configured(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(OPERATE)
    tokens = TokenFile(tmp_path / "token")
    app = App(store, Acknowledgements(store, None, clock), tokens, tokens, lambda: "not configured").asgi()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver") as client:
        answer = await client.post("/pagerduty", content=webhooks.PING, headers=signed(webhooks.PING))
    said = "PagerDuty's webhooks are not configured: set --pagerduty-secret-file"
    assert (answer.status_code, answer.json()) == (404, {"error": said})
