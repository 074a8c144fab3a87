"""Servers that are not written in Python, under `opentelemetry-instrument`."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trust_ops.stack.ports import free_ports

_NAMED = "is not written in Python, and its requests are not measured"

_RSGI = """
class App:
    async def __rsgi__(self, scope, protocol):
        protocol.response_str(200, [("content-type", "text/plain")], "ok")

app = App()
"""
_ASGI = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def ok(request):
    return PlainTextResponse("ok")

app = Starlette(routes=[Route("/", ok)])
"""
_GRPC = """
import time, grpc
from concurrent.futures import ThreadPoolExecutor

server = grpc.server(ThreadPoolExecutor(1))
server.add_insecure_port("127.0.0.1:{port}")
server.start()
time.sleep(60)
"""
_NATIVE = """
import ctypes, time
library = ctypes.CDLL(None)
assert library.listen(library.socket(2, 1, 0), 1) == 0
time.sleep(60)
"""


@pytest.fixture
def log_of(launcher: tuple[list[str], dict[str, str]], tmp_path: Path) -> Iterator[Callable[..., Callable[[], str]]]:
    """Starts a program that exports twice a second; returns what reads its log."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str, *arguments: str) -> Callable[[], str]:
        command, environment = launcher
        (tmp_path / "program.py").write_text(program)
        environment |= {"OTEL_METRICS_EXPORTER": "console", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
        log = tmp_path / "log"
        with log.open("wb") as file:
            started.append(
                subprocess.Popen(
                    [*command, *(arguments or ["program.py"])],
                    env=environment,
                    cwd=tmp_path,
                    stdout=subprocess.DEVNULL,
                    stderr=file,
                )
            )
        return log.read_text

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


def _eventually(log: Callable[[], str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and _NAMED not in log():
        time.sleep(0.1)
    return _NAMED in log()


def _granian(port: int, interface: str) -> tuple[str, ...]:
    return ("-m", "granian", "--interface", interface, "--port", str(port), "program:app")


def _reached(port: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            time.sleep(0.1)
    return False


def test_server_in_rust_without_an_asgi_application_is_named_once(log_of: Any) -> None:
    (port,) = free_ports(1)
    log = log_of(_RSGI, *_granian(port, "rsgi"))
    assert _reached(port)
    assert _eventually(log, 20)
    time.sleep(1.5)
    assert log().count(_NAMED) == 1
    assert f"127.0.0.1:{port}" in log()


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is called as on Linux")
def test_server_in_a_library_is_named(log_of: Any) -> None:
    assert _eventually(log_of(_NATIVE), 20)


def test_asgi_application_on_a_server_in_rust_is_measured(log_of: Any) -> None:
    (port,) = free_ports(1)
    log = log_of(_ASGI, *_granian(port, "asgi"))
    assert _reached(port)
    assert not _eventually(log, 2)


def test_asgi_application_that_no_request_has_reached_is_not_named(log_of: Any) -> None:
    (port,) = free_ports(1)
    assert not _eventually(log_of(_ASGI, *_granian(port, "asginl")), 5)


def test_grpc_server_is_measured(log_of: Any) -> None:
    (port,) = free_ports(1)
    assert not _eventually(log_of(_GRPC.format(port=port)), 4)
