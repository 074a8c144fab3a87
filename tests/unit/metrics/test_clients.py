"""Clients that TRUST_OTEL_CLIENT_NAMES lists: which of them has errors or misses its SLA."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from trust_otel.metrics.sla import read_slas

REQUESTS = "trust.client.requests"
DOCUMENTS = "trust.document.processing.duration"
SLA = "trust.sla.events"
CLIENT = "trust.client.name"

Record = Callable[..., Any]

SLAS = """
[sla.documents]
metric = "trust.document.processing.duration"
failed = { "trust.outcome" = ["failure", "error"] }
objective = 0.99

[sla.answers]
metric = "http.server.request.duration"
failed = { "http.response.status_code" = "5*" }
objective = 0.99
"""


@pytest.fixture
def listed(record: Record) -> Any:
    return record(client_names=frozenset({"acme", "globex"}))


def _all(recording: Any) -> set[tuple[str, ...]]:
    """Client and outcome of every series that can have a client."""
    return {
        (name, labels.get(CLIENT, "-"), labels["trust.outcome"])
        for name in (REQUESTS, DOCUMENTS, SLA)
        for labels, point in recording.series(name)
        if getattr(point, "value", 1)
    }


def _request(recording: Any, work: Callable[[], object], status: int = 200) -> None:
    class Answer:
        status_code = status

    @recording.metrics.http_request_metrics(route="/documents", method="POST")
    def handler() -> Answer:
        work()
        return Answer()

    handler()


def _process(recording: Any, **client: Any) -> None:
    with recording.metrics.document_processing("passport", **client):
        pass
    recording.metrics.record_sla_event("delivery", met=True, **client)


class TestWithoutListedClients:
    def test_no_series_has_a_client(self, recording: Any) -> None:
        def work() -> None:
            recording.metrics.set_client("acme")
            _process(recording)
            _process(recording, client="acme")

        _request(recording, work, 500)
        assert _all(recording) == {(DOCUMENTS, "-", "success"), (SLA, "-", "success")}
        assert REQUESTS not in recording.names()
        assert recording.dropped() == {}

    def test_sla_of_a_file_counts_under_its_name_only(self, recording: Any, tmp_path: Any) -> None:
        (tmp_path / "sla.toml").write_text(SLAS)
        recording.recorder.business.set_slas(read_slas(tmp_path / "sla.toml"))
        _request(recording, lambda: recording.metrics.set_client("acme"))
        assert all(CLIENT not in labels for labels in recording.labels(SLA))


class TestListedClient:
    @pytest.mark.parametrize(
        ("status", "outcome"), [(200, "success"), (302, "success"), (404, "failure"), (429, "failure"), (503, "error")]
    )
    def test_request_is_counted_by_its_outcome(self, listed: Any, status: int, outcome: str) -> None:
        _request(listed, lambda: listed.metrics.set_client("acme"), status)
        assert _all(listed) == {(REQUESTS, "acme", outcome)}
        assert listed.value(REQUESTS) == 1

    def test_exception_is_an_error(self, listed: Any) -> None:
        def work() -> None:
            listed.metrics.set_client("acme")
            raise KeyError

        with pytest.raises(KeyError):
            _request(listed, work)
        assert _all(listed) == {(REQUESTS, "acme", "error")}

    def test_documents_and_events_of_the_request_have_its_client(self, listed: Any) -> None:
        def work() -> None:
            listed.metrics.set_client("acme")
            _process(listed)

        _request(listed, work)
        assert {client for _, client, _ in _all(listed)} == {"acme"}

    def test_named_client_precedes_that_of_the_request(self, listed: Any) -> None:
        def work() -> None:
            listed.metrics.set_client("acme")
            _process(listed, client="globex")

        _request(listed, work)
        assert _all(listed) == {
            (REQUESTS, "acme", "success"),
            (DOCUMENTS, "globex", "success"),
            (SLA, "globex", "success"),
        }

    def test_without_a_request_the_call_names_the_client(self, listed: Any) -> None:
        listed.metrics.set_client("acme")
        _process(listed)
        _process(listed, client="globex")
        assert {client for _, client, _ in _all(listed)} == {"-", "globex"}

    @pytest.mark.parametrize("name", ["initech", "", "jane.doe@example.com", 7, ["acme"], object()])
    def test_any_other_name_is_other(self, listed: Any, name: Any) -> None:
        _request(listed, lambda: listed.metrics.set_client(name))
        _process(listed, client=name)
        assert {client for _, client, _ in _all(listed)} == {"_other"}
        assert listed.dropped() == {}

    def test_request_without_a_client_is_not_counted(self, listed: Any) -> None:
        def work() -> None:
            listed.metrics.set_client("acme")
            listed.metrics.set_client(None)

        _request(listed, work)
        assert _all(listed) == set()

    def test_work_after_the_answer_has_no_client(self, listed: Any) -> None:
        contexts = []

        def work() -> None:
            listed.metrics.set_client("acme")
            contexts.append(copy_context())

        _request(listed, work)
        contexts[0].run(_process, listed)
        assert _all(listed) == {(REQUESTS, "acme", "success"), (DOCUMENTS, "-", "success"), (SLA, "-", "success")}


class TestConcurrency:
    def test_context_carries_the_client_to_a_thread(self, listed: Any) -> None:
        def work() -> None:
            listed.metrics.set_client("acme")
            with ThreadPoolExecutor(1) as pool:
                pool.submit(copy_context().run, _process, listed).result()

        _request(listed, work)
        assert {client for _, client, _ in _all(listed)} == {"acme"}

    def test_client_set_in_a_thread_is_that_of_the_request(self, listed: Any) -> None:
        def work() -> None:
            thread = threading.Thread(target=copy_context().run, args=(listed.metrics.set_client, "acme"))
            thread.start()
            thread.join()
            _process(listed)

        _request(listed, work)
        assert {client for _, client, _ in _all(listed)} == {"acme"}

    def test_requests_of_one_event_loop_have_their_own_clients(self, listed: Any) -> None:
        @listed.metrics.http_request_metrics(route="/", method="GET")
        async def handler(client: str) -> None:
            listed.metrics.set_client(client)
            await asyncio.sleep(0.01)
            await asyncio.to_thread(_process, listed)

        async def run() -> None:
            await asyncio.gather(*(handler(client) for client in ("acme", "globex") for _ in range(10)))

        asyncio.run(run())
        for name in (REQUESTS, DOCUMENTS, SLA):
            assert [listed.value(name, {CLIENT: client}) for client in ("acme", "globex")] == [10, 10]


class TestSlaOfAFile:
    @pytest.fixture
    def declared(self, listed: Any, tmp_path: Any) -> Any:
        (tmp_path / "sla.toml").write_text(SLAS)
        listed.recorder.business.set_slas(read_slas(tmp_path / "sla.toml"))
        return listed

    def test_event_has_the_client_of_the_request(self, declared: Any) -> None:
        _request(declared, lambda: declared.metrics.set_client("acme"), 200)
        _request(declared, lambda: declared.metrics.set_client("acme"), 500)
        _request(declared, lambda: None, 500)
        events = {"trust.sla.name": "answers"}
        assert [
            declared.value(SLA, {**events, "trust.outcome": outcome, CLIENT: "acme"})
            for outcome in ("success", "failure")
        ] == [1, 1]
        assert declared.value(SLA, {**events, "trust.outcome": "failure"}) == 2

    def test_event_has_the_client_of_the_document(self, declared: Any) -> None:
        with declared.metrics.document_processing("passport", client="globex") as processing:
            processing.fail("unreadable")
        wanted = {"trust.sla.name": "documents", "trust.outcome": "failure", CLIENT: "globex"}
        assert declared.value(SLA, wanted) == 1
