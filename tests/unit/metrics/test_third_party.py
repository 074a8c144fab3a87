"""What other instrumentations record of the vocabulary has the names, labels and limits of trust-otel's own metrics."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tests.collected import points
from trust_otel import TrustServiceMetrics
from trust_otel.metrics import recorder_of
from trust_otel.metrics.request import Request, answering, request_meters
from trust_otel.metrics.third_party import bound_other_meters

_DURATION = "http.server.request.duration"
_ACTIVE = "http.server.active_requests"
_CLIENT = "http.client.request.duration"
_TASK = "flower.task.runtime.seconds"
_REQUEST = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "network.protocol.version": "1.1",
    "http.route": "/items/<int:number>",
    "http.response.status_code": 200,
}


@pytest.fixture
def meter(recording: Any) -> Any:
    """The meter of another instrumentation."""
    bound_other_meters(recording.provider, lambda: recording.recorder.instruments)
    return recording.provider.get_meter("opentelemetry.instrumentation.flask", "0.66")


def test_a_request_is_recorded_as_by_trust_otel(recording: Any, meter: Any) -> None:
    recording.recorder.http.http_request(method="GET", protocol_version="1.1").finish(
        route="/items/<int:number>", status_code=200
    )
    # Positional and named, as the instrumentations call it.
    meter.create_histogram(name=_DURATION, unit="s", explicit_bucket_boundaries_advisory=[1]).record(0.1, _REQUEST)
    meter.create_histogram(_DURATION, "s", "Duration").record(amount=0.1, attributes=_REQUEST)

    assert recording.value(_DURATION) == 3
    assert recording.labels(_DURATION) == [_REQUEST]
    scopes = [scope.scope.name for resource in recording.collect().resource_metrics for scope in resource.scope_metrics]
    assert scopes == ["trust_otel"]


def test_requests_in_flight_are_added_to_those_of_trust_otel(recording: Any, meter: Any) -> None:
    recording.recorder.http.http_request(method="GET")
    active = meter.create_up_down_counter(name=_ACTIVE, unit="{request}", description="Active requests.")
    labels = {"http.request.method": "GET", "url.scheme": "http"}
    active.add(1, {**labels, "server.address": "example.com"})
    assert recording.value(_ACTIVE, labels) == 2
    active.add(-1, labels)
    assert recording.value(_ACTIVE) == 1


@pytest.mark.parametrize(
    "private", [{"url.path": "/items/7"}, {"client.address": "203.0.113.7"}, {"user_agent.original": "curl"}]
)
def test_other_attributes_are_left_out(recording: Any, meter: Any, private: dict[str, str]) -> None:
    meter.create_histogram(_DURATION).record(0.1, {**_REQUEST, **private})
    assert recording.labels(_DURATION) == [_REQUEST]
    assert recording.dropped() == {}


@pytest.mark.parametrize("route", ["", "GET /items/7", "GET /"])
def test_what_is_no_route_is_left_out(recording: Any, meter: Any, route: str) -> None:
    meter.create_histogram(_DURATION).record(0.1, {**_REQUEST, "http.route": route})
    assert ["http.route" in labels for labels in recording.labels(_DURATION)] == [False]


def test_request_whose_application_raised_was_answered_with_500(recording: Any, meter: Any) -> None:
    without_status = {name: value for name, value in _REQUEST.items() if name != "http.response.status_code"}
    duration = meter.create_histogram(_DURATION)
    duration.record(0.1, {**without_status, "error.type": "RuntimeError"})
    duration.record(0.1, {**_REQUEST, "error.type": "404", "http.response.status_code": 404})
    duration.record(0.1, without_status)
    found = sorted(
        (labels.get("http.response.status_code", 0), labels.get("error.type")) for labels in recording.labels(_DURATION)
    )
    assert found == [(0, None), (404, "404"), (500, "RuntimeError")]


def test_a_request_that_trust_otel_measures_does_not_count_twice(recording: Any, meter: Any) -> None:
    token = answering.set(Request())
    try:
        meter.create_histogram(_DURATION).record(0.1, _REQUEST)
        meter.create_up_down_counter(_ACTIVE).add(1, {"http.request.method": "GET", "url.scheme": "http"})
        # The service may be a client meanwhile.
        meter.create_histogram(_CLIENT).record(0.1, {"http.request.method": "GET"})
    finally:
        answering.reset(token)
    assert [recording.value(name) for name in (_DURATION, _ACTIVE, _CLIENT)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("metric", "attribute", "values"),
    [
        (_DURATION, "http.route", [f"/items{number}" for number in range(600)]),
        (_DURATION, "url.scheme", [f"scheme{number}" for number in range(20)]),
        (_DURATION, "http.request.method", [f"METHOD{number}" for number in range(20)]),
        (_CLIENT, "server.address", [f"host{number}.example.com" for number in range(70)]),
        (_CLIENT, "server.port", list(range(1000, 1070))),
        (_TASK, "task", [f"tasks.task{number}" for number in range(250)]),
    ],
)
def test_values_are_bounded_and_none_is_lost(
    recording: Any, meter: Any, metric: str, attribute: str, values: list[Any]
) -> None:
    histogram = meter.create_histogram(metric)
    for value in values:
        histogram.record(0.1, {attribute: value})
    assert recording.value(metric) == len(values)
    assert len(recording.labels(metric)) < len(values)
    assert recording.value(metric, {attribute: "_OTHER" if attribute == "http.request.method" else "_other"}) > 0


def test_addresses_of_servers_are_kept_and_personal_data_is_not(recording: Any, meter: Any) -> None:
    duration = meter.create_histogram(_CLIENT)
    for host in ("192.0.2.1", "vault.example.com", "someone@example.com"):
        duration.record(0.1, {"server.address": host, "url.full": f"https://{host}/"})
    assert [labels["server.address"] for labels in recording.labels(_CLIENT)] == [
        "192.0.2.1",
        "vault.example.com",
        "_other",
    ]


@pytest.mark.parametrize("side", ["client", "server"])
def test_body_sizes_are_not_recorded(recording: Any, meter: Any, side: str) -> None:
    names = {f"http.{side}.{message}.body.size" for message in ("request", "response")}
    for name in names:
        meter.create_histogram(name, "By").record(100, {"server.address": "example.com"})
    assert names.isdisjoint(recording.names())


def test_all_other_metrics_are_left_to_the_sdk(recording: Any, meter: Any) -> None:
    meter.create_histogram("program.duration", "s").record(1, {"any": "value"})
    meter.create_counter("program.events").add(1)
    meter.create_up_down_counter("program.size").add(-1)
    assert recording.labels("program.duration") == [{"any": "value"}]
    assert {"program.events", "program.size"} <= recording.names()


def test_a_meter_looks_and_fails_like_that_of_the_sdk(recording: Any) -> None:
    real = MeterProvider(shutdown_on_exit=False)
    bound_other_meters(recording.provider, lambda: recording.recorder.instruments)
    meter, expected = recording.provider.get_meter("another", "1"), real.get_meter("another", "1")
    assert isinstance(meter, type(expected))
    assert (meter.name, meter.version, meter.schema_url) == (expected.name, expected.version, expected.schema_url)
    assert signature(recording.provider.get_meter) == signature(real.get_meter)
    for create in ("create_histogram", "create_up_down_counter", "create_counter"):
        names = [list(signature(getattr(each, create)).parameters) for each in (meter, expected)]
        assert names[0] == names[1]
    for wrong in (lambda provider: provider.get_meter(), lambda provider: provider.get_meter("a").create_histogram()):
        messages = []
        for provider in (recording.provider, real):
            with pytest.raises(TypeError) as raised:
                wrong(provider)
            messages.append(str(raised.value).rpartition(".")[2])
        assert messages[0] == messages[1]


class _Broken:
    def __hash__(self) -> int:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    def startswith(self, prefix: str) -> bool:
        raise RuntimeError


@pytest.mark.parametrize(
    "attributes", [{"http.route": _Broken()}, {"http.request.method": _Broken()}, {"http.route": []}, [1, 2], 7]
)
def test_no_attributes_raise(recording: Any, meter: Any, attributes: Any) -> None:
    meter.create_histogram(_DURATION).record(0.1, attributes)
    meter.create_up_down_counter(_ACTIVE).add(1, attributes)
    assert recording.value(_DURATION) + sum(recording.dropped().values()) >= 1


def test_who_measures_requests_is_known(recording: Any, meter: Any) -> None:
    before = set(request_meters)
    try:
        request_meters.clear()
        recording.provider.get_meter("client").create_histogram(_CLIENT)
        assert request_meters == set()
        meter.create_histogram(_DURATION)
        recording.metrics.http_request_metrics(method="GET")
        assert request_meters == {"opentelemetry.instrumentation.flask", "trust_otel"}
    finally:
        request_meters.clear()
        request_meters.update(before)


def test_exemplar_is_of_the_span_that_is_given() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False)
    instruments = recorder_of(TrustServiceMetrics(provider)).instruments
    bound_other_meters(provider, lambda: instruments)
    # The SDK attaches the samplers when it collects.
    reader.get_metrics_data()
    span = NonRecordingSpan(SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
    histogram: Any = provider.get_meter("another").create_histogram(_DURATION)
    histogram.record(0.1, _REQUEST, context=trace.set_span_in_context(span))
    ((exemplar,),) = [point.exemplars for point in points(reader, _DURATION)]
    assert (exemplar.trace_id, exemplar.span_id) == (7, 8)
    assert trace.get_current_span() is trace.INVALID_SPAN
    provider.shutdown()
