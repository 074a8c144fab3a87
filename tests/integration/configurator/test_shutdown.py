"""Shutdown of a process, and its last export."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from time import monotonic, sleep
from typing import Any

import pytest

Launcher = tuple[list[str], dict[str, str]]

# Sooner than the first export: what arrives, arrives at the end.
_NEVER = "3600000"

_COUNT_AND = """
import signal, sys, time
from trust_otel import get_metrics
get_metrics().record_audit_event("read")
"""
_WAIT = "print('ready', flush=True)\ntime.sleep(60)\n"
_SERVE = """
import uvicorn

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        print("ready", flush=True)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

uvicorn.run(app, port=0, log_level="critical")
"""


@contextmanager
def _started(launcher: Launcher, program: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command, bare = launcher
    process = subprocess.Popen(
        [*command, "-c", program],
        env={**bare, "OTEL_METRICS_EXPORTER": "console", "OTEL_METRIC_EXPORT_INTERVAL": _NEVER, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _ended_by(process: subprocess.Popen[str], number: int) -> str:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    return process.communicate(timeout=30)[0]


def _exports(output: str) -> list[dict[str, list[float]]]:
    """The values of each metric, by export."""
    decoder, position, exports = json.JSONDecoder(), 0, []
    while (position := output.find("{\n", position)) >= 0:
        export, position = decoder.raw_decode(output, position)
        exports.append(
            {
                metric["name"]: [point.get("value", point.get("count")) for point in metric["data"]["data_points"]]
                for resource in export.get("resource_metrics", ())
                for scope in resource["scope_metrics"]
                for metric in scope["metrics"]
            }
        )
    return exports


def _exported(output: str) -> dict[str, list[float]]:
    """The values of each metric in the last export; empty when there was none."""
    return [{}, *_exports(output)][-1]


@pytest.mark.parametrize("program", [_COUNT_AND + _WAIT, _COUNT_AND + _SERVE], ids=["script", "uvicorn"])
def test_terminated_process_exports_the_rest_and_the_heartbeat_0(launcher: Launcher, program: str) -> None:
    with _started(launcher, program) as process:
        exported = _exported(_ended_by(process, signal.SIGTERM))
    assert exported["trust.audit.events"] == [1]
    assert exported["trust.otel.instance.up"] == [0]


@pytest.mark.parametrize("program", [_COUNT_AND + _WAIT, _COUNT_AND + _SERVE], ids=["script", "uvicorn"])
def test_exit_status_is_that_of_the_signal(launcher: Launcher, program: str) -> None:
    with _started(launcher, program) as process:
        _ended_by(process, signal.SIGTERM)
        assert process.returncode == -signal.SIGTERM


def test_program_that_exits_exports_the_heartbeat_0(launcher: Launcher) -> None:
    with _started(launcher, _COUNT_AND) as process:
        exported = _exported(process.communicate(timeout=30)[0])
    assert process.returncode == 0
    assert exported["trust.otel.instance.up"] == [0]


def test_killed_process_never_exports_the_heartbeat_0(launcher: Launcher) -> None:
    with _started(launcher, _COUNT_AND + "time.sleep(60)\n", OTEL_METRIC_EXPORT_INTERVAL="200") as process:
        assert process.stdout is not None
        output = ""
        while not ("trust.otel.instance.up" in output and output.endswith("\n}\n")):
            output += process.stdout.readline()
        process.kill()
        output += process.communicate()[0]
    # The signal may have interrupted an export.
    complete = output[: output.rindex("\n}\n") + 3]
    assert _exported(complete)["trust.otel.instance.up"] == [1]


def test_handler_of_the_program_is_kept(launcher: Launcher) -> None:
    program = _COUNT_AND + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + _WAIT
    with _started(launcher, program) as process:
        exported = _exported(_ended_by(process, signal.SIGTERM))
        assert process.returncode == 7
    assert exported["trust.otel.instance.up"] == [0]


def test_disabled_telemetry_installs_no_handler(launcher: Launcher) -> None:
    program = "import signal, time\nprint(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
    with _started(launcher, program, OTEL_SDK_DISABLED="true") as process:
        assert process.communicate(timeout=30)[0] == "True\n"


_AS_WITHOUT = {
    "non-daemon thread": """
        import threading
        threading.Thread(target=time.sleep, args=(30,)).start()
        print("ready", flush=True)
        time.sleep(30)
    """,
    "main thread in native code": """
        import hashlib
        print("ready", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
    """,
    "handler that the program sees": """
        print(signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGTERM, signal.SIG_DFL))
        print("ready", flush=True)
        time.sleep(30)
    """,
    "handler that calls the previous one": """
        before = signal.signal(
            signal.SIGTERM, lambda *arguments: before(*arguments) if callable(before) else sys.exit(7)
        )
        print("ready", flush=True)
        time.sleep(30)
    """,
    "cleanup that the signal skips": """
        print("ready", flush=True)
        try:
            time.sleep(30)
        finally:
            print("cleaned up")
    """,
    "sigwait": """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        print("ready", flush=True)
        print(signal.sigwait([signal.SIGTERM]))
    """,
    "ignored": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(1)
        print("runs on")
    """,
    "asyncio": """
        import asyncio
        async def main():
            terminated = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
            print("ready", flush=True)
            await terminated.wait()
        asyncio.run(main())
        print("ended")
    """,
    "default action, signal from itself": """
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        print("ready", flush=True)
        signal.raise_signal(signal.SIGTERM)
        print("after", flush=True)
    """,
    "native handler that calls the previous one": """
        import ctypes
        library = ctypes.CDLL(None)
        library.signal.restype = ctypes.c_void_p
        library.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        before = library.signal(signal.SIGTERM, ctypes.cast(library.abs, ctypes.c_void_p))
        if before:
            ctypes.CFUNCTYPE(None, ctypes.c_int)(before)(signal.SIGTERM)
        print("ready", flush=True)
        time.sleep(2)
        print("ended in order")
    """,
    "terminated child": """
        import multiprocessing
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
        child.start()
        child.terminate()
        child.join()
        print(child.exitcode, flush=True)
        time.sleep(30)
    """,
}
"""Programs that receive SIGTERM once they have printed a line."""


