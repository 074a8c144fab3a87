"""Which method a call belongs to."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from trust_otel.instrumentation.grpc.methods import Methods


class Details(grpc.HandlerCallDetails):
    invocation_metadata = ()

    def __init__(self, method: str) -> None:
        self.method = method


def answer(request: Any, context: Any) -> Any:
    return request


UNARY: Any = grpc.unary_unary_rpc_method_handler(answer)
STREAM: Any = grpc.stream_stream_rpc_method_handler(answer)


@pytest.fixture
def methods(recording: Any) -> Methods:
    return Methods(recording.recorder)


def active(recording: Any) -> list[tuple[str, str]]:
    """Name and type of each method that was counted."""
    return [
        (labels["rpc.method"], labels["trust.rpc.type"]) for labels in recording.labels("trust.rpc.server.active_calls")
    ]


def test_method_is_looked_up_once(recording: Any, methods: Methods) -> None:
    looked_up = []

    class Service(grpc.ServiceRpcHandler):
        def service_name(self) -> str:
            return "a.B"

        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            looked_up.append(handler_call_details.method)
            return UNARY

    methods.add_generic([Service()])
    found = methods.find(Details("/a.B/C"))
    assert methods.find(Details("/a.B/C")) is found
    assert looked_up == ["/a.B/C"]
    found.rpc.active(1)
    assert active(recording) == [("a.B/C", "unary")]


def test_registered_method_takes_precedence_also_when_it_is_added_later(recording: Any, methods: Methods) -> None:
    methods.add_generic([grpc.method_handlers_generic_handler("a.B", {"C": UNARY})])
    methods.find(Details("/a.B/C")).rpc.active(0)
    methods.add_registered("a.B", {"C": STREAM})
    methods.find(Details("/a.B/C")).rpc.active(0)
    assert active(recording) == [("a.B/C", "unary"), ("a.B/C", "bidi_stream")]


def test_method_that_is_added_later_is_found(recording: Any, methods: Methods) -> None:
    assert methods.find(Details("/a.B/C")).name is None
    methods.add_generic([grpc.method_handlers_generic_handler("a.B", {"C": UNARY})])
    assert methods.find(Details("/a.B/C")).name == "a.B/C"


def test_names_that_a_service_accepts_do_not_fill_the_memory(recording: Any, methods: Methods) -> None:
    class AcceptsAnyName(grpc.ServiceRpcHandler):
        def service_name(self) -> str:
            return "a.B"

        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            return UNARY

    methods.add_generic([AcceptsAnyName()])
    for number in range(3000):
        methods.find(Details(f"/a.B/{number}")).rpc.active(1)
    kept = [
        methods.find(Details(f"/a.B/{number}")) is methods.find(Details(f"/a.B/{number}")) for number in range(3000)
    ]
    assert 0 < sum(kept) <= 1000
    assert len(active(recording)) < 3000
    assert recording.value("trust.rpc.server.active_calls") == 3000
