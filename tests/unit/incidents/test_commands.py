"""The commands, with a running receiver."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from click.testing import CliRunner, Result

from tests.unit.incidents.alertmanagers import Answers
from tests.unit.incidents.notifications import Clock, alert, payload
from trust_ops.cli import main
from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import Alertmanager
from trust_ops.incidents.api import App
from trust_ops.incidents.payload import parse
from trust_ops.incidents.store import Store
from trust_ops.incidents.times import utc_now
from trust_ops.incidents.tokens import TokenFile
from trust_ops.stack.ports import free_ports

TOKEN = "token-of-the-people-on-call"

Run = Callable[..., Result]


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def clock() -> Clock:
    """The commands use the machine's clock."""
    clock = Clock()
    clock.now = utc_now().replace(microsecond=0)
    return clock


@pytest.fixture
def run(store: Store, answers: Answers, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command of `trust-otel` as an operator."""
    (tmp_path / "token").write_text(TOKEN)
    tokens = TokenFile(tmp_path / "token")
    acknowledgements = Acknowledgements(store, Alertmanager(["http://one"], httpx.MockTransport(answers)), clock)
    (port,) = free_ports(1)
    config = uvicorn.Config(
        App(store, acknowledgements, tokens, tokens, lambda: "up").asgi(),
        port=port,
        log_config=None,
        lifespan="off",
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    monkeypatch.setenv("TRUST_OTEL_INCIDENTS_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("TRUST_OTEL_INCIDENTS_OPERATOR_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("COLUMNS", "120")
    yield lambda *arguments: CliRunner().invoke(main, arguments)
    server.should_exit = True
    thread.join()


@pytest.fixture
def started(store: Store, clock: Clock) -> None:
    """Three incidents: a new critical one, an older warning, and a resolved one."""
    minutes = [clock.forward(minutes=-ago) for ago in (3, 40, 200)]
    clock.now = utc_now().replace(microsecond=0)
    store.deliver(
        parse(
            payload(
                alert(
                    "TrustHostDiskSpaceLow", fingerprint="b", starts_at=minutes[1], severity="warning", service="host"
                ),
                alert("TrustVaultUnavailable", fingerprint="c", starts_at=minutes[2], ends_at=minutes[1]),
                alert(
                    starts_at=minutes[0],
                    annotations={
                        "runbook_url": "https://runbooks.marty.com/TrustServiceDown",
                        "dashboard_url": "https://grafana.marty.com/d/trust-service-operational?viewPanel=1",
                    },
                    client_address="192.0.2.7",
                    service_name="a&b c",
                ),
            )
        )
    )


def ids(output: str) -> list[str]:
    return re.findall(r"^(\d+) ", output, re.MULTILINE)


def test_open_incidents_are_listed_by_severity(run: Run, started: None) -> None:
    result = run("incidents", "list", "--open")
    assert result.exit_code == 0, result.output
    head, first, second = result.output.rstrip().splitlines()
    assert head.split() == ["id", "since", "severity", "alert", "service", "acknowledged", "by"]
    assert first.split() == ["1", "3", "min", "critical", "TrustServiceDown", "issuer", "-"]
    assert second.split() == ["2", "43", "min", "warning", "TrustHostDiskSpaceLow", "host", "-"]


def test_a_narrow_terminal_shows_whole_names(run: Run, started: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    output = run("incidents", "list", "--open").output
    assert "…" not in output
    assert re.search(r"TrustHostDisk +host.*\n +SpaceLow", output), output


def test_without_open_the_newest_come_first(run: Run, started: None) -> None:
    assert ids(run("incidents", "list").output) == ["1", "2", "3"]
    limited = run("incidents", "list", "--limit", "1").output
    assert (ids(limited), "and 2 more" in limited) == (["1"], True)


def test_the_list_as_json(run: Run, started: None) -> None:
    answer = json.loads(run("incidents", "list", "--open", "--json").output)
    assert ([one["alertname"] for one in answer["incidents"]], answer["more"]) == (
        ["TrustServiceDown", "TrustHostDiskSpaceLow"],
        0,
    )


def test_an_empty_list_says_so(run: Run) -> None:
    assert run("incidents", "list").output == "No incidents.\n"


def test_acknowledging(run: Run, started: None, answers: Answers, store: Store, clock: Clock) -> None:
    result = run("incidents", "ack", "1", "--by", "ann", "--comment", "restarting", "--for", "30m")
    assert re.fullmatch(r"Incident 1 acknowledged, silenced until 20\d\d-\S+Z\.\n", result.output), result.output
    assert store.incident(1)[0].acknowledged_by == "ann"
    assert re.search("ann for (29|30) min", run("incidents", "list", "--open").output)


def test_a_failed_acknowledgement_is_an_error(run: Run, started: None, answers: Answers) -> None:
    answers.away = True
    result = run("incidents", "ack", "1", "--by", "ann")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: Alertmanager at http://one cannot be reached: connection refused\n",
    )
    assert run("incidents", "ack", "9", "--by", "ann").stderr == "Error: there is no incident 9\n"


def test_notes_and_the_timeline(run: Run, started: None) -> None:
    assert run("incidents", "note", "1", "the disk is full", "--by", "bob").output == "Note added to incident 1.\n"
    shown = run("incidents", "show", "1").output
    assert "Incident 1: TrustServiceDown" in shown
    assert re.search(r"runbook +https://runbooks.marty.com/TrustServiceDown", shown)
    assert re.search(r"client_address +192.0.2.7", shown)
    panel = "https://grafana.marty.com/d/trust-service-operational?viewPanel=1"
    assert f"{panel}&var-environment=&var-service=a%26b%20c" in re.sub(r" *\n +", "", shown)
    assert re.search(
        r"\d\d:\d\d:\d\d UTC  opened: by incidents\n.*\d\d:\d\d:\d\d UTC  note bob: the disk is full", shown
    )
    timeline = json.loads(run("incidents", "show", "1", "--json").output)["timeline"]
    assert [event["kind"] for event in timeline] == ["opened", "note"]


def test_control_characters_in_labels_are_escaped(run: Run, store: Store, clock: Clock) -> None:
    store.deliver(parse(payload(alert("A\x1b[2J[red]b", starts_at=clock.now, service="s\x07\u202e"))))
    for output in (run("incidents", "list").output, run("incidents", "show", "1").output):
        assert r"A\x1b[2J[red]b" in output
        assert not set(output) & {"\x1b", "\x07", "\u202e"}


def test_a_note_cannot_look_like_another_event(run: Run, store: Store, clock: Clock) -> None:
    store.deliver(parse(payload(alert(starts_at=clock.now))))
    run("incidents", "note", "1", "done\r\n2026-11-25 03:09:00 UTC  resolved", "--by", "eve\x1b[1A")
    shown = run("incidents", "show", "1").output
    assert "\n    2026-11-25 03:09:00 UTC  resolved" in shown
    assert "\n2026-11-25 03:09:00 UTC  resolved" not in shown
    assert not set(shown) & {"\r", "\x1b"}


def test_control_characters_in_errors_are_escaped(run: Run) -> None:
    result = run("incidents", "ack", "1", "--by", "ann", "--for", "2\x1b]8;;http://evil\x07h\u202e")
    assert result.exit_code == 1
    assert not set(result.output) & {"\x1b", "\x07", "\u202e"}


def test_a_token_that_is_not_known_and_a_receiver_that_is_not_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_text("token-of-somebody-else")
    result = run("incidents", "list", "--token-file", str(tmp_path / "other"))
    assert (result.exit_code, result.stderr) == (1, "Error: the bearer token is unknown\n")
    result = run("incidents", "list", "--token-file", str(tmp_path / "none"))
    assert "none cannot be read (FileNotFoundError)" in result.stderr
    (port,) = free_ports(1)
    result = run("incidents", "list", "--url", f"http://me:secret-word@127.0.0.1:{port}")
    assert result.stderr.startswith(f"Error: no response from http://127.0.0.1:{port}: ")
    result = run("incidents", "list", "--url", "nonsense")
    assert (result.exit_code, "no response from (not shown: not a valid URL" in result.stderr) == (1, True)


def test_a_review_of_what_happened(run: Run, started: None) -> None:
    result = run("review", "--period", "week", "--markdown")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("# Review of the week from ")
    assert "| alerts | 3 | 0 |" in result.output
    numbers = json.loads(run("review", "--period", "quarter", "--json").output)
    assert numbers["this"]["alerts"] == 3
    assert numbers["this"]["to_resolve"]["median"] == 12_000.0
    text = run("review", "--period", "month").output
    assert re.search(r"^alerts +3 +0", text, re.MULTILINE)


@pytest.mark.parametrize("form", [(), ("--markdown",), ("--json",)])
@pytest.mark.parametrize("period", ["week", "month", "quarter"])
def test_a_review_without_incidents_is_shown(run: Run, period: str, form: tuple[str, ...]) -> None:
    result = run("review", "--period", period, "--until", "2026-11-01", *form)
    assert (result.exit_code, result.stderr) == (0, "")
    assert ("No alerts reached the receiver" in " ".join(result.output.split())) == (form != ("--json",))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--period", "year"), "'year' is not one of"),
        (("--period", "week", "--until", "soon"), "'soon' is not a date such as 2026-11-30"),
        (("--period", "week", "--until", "2999-01-01"), "2999-01-01 is in the future"),
        (
            ("--period", "week", "--prometheus", "http://127.0.0.1:1"),
            "the rules of --prometheus http://127.0.0.1:1 cannot be read",
        ),
    ],
)
def test_a_failed_review_says_why(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run("review", *arguments)
    assert result.exit_code != 0
    assert said in result.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--database": "mysql://user:secret-word@host/x"}, "--database: unsupported database"),
        ({"--token-file": "missing"}, "token file: missing cannot be read (FileNotFoundError): create one with"),
        ({"--alertmanager": "alertmanager"}, "--alertmanager: use URLs such as"),
        ({"--listen": "9099"}, "'9099' is not an address and port such as 127.0.0.1:9099"),
        ({"--keep": "forever"}, "'forever' is not a duration such as 30m, 2h or 1d"),
    ],
)
def test_serve_refuses_to_start_with_an_invalid_option(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    options = {"--database": f"sqlite:///{tmp_path / 'x.db'}"}
    options |= dict.fromkeys(("--token-file", "--operator-token-file"), str(tmp_path / "token"))
    result = CliRunner().invoke(
        main, ["incidents", "serve", *(part for pair in {**options, **changes}.items() for part in pair)]
    )
    assert result.exit_code != 0
    assert said in result.stderr
    assert "secret-word" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("missing", ["TOKEN_FILE", "OPERATOR_TOKEN_FILE"])
def test_serve_refuses_to_start_without_tokens(tmp_path: Path, missing: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    variables = {
        f"TRUST_OTEL_INCIDENTS_{name}": str(tmp_path / "token")
        for name in ("TOKEN_FILE", "OPERATOR_TOKEN_FILE")
        if name != missing
    }
    result = CliRunner().invoke(main, ["incidents", "serve"], env=variables)
    assert result.exit_code == 2
    assert f"env var: 'TRUST_OTEL_INCIDENTS_{missing}'" in result.stderr


def test_serve_names_the_file_without_a_signing_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "pagerduty").write_text("short-word")
    files = {"TOKEN_FILE": "token", "OPERATOR_TOKEN_FILE": "token", "PAGERDUTY_SECRET_FILE": "pagerduty"}
    variables = {f"TRUST_OTEL_INCIDENTS_{name}": str(tmp_path / file) for name, file in files.items()}
    result = CliRunner().invoke(main, ["incidents", "serve"], env=variables)
    assert result.exit_code == 1
    said = (
        f"--pagerduty-secret-file: {tmp_path / 'pagerduty'} contains a signing secret of fewer than 16 characters: "
        "copy that of the webhook subscription from PagerDuty into it"
    )
    assert said in result.stderr
    assert "short-word" not in result.output
