"""Conflicts with other software that would record or export the same."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from trust_otel import distro
from trust_otel.distro import conflicts


def _installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    entries = [SimpleNamespace(name=name, value=f"{name}.module:Distro") for name in names]
    monkeypatch.setattr(distro, "entry_points", lambda group: entries)


def test_single_distro_has_no_conflicts(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "trust_distro")
    assert conflicts({}) == []


def test_other_distro_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "distro", "trust_distro", "splunk_distro")
    lines = conflicts({})
    assert len(lines) == 2
    assert "'distro' (distro.module:Distro)" in lines[0]
    assert "'splunk_distro'" in lines[1]
    assert all("OTEL_PYTHON_DISTRO=trust_distro" in line for line in lines)


def test_other_distro_is_no_conflict_if_this_one_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "distro", "trust_distro")
    assert conflicts({"OTEL_PYTHON_DISTRO": "trust_distro"}) == []


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_export_by_fastapi_is_reported(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    _installed(monkeypatch, "trust_distro")
    (line,) = conflicts({"FASTAPI_OTEL_AUTO_CONFIGURE": text})
    assert "FASTAPI_OTEL_AUTO_CONFIGURE" in line


@pytest.mark.parametrize("text", ["", "false", "0"])
def test_disabled_export_by_fastapi_is_no_conflict(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    _installed(monkeypatch, "trust_distro")
    assert conflicts({"FASTAPI_OTEL_AUTO_CONFIGURE": text}) == []


def test_another_loaded_distro_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(distro, "_chosen", False)
    distro.warn_unless_chosen()
    assert "OTEL_PYTHON_DISTRO=trust_distro" in caplog.text


def test_loaded_distro_logs_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(distro, "_chosen", True)
    distro.warn_unless_chosen()
    assert caplog.records == []


class _EntryPoint:
    def __init__(self, name: str) -> None:
        self.name = name
        self.instrumented: list[dict[str, Any]] = []
        self.config: dict[str, Any] | None = None

    def load(self) -> Any:
        entry_point = self

        class Instrumentor:
            def __init__(self, config: Any = None) -> None:
                entry_point.config = config

            def instrument(self, **kwargs: Any) -> None:
                entry_point.instrumented.append(kwargs)

        return Instrumentor


_SPANS_ONLY = ["fastapi", "starlette", "asgi", "grpc_server", "grpc_client", "grpc_aio_server", "sqlalchemy", "tornado"]


@pytest.mark.parametrize("name", _SPANS_ONLY)
def test_replaced_instrumentors_do_not_load_without_spans(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    entry_point = _EntryPoint(name)
    distro.TrustDistro().load_instrumentor(cast(Any, entry_point))
    assert entry_point.instrumented == []


@pytest.mark.parametrize("name", _SPANS_ONLY)
def test_replaced_instrumentors_load_for_spans_without_metrics(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr(distro, "find_spec", lambda _name: None)  # FastAPI as in versions that create no spans
    entry_point = _EntryPoint(name)
    distro.TrustDistro().load_instrumentor(cast(Any, entry_point), skip_dep_check=True)
    (kwargs,) = entry_point.instrumented
    assert kwargs["skip_dep_check"] is True
    assert type(kwargs["meter_provider"]).__name__ == "NoOpMeterProvider"


def test_instrumentor_of_fastapi_does_not_load_if_fastapi_creates_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    entry_point = _EntryPoint("fastapi")
    distro.TrustDistro().load_instrumentor(cast(Any, entry_point))
    assert entry_point.instrumented == []


def test_other_instrumentors_load_unchanged() -> None:
    entry_point = _EntryPoint("redis")
    distro.TrustDistro().load_instrumentor(cast(Any, entry_point), skip_dep_check=True)
    assert entry_point.instrumented == [{"skip_dep_check": True}]


def test_disabled_sdk_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    for name in ("trust_http", "redis", "system_metrics", "fastapi"):
        entry_point = _EntryPoint(name)
        distro.TrustDistro().load_instrumentor(cast(Any, entry_point))
        assert entry_point.instrumented == []


def test_system_metrics_are_those_of_the_registry() -> None:
    from opentelemetry.instrumentation.system_metrics import _DEFAULT_CONFIG

    entry_point = _EntryPoint("system_metrics")
    distro.TrustDistro().load_instrumentor(cast(Any, entry_point))
    assert entry_point.config is not None
    assert set(entry_point.config) == {
        "process.cpu.time",
        "process.memory.usage",
        "process.open_file_descriptor.count",
        "process.thread.count",
        "cpython.gc.collections",
    }
    assert set(entry_point.config) <= set(_DEFAULT_CONFIG)
