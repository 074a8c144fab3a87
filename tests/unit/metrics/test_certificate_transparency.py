"""SCTs in issued certificates, and certificates that the service did not issue."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificate_transparency import certificate_with_scts
from tests.unit.monitors.waiting import eventually
from trust_otel.monitors import ct_feed
from trust_otel.monitors.ct_feed import CtFeedInstrumentor

SCTS = "trust.ct.scts"
UNKNOWN = "trust.ct.unknown_certificates"
UP = "trust.otel.source.up"


class TestScts:
    @pytest.mark.parametrize(("number", "count"), [(None, 0), (1, 1), (3, 3)])
    def test_scts_of_a_certificate_are_counted(self, recording: Any, number: int | None, count: int) -> None:
        recording.metrics.record_certificate_issued(certificate_with_scts(number), certificate_type="tls_server")
        ((labels, point),) = recording.series(SCTS)
        assert (labels, point.sum, point.count) == ({"trust.certificate.type": "tls_server"}, count, 1)

    def test_certificates_without_scts_have_a_bucket_of_their_own(self, recording: Any) -> None:
        for number in (None, 1, 2, 2):
            recording.metrics.record_certificate_issued(certificate_with_scts(number))
        ((_, point),) = recording.series(SCTS)
        assert (point.explicit_bounds[:3], point.bucket_counts[:3]) == ((0, 1, 2), (1, 1, 2))

    @pytest.mark.parametrize("given", [None, b"certificate", "certificate", object()])
    def test_anything_else_is_dropped(self, recording: Any, given: Any) -> None:
        recording.metrics.record_certificate_issued(given)
        assert recording.series(SCTS) == []
        assert recording.dropped() == {"invalid_value": 1}


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    return tmp_path / "feed.jsonl"


@pytest.fixture
def start(recording: Any, feed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CtFeedInstrumentor]]:
    monkeypatch.setattr(ct_feed, "_CHECK_SECONDS", 0.01)
    monkeypatch.setenv("TRUST_OTEL_CT_FEED", str(feed))
    instrumentor = CtFeedInstrumentor()

    def make() -> CtFeedInstrumentor:
        instrumentor.instrument(metrics=recording.metrics)
        return instrumentor

    yield make
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def write(feed: Path, *entries: object, more: str = "") -> None:
    temporary = feed.with_suffix(".new")
    temporary.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries) + more)
    temporary.replace(feed)


def issued(entry: Any) -> bool:
    return int(entry["serial_number"], 16) in {0xA1, 0xA2}


class TestFeed:
    def test_unknown_certificate_is_counted_once(self, start: Any, recording: Any, feed: Path) -> None:
        write(feed, {"serial_number": "a1"})
        recording.metrics.observe_ct_feed(issued)
        start()
        eventually(lambda: recording.series(UNKNOWN))
        assert recording.value(UNKNOWN) == 0
        write(feed, {"serial_number": "a1"}, {"serial_number": "b1"})
        eventually(lambda: recording.value(UNKNOWN) == 1)
        write(feed, {"serial_number": "a1"}, {"serial_number": "b1"}, {"serial_number": "a2"}, {"serial_number": "b2"})
        eventually(lambda: recording.value(UNKNOWN) == 2)
        assert recording.value(UP, {"trust.otel.source.kind": "ct_feed", "trust.otel.source.name": str(feed)}) == 1
        assert recording.dropped() == {}

    def test_line_that_is_still_being_written_waits(self, start: Any, recording: Any, feed: Path) -> None:
        asked: list[Any] = []

        def ask(entry: Any) -> bool:
            asked.append(entry)
            return False

        recording.metrics.observe_ct_feed(ask)
        write(feed, {"serial_number": "b1"}, more='\n{"serial_number": "b')
        start()
        eventually(lambda: recording.series(UNKNOWN) and recording.value(UNKNOWN) == 1)
        write(feed, {"serial_number": "b1"}, {"serial_number": "b2"})
        eventually(lambda: recording.value(UNKNOWN) == 2)
        assert asked == [{"serial_number": "b1"}, {"serial_number": "b2"}]

    @pytest.mark.parametrize("content", ["[]\n", "1\n", "<html>\n", "[" * 100_000 + "\n"])
    def test_other_content_is_a_problem_of_the_source(
        self, start: Any, recording: Any, feed: Path, content: str
    ) -> None:
        recording.metrics.observe_ct_feed(issued)
        feed.write_text(content)
        start()
        eventually(lambda: recording.series(UP))
        assert recording.value(UP) == 0

    def test_certificates_are_checked_again_after_the_function_failed(
        self, start: Any, recording: Any, feed: Path
    ) -> None:
        results: list[Any] = [KeyError("secret"), None, False]

        def fail(entry: Any) -> Any:
            result = results.pop(0)
            if isinstance(result, Exception):
                raise result
            return result

        recording.metrics.observe_ct_feed(fail)
        write(feed, {"serial_number": "b1"})
        instrumentor = start()
        instrumentor._starting = 0
        eventually(lambda: recording.series(UNKNOWN) and recording.value(UNKNOWN) == 1)
        eventually(lambda: recording.series(UP) and recording.value(UP) == 1)
        assert results == []

    def test_missing_function_is_a_problem_once_the_service_has_started(
        self, start: Any, recording: Any, feed: Path
    ) -> None:
        write(feed, {"serial_number": "b1"})
        start()
        eventually(lambda: recording.series(UP))
        assert (recording.value(UP), recording.series(UNKNOWN)) == (0, [])
        recording.metrics.observe_ct_feed(issued)
        eventually(lambda: recording.value(UP) == 1)
        assert recording.value(UNKNOWN) == 1

    @pytest.mark.parametrize("given", [None, "f"])
    def test_what_cannot_be_called_is_dropped(self, recording: Any, given: Any) -> None:
        recording.metrics.observe_ct_feed(given)
        assert recording.dropped() == {"invalid_value": 1}

    def test_coroutine_function_is_dropped(self, recording: Any) -> None:
        async def ask(entry: Any) -> bool:
            return True

        recording.metrics.observe_ct_feed(ask)
        assert recording.dropped() == {"invalid_value": 1}

    def test_uninstrument_removes_series_and_thread(self, start: Any, recording: Any, feed: Path) -> None:
        write(feed)
        recording.metrics.observe_ct_feed(issued)
        started = start()
        eventually(lambda: recording.series(UP))
        started.uninstrument()
        assert recording.series(UP) == []
        assert [thread for thread in threading.enumerate() if thread.name == "trust-otel-ct-feed"] == []
