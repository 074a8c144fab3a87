"""A server that is not written in Python is named, and others are not."""

from __future__ import annotations

import ctypes
import gc
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from trust_otel import settings
from trust_otel.instrumentation import native_servers
from trust_otel.instrumentation.native_servers import NativeServers, native_listeners

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the C library is called as on Linux")

_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


@pytest.fixture
def native() -> Iterator[int]:
    """The port of a socket that the C library listens on, as a server in Rust or Go does."""
    library = ctypes.CDLL(None)
    number = library.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    assert number >= 0
    # Without an address, the kernel chooses a free port.
    assert library.listen(number, 1) == 0
    borrowed = socket.socket(fileno=os.dup(number))
    port = borrowed.getsockname()[1]
    borrowed.close()
    yield port
    os.close(number)


class _Application:
    """In place of Starlette, of which other tests may keep instances."""

    def __init__(self) -> None:
        self.state: dict[str, object] = {}


@pytest.fixture(autouse=True)
def without_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("applications")
    monkeypatch.setattr(module, "Application", _Application, raising=False)
    monkeypatch.setitem(sys.modules, "applications", module)
    monkeypatch.setattr(native_servers, "_APPLICATION", ("applications", "Application"))


@pytest.fixture
def without_python_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process may have imported some."""
    monkeypatch.setattr(native_servers, "_PYTHON_SERVERS", ("no_such_server",))


def _ports() -> set[int]:
    return {port for _, port in native_listeners()}


def test_native_listener_is_found_and_python_ones_are_not(native: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as python:
        assert native in _ports()
        assert python.getsockname()[1] not in _ports()


@pytest.mark.parametrize("default_timeout", [None, 5.0])
def test_descriptors_stay_blocking(native: int, default_timeout: float | None) -> None:
    before = {number: os.get_blocking(number) for number in native_servers._listening()}
    assert before
    assert all(before.values())
    socket.setdefaulttimeout(default_timeout)
    try:
        assert (native in _ports()) is (default_timeout is None)
    finally:
        socket.setdefaulttimeout(None)
    assert {number: os.get_blocking(number) for number in before} == before


def test_endpoint_of_trust_otel_is_left_out_without_a_search(native: int, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    monkeypatch.setattr(native_servers, "_instances", lambda _module, name: searched.append(name))
    monkeypatch.setattr(native_servers, "_listening", lambda: {3: ("127.0.0.1", native)})
    monkeypatch.setitem(sys.modules, native_servers._ENDPOINT, ModuleType("server"))
    own = replace(settings.Settings.from_environment({}), prometheus_port=native)
    monkeypatch.setattr(settings, "current", lambda: own)
    assert native_listeners() == []
    assert searched == []


def test_application_without_requests_is_no_reason(native: int) -> None:
    application = _Application()
    assert native not in _ports()
    del application
    gc.collect()
    assert native in _ports()


def test_listener_that_a_child_process_has_too_is_left_out(native: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil.Process, "children", lambda _self: [psutil.Process()])
    assert native not in _ports()


@pytest.mark.usefixtures("without_python_servers")
def test_native_server_is_named_once(native: int, caplog: pytest.LogCaptureFixture) -> None:
    servers = NativeServers(lambda: False, {})
    for _ in range(3):
        servers.check()
    (record,) = caplog.records
    assert f":{native}" in record.getMessage()
    assert "is not written in Python, and its requests are not measured" in record.getMessage()
    assert "get_metrics().http_request_metrics()" in record.getMessage()


@pytest.mark.usefixtures("without_python_servers")
def test_server_that_starts_late_is_named(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(native_servers, "native_listeners", lambda: found)
    servers = NativeServers(lambda: False, {})
    servers.check()
    assert caplog.records == []
    found.append(("0.0.0.0", 8000))
    servers.check()
    assert "0.0.0.0:8000" in caplog.text


@pytest.mark.usefixtures("without_python_servers")
def test_nothing_is_logged_while_a_spawned_process_imports_its_server(
    native: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)"
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", code, "--multiprocessing-fork"])
    servers = NativeServers(lambda: False, {})
    for _ in range(20):
        servers.check()
    assert caplog.records == []
    monkeypatch.setattr("multiprocessing.parent_process", object)
    servers.check()
    assert f":{native} is not written in Python" in caplog.text


@pytest.mark.usefixtures("without_python_servers")
def test_checks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr(native_servers, "native_listeners", lambda: calls.append(None))
    servers = NativeServers(lambda: False, {})
    for _ in range(100):
        servers.check()
    assert len(calls) == 8


@pytest.mark.usefixtures("native", "without_python_servers")
def test_nothing_is_logged_if_a_measured_application_runs(caplog: pytest.LogCaptureFixture) -> None:
    NativeServers(lambda: True, {}).check()
    assert caplog.records == []


@pytest.mark.usefixtures("native", "without_python_servers")
@pytest.mark.parametrize("disabled", ["trust_http", "fastapi", "grpc_server", "asgi", "*"])
def test_nothing_is_logged_if_the_user_disabled_servers(caplog: pytest.LogCaptureFixture, disabled: str) -> None:
    NativeServers(lambda: False, {_DISABLED: disabled}).check()
    assert caplog.records == []


@pytest.mark.usefixtures("native")
def test_nothing_is_logged_about_a_python_server(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn.server", ModuleType("uvicorn.server"))
    NativeServers(lambda: False, {}).check()
    assert caplog.records == []
