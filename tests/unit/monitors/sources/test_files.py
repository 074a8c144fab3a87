"""SecurityInstrumentor: lookups of countries and feeds, and reloads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from trust_otel import instrumentation
from trust_otel.metrics.request import Request
from trust_otel.monitors import sources
from trust_otel.monitors.sources import SecurityInstrumentor
from trust_otel.security.reputation import feed

LISTED = "203.0.113.7"

Start = Callable[..., None]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "countries.mmdb"
    _write_database(path, "DE")
    return path


@pytest.fixture
def blocklist(tmp_path: Path) -> Path:
    path = tmp_path / "blocklist.txt"
    path.write_text("203.0.113.0/24\n")
    return path


@pytest.fixture
def start(recording: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Sets settings and starts the instrumentor."""
    monkeypatch.setattr(sources, "_CHECK_SECONDS", 0.01)
    instrumentor = SecurityInstrumentor()

    def start(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"TRUST_OTEL_{name}", value)
        instrumentor.instrument(metrics=recording.metrics)

    yield start
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    assert [thread.name for thread in threading.enumerate() if thread.name == "trust-otel addresses"] == []


def _write_database(path: Path, country: str) -> None:
    writer = MMDBWriter(database_type="Test-Country")
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": country}})
    writer.to_db_file(str(path.with_suffix(".new")))
    path.with_suffix(".new").replace(path)


class _FromListed(Request):
    def find_client_address(self) -> str | None:
        return LISTED


def _country(recording: Any) -> object:
    """The country label of a login attempt from the listed address."""
    before = {labels.get("geo.country.iso_code"): _attempts(recording, labels) for labels in _attempt_labels(recording)}
    recording.metrics.record_auth_attempt(method="password", success=True, client_address=LISTED)
    (country,) = (
        labels.get("geo.country.iso_code")
        for labels in _attempt_labels(recording)
        if _attempts(recording, labels) > before.get(labels.get("geo.country.iso_code"), 0)
    )
    return country


def _attempt_labels(recording: Any) -> list[dict[str, Any]]:
    return [labels for labels in recording.labels("trust.auth.attempts") if labels["trust.outcome"] == "success"]


def _attempts(recording: Any, labels: dict[str, Any]) -> float:
    return sum(point.value for other, point in recording.series("trust.auth.attempts", labels) if dict(other) == labels)


def _matches(recording: Any) -> float:
    """Number of matches of one request."""
    before = recording.value("trust.security.threat_matches")
    recording.recorder.security.request_began(_FromListed())
    return float(recording.value("trust.security.threat_matches") - before)


def _up(recording: Any) -> dict[str, float]:
    return {labels["trust.otel.source.name"]: point.value for labels, point in recording.series("trust.otel.source.up")}