@pytest.mark.parametrize("program", _AS_WITHOUT.values(), ids=_AS_WITHOUT)
def test_program_terminates_as_without_telemetry(launcher: Launcher, program: str) -> None:
    program = "import signal, sys, time\n" + dedent(program)

    def ended(**environment: str) -> tuple[str, int]:
        with _started(launcher, program, **environment) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            return line + process.communicate(timeout=25)[0], process.returncode

    # Nothing listens on port 9: the last export fails at once.
    nowhere = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert ended(**nowhere) == ended(OTEL_SDK_DISABLED="true")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_process_exports_the_rest(launched: Callable[..., Any], method: str) -> None:
    program = f"""
import multiprocessing
from trust_otel import get_metrics

def work():
    get_metrics().record_audit_event("read")

if __name__ == "__main__":
    child = multiprocessing.get_context("{method}").Process(target=work)
    child.start()
    child.join()
"""
    ended = launched(program, OTEL_METRICS_EXPORTER="console", OTEL_METRIC_EXPORT_INTERVAL=_NEVER)
    assert ended.returncode == 0, ended.stderr
    (of_child,) = [export for export in _exports(ended.stdout) if "trust.audit.events" in export]
    assert of_child["trust.audit.events"] == [1]
    assert of_child["trust.otel.instance.up"] == [0]


def _answer_never(connection: socket.socket) -> None:
    threading.Event().wait()


def _answer_byte_by_byte(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b".")
        sleep(0.5)


