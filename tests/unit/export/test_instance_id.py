"""`service.instance.id` is unique in every process, and keeps the configured id."""

import os
from collections.abc import Callable

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from trust_otel.resource import unique_in_process

_ID = "service.instance.id"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def _in_child(ask: Callable[[], str]) -> str:
    """The result of a function in a forked process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, ask().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(child, 0)
    return text


def _providers(resource: Resource) -> Callable[[], list[str]]:
    """Reads the id in the resource of each provider."""
    reader = InMemoryMetricReader()
    metrics, spans, logs = (
        MeterProvider([reader], resource),
        TracerProvider(resource=resource),
        LoggerProvider(resource),
    )
    metrics.get_meter("test").create_counter("calls").add(1)

    def read() -> list[str]:
        data = reader.get_metrics_data()
        assert data is not None
        of_metrics = data.resource_metrics[0].resource
        assert metrics is not None
        return [str(resource.attributes[_ID]) for resource in (of_metrics, spans.resource, logs.resource)]

    return read


def test_forked_process_keeps_the_configured_id_with_its_own_suffix() -> None:
    read = _providers(unique_in_process(Resource({"service.name": "signer", _ID: "pod-7"})))
    (parent,) = set(read())
    children = [_in_child(lambda: " ".join(set(read()))) for _ in range(3)]
    assert all(child.startswith("pod-7-") and " " not in child for child in children)
    assert len({parent, *children}) == 4
    assert set(read()) == {parent}


def test_process_forked_by_a_forked_process_has_its_own_id() -> None:
    read = _providers(unique_in_process(Resource({_ID: "pod-7"})))
    child, grandchild = _in_child(lambda: f"{read()[0]} {_in_child(lambda: read()[0])}").split()
    assert len({read()[0], child, grandchild}) == 3
    assert child.startswith("pod-7-")
    assert grandchild.startswith("pod-7-")


def test_forked_process_keeps_the_other_attributes() -> None:
    provider = TracerProvider(resource=unique_in_process(Resource({"service.name": "signer", _ID: "pod-7"})))
    assert _in_child(lambda: str(provider.resource.attributes["service.name"])) == "signer"


def test_forked_process_generates_another_id_if_none_is_configured() -> None:
    for resource in (Resource.create(), Resource({"service.name": "signer"})):
        read = _providers(unique_in_process(resource))
        assert len({*read(), _in_child(lambda read=read: read()[0])}) == 2  # type: ignore[misc]


def test_merge_in_the_same_process_is_unchanged() -> None:
    resource = unique_in_process(Resource({_ID: "pod-7"}))
    assert resource.merge(Resource({_ID: "another", "a": "b"})).attributes == {_ID: "another", "a": "b"}


@pytest.mark.parametrize("given", [7, "", "ü-1", "a b"])
def test_any_configured_value_gives_a_valid_id(given: object) -> None:
    made = unique_in_process(Resource({_ID: given})).attributes[_ID]  # type: ignore[dict-item]
    assert isinstance(made, str)
    assert made.startswith(f"{given}-") or not given
    assert made