def _eventually(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + 10
    while not holds():
        assert monotonic() < deadline
        sleep(0.005)


def test_lookups_of_countries_and_feeds(recording: Any, start: Start, database: Path, blocklist: Path) -> None:
    start(GEOIP_DATABASE=str(database), REPUTATION_FEEDS=f"block={blocklist}")
    _eventually(lambda: _up(recording) == {str(database): 1, "block": 1})
    assert _country(recording) == "DE"
    assert _matches(recording) == 1
    assert recording.labels("trust.security.threat_matches") == [
        {"trust.threat.feed": "block", "geo.country.iso_code": "DE"}
    ]
    for labels, point in recording.series("trust.otel.source.last_read"):
        assert labels["trust.otel.source.kind"] in ("geoip", "reputation")
        assert abs(point.value - time()) < 60
    assert recording.dropped() == {}


def test_replaced_files_are_read_again(recording: Any, start: Start, database: Path, blocklist: Path) -> None:
    start(GEOIP_DATABASE=str(database), REPUTATION_FEEDS=f"block={blocklist}")
    _eventually(lambda: _country(recording) == "DE" and _matches(recording) == 1)
    _write_database(database, "FR")
    new = blocklist.with_suffix(".new")
    new.write_text("198.51.100.0/24\n")
    new.replace(blocklist)
    _eventually(lambda: _country(recording) == "FR" and _matches(recording) == 0)


def test_invalid_files_keep_the_last_content_and_are_logged_once(
    recording: Any, start: Start, database: Path, blocklist: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    start(GEOIP_DATABASE=str(database), REPUTATION_FEEDS=f"block={blocklist}")
    _eventually(lambda: _up(recording) == {str(database): 1, "block": 1})
    good = database.read_bytes()
    for path in (database, blocklist):
        path.write_text("<html>")
    _eventually(lambda: recording.dropped().get("unreadable_source", 0) > 6)
    assert _up(recording) == {str(database): 0, "block": 0}
    assert (_country(recording), _matches(recording)) == ("DE", 1)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert f"geoip {database}: the file is not a complete database" in warnings[0]
    assert "reputation block: the file is HTML" in warnings[1]
    database.write_bytes(good)
    blocklist.write_text("203.0.113.7\n")
    _eventually(lambda: _up(recording) == {str(database): 1, "block": 1})
    assert "block can be read again" in caplog.text


def test_start_does_not_wait_for_the_first_read(
    recording: Any, start: Start, blocklist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, proceed = threading.Event(), threading.Event()

    def block(_seconds: float) -> None:
        started.set()
        proceed.wait()

    monkeypatch.setattr(feed, "sleep", block)
    blocklist.write_text("203.0.113.7\n" * 10_000)
    start(REPUTATION_FEEDS=f"block={blocklist}")
    started.wait()
    assert _matches(recording) == 0
    proceed.set()
    _eventually(lambda: _matches(recording) == 1)


def test_uninstrument_and_instrument_again(recording: Any, start: Start, database: Path, blocklist: Path) -> None:
    start(GEOIP_DATABASE=str(database), REPUTATION_FEEDS=f"block={blocklist}")
    _eventually(lambda: _up(recording) == {str(database): 1, "block": 1})
    SecurityInstrumentor().uninstrument()
    assert (_country(recording), _matches(recording)) == (None, 0)
    assert _up(recording) == {}
    SecurityInstrumentor().instrument(metrics=recording.metrics)
    _eventually(lambda: _up(recording) == {str(database): 1, "block": 1})
    assert (_country(recording), _matches(recording)) == ("DE", 1)


def test_uninstrument_removes_the_lookups(
    recording: Any, start: Start, database: Path, blocklist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr(recording.recorder.security, "use_countries", given.append)
    monkeypatch.setattr(recording.recorder.security, "use_feeds", given.append)
    start(GEOIP_DATABASE=str(database), REPUTATION_FEEDS=f"block={blocklist}")
    SecurityInstrumentor().uninstrument()
    assert [callable(look_up) for look_up in given] == [True, True, False, False]
    assert given[2:] == [None, None]


def test_uninstrument_stops_a_running_read(
    recording: Any, start: Start, blocklist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Event()

    def block(_seconds: float) -> None:
        started.set()
        sleep(0.01)

    monkeypatch.setattr(feed, "sleep", block)
    blocklist.write_text("203.0.113.7\n" * 200_000)
    start(REPUTATION_FEEDS=f"block={blocklist}")
    started.wait()
    begin = monotonic()
    SecurityInstrumentor().uninstrument()
    assert monotonic() - begin < 3
    assert _up(recording) == {}


@pytest.mark.parametrize(
    ("setting", "names"),
    [("GEOIP_DATABASE", ("countries.mmdb",)), ("REPUTATION_FEEDS", ("block",))],
)
def test_one_setting_does_not_replace_the_other_lookup(
    recording: Any, start: Start, database: Path, blocklist: Path, setting: str, names: tuple[str, ...]
) -> None:
    recording.recorder.security.use_countries(lambda address: "AT")
    recording.recorder.security.use_feeds(lambda address: ("own",))
    start(**{setting: str(database) if setting == "GEOIP_DATABASE" else f"block={blocklist}"})
    _eventually(lambda: list(_up(recording).values()) == [1])
    SecurityInstrumentor().uninstrument()
    assert _country(recording) == (None if setting == "GEOIP_DATABASE" else "AT")
    assert _matches(recording) == (0 if setting == "REPUTATION_FEEDS" else 1)


@pytest.mark.parametrize("variables", [{}, {"TRUST_OTEL_REPUTATION_FEEDS": ""}])
def test_nothing_is_loaded_without_a_setting(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trust_otel.distro.chosen", lambda: True)
    monkeypatch.delenv("TRUST_OTEL_GEOIP_DATABASE", raising=False)
    monkeypatch.delenv("TRUST_OTEL_REPUTATION_FEEDS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not isinstance(instrumentation.load_security(), SecurityInstrumentor)
    monkeypatch.setenv("TRUST_OTEL_REPUTATION_FEEDS", "block=/nowhere")
    assert isinstance(instrumentation.load_security(), SecurityInstrumentor)