@contextmanager
def _collector(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    connections = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connections.append(server.accept()[0])
                threading.Thread(target=run, args=connections[-1:], daemon=True).start()

    def run(connection: socket.socket) -> None:
        with suppress(OSError):
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            for connection in connections:
                connection.close()


@pytest.mark.parametrize(
    ("answer", "protocol"),
    [(_answer_never, "http/protobuf"), (_answer_byte_by_byte, "http/protobuf"), (_answer_never, "grpc")],
)
@pytest.mark.parametrize("sent", [None, signal.SIGTERM], ids=["end of program", "SIGTERM"])
def test_hanging_collector_does_not_delay_the_exit(
    launcher: Launcher, answer: Callable[[socket.socket], None], protocol: str, sent: int | None
) -> None:
    # The timeout of the exporter is longer than the test.
    patience = {"OTEL_EXPORTER_OTLP_TIMEOUT": "300", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    everything = dict.fromkeys(("OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"), "otlp")
    span = "from opentelemetry.trace import get_tracer\nget_tracer('test').start_span('test').end()\n"
    program = _COUNT_AND + span + (_WAIT if sent else "print('ready', flush=True)\n")
    with (
        _collector(answer) as address,
        _started(
            launcher,
            program,
            OTEL_EXPORTER_OTLP_ENDPOINT=address,
            TRUST_OTEL_SHUTDOWN_TIMEOUT="1",
            **everything,
            **patience,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if sent:
            process.send_signal(sent)
        log = process.communicate(timeout=30)[1]
    assert process.returncode == -(sent or 0)
    assert "the last export did not finish within TRUST_OTEL_SHUTDOWN_TIMEOUT=1 seconds; the metrics, spans" in log


def test_program_that_closes_all_file_descriptors_keeps_its_files_and_last_export(
    launcher: Launcher, tmp_path: Path
) -> None:
    """As a daemon does; the signal handler must not write to a reused file descriptor."""
    program = f"""
import os
os.closerange(3, 2000)
files = [open(os.path.join({str(tmp_path)!r}, f"file{{number}}"), "w") for number in range(40)]
time.sleep(1)
"""
    with _started(launcher, _COUNT_AND + program + _WAIT) as process:
        exported = _exported(_ended_by(process, signal.SIGTERM))
        assert process.returncode == -signal.SIGTERM
    assert exported["trust.audit.events"] == [1]
    assert {file.stat().st_size for file in tmp_path.iterdir()} == {0}


@pytest.mark.parametrize("program", [_WAIT, "print('ready', flush=True)\n"], ids=["SIGTERM", "end of program"])
def test_second_signal_does_not_interrupt_the_last_export(launcher: Launcher, program: str) -> None:
    """systemd sends SIGTERM to every process of a service, and the server then also sends it to its workers."""
    with (
        _collector(_answer_never) as address,
        _started(
            launcher,
            _COUNT_AND + program,
            OTEL_METRICS_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=address,
            OTEL_METRIC_EXPORT_INTERVAL="20000",
            TRUST_OTEL_SHUTDOWN_TIMEOUT="8",
            OTEL_EXPORTER_OTLP_TIMEOUT="300",
        ) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        if program == _WAIT:
            process.send_signal(signal.SIGTERM)
        sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGTERM
    (line,) = log.splitlines()
    assert "the last export did not finish within TRUST_OTEL_SHUTDOWN_TIMEOUT=8 seconds" in line


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_last_export_without_a_collector_is_not_retried(launcher: Launcher, protocol: str) -> None:
    with _started(
        launcher,
        _COUNT_AND + "print('ready', flush=True)\n",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        TRUST_OTEL_SHUTDOWN_TIMEOUT="300",
        OTEL_EXPORTER_OTLP_TIMEOUT="300",
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun = monotonic()
        process.communicate(timeout=60)
    assert process.returncode == 0
    # Six attempts with exponential backoff take 25 seconds or more.
    assert monotonic() - begun < 20
