"""Faults of the OTLP endpoint: what a service exports and logs, and how long it takes to end."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import pytest

from tests.support.faulty_collector import GRPC, HTTP, Certificate, Exports, collector, self_signed
from tests.support.running import eventually
from trust_ops.stack.ports import free_ports

Launcher = tuple[list[str], dict[str, str]]

_EVENTS = "trust.audit.events"
_PROGRAM = """
import sys
from trust_otel import get_metrics
metrics = get_metrics()
for _ in sys.stdin:
    metrics.record_audit_event("read")
    print("recorded", flush=True)
"""
_WITH_CLOCK = """
import grpc._channel, sys, time, types
seconds, nanoseconds, ahead = time.time, time.time_ns, 0
# It passes the time to native code, which has the real clock.
grpc._channel.time = types.SimpleNamespace(**vars(time))
time.time = lambda: seconds() + ahead
time.time_ns = lambda: nanoseconds() + ahead * 10**9

from opentelemetry.instrumentation.auto_instrumentation import initialize
initialize()

from trust_otel import get_metrics
metrics = get_metrics()
for line in sys.stdin:
    if line.strip():
        ahead = int(line)
        print("set", flush=True)
    else:
        metrics.record_audit_event("read")
        metrics.record_audit_event(f"read{ahead}")
        print("recorded", flush=True)
"""
"""Its clock is set by a line with the seconds that it is ahead."""


@dataclass
class Service:
    """A program that records an event per line of input."""

    process: subprocess.Popen[str]
    log: Path
    recorded: int = 0

    def record(self) -> None:
        """Record an event; returns once the program has done it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "recorded\n"
        self.recorded += 1

    def set_clock(self, ahead: int) -> None:
        """Set the clock of the program, to some seconds ahead of the real one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{ahead}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "set\n"

    def end(self) -> float:
        """End the program; returns the seconds that it took."""
        begun = monotonic()
        self.process.communicate(timeout=60)
        return monotonic() - begun

    def lines(self) -> list[str]:
        """What it has logged."""
        return self.log.read_text().splitlines()


@dataclass
class Setup:
    """A service, and the endpoint that it exports to."""

    protocol: str
    launcher: Launcher
    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])

    @contextmanager
    def service(self, program: str = _PROGRAM, *, tls: Certificate | None = None, **more: str) -> Iterator[Service]:
        command, environment = self.launcher
        variables = {
            **environment,
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{'https' if tls else 'http'}://127.0.0.1:{self.port}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            # Also the timeout of the last collection.
            "OTEL_METRIC_EXPORT_INTERVAL": "600",
            **({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tls.certificate)} if tls else {}),
            **more,
        }
        log = self.folder / "log"
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                [*(command if program is _PROGRAM else command[1:]), "-c", program],
                env=variables,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as process,
        ):
            try:
                yield Service(process, log)
            finally:
                process.kill()

    def collector(
        self, exports: Exports | None = None, certificate: Certificate | None = None
    ) -> AbstractContextManager[Exports]:
        return collector(self.protocol, self.port, exports or Exports(), certificate)


@pytest.fixture(params=[HTTP, GRPC])
def setup(request: pytest.FixtureRequest, launcher: Launcher, tmp_path: Path) -> Setup:
    return Setup(request.param, launcher, tmp_path)


def _accepted(exports: Exports, service: Service) -> None:
    """Wait until all recorded events have been accepted."""
    eventually(lambda: exports.values(_EVENTS)[-1:], [service.recorded])


def _fails_and_works_again(service: Service, reason: str) -> None:
    """Assert that the service has logged these two changes, and nothing else."""
    lines = service.lines()
    assert len(lines) == 2, lines
    assert lines[0].startswith("trust-otel: metrics cannot be exported: "), lines
    assert reason in lines[0]
    assert lines[1].startswith("trust-otel: metrics are exported again, after "), lines


_SECONDS = 3.5
"""In this time, several exports fail: each has a second, and the next one follows after 0.6 seconds."""


def _wait_for_failures(service: Service) -> None:
    """Record while exports fail, until that is logged, and then during several more."""
    service.record()
    eventually(lambda: len(service.lines()) > 0, True)
    _record_for_some_time(service)


def _record_for_some_time(service: Service) -> None:
    deadline = monotonic() + _SECONDS
    while monotonic() < deadline:
        service.record()
        with pytest.raises(subprocess.TimeoutExpired):
            service.process.wait(0.2)


def test_without_collector(setup: Setup) -> None:
    # On a busy machine, gRPC may need more than a second to notice.
    with setup.service(OTEL_EXPORTER_OTLP_TIMEOUT="4") as service:
        _wait_for_failures(service)
        with setup.collector() as exports:
            _accepted(exports, service)
            service.end()
    _fails_and_works_again(service, "the connection is refused: nothing listens there")


def test_collector_that_restarts(setup: Setup) -> None:
    with setup.service() as service:
        with setup.collector() as before:
            service.record()
            _accepted(before, service)
        _wait_for_failures(service)
        with setup.collector() as exports:
            _accepted(exports, service)
            service.end()
    _fails_and_works_again(service, "")


@pytest.mark.parametrize("retry_after", [None, 1, 3600])
@pytest.mark.parametrize("status", [429, 503])
def test_refusing_collector(setup: Setup, status: int, retry_after: int | None) -> None:
    with setup.service() as service, setup.collector(Exports(status, retry_after)) as exports:
        _wait_for_failures(service)
        assert exports.requests >= 2
        exports.refusal = 0
        _accepted(exports, service)
        service.end()
    reasons = {429: ("Too Many Requests", "RESOURCE_EXHAUSTED"), 503: ("Service Unavailable", "UNAVAILABLE")}
    _fails_and_works_again(service, reasons[status][setup.protocol == GRPC])


def test_collector_that_rejects_data_points(setup: Setup) -> None:
    with setup.service() as service, setup.collector(Exports(rejected=4)) as exports:
        service.record()
        eventually(lambda: exports.values("trust.otel.dropped")[-1:], [4])
        _accepted(exports, service)
        service.end()
    assert exports.values("trust.otel.dropped")[0] == 0
    rejection, recovery = service.lines()
    assert "metrics are only in part exported: the OTLP endpoint rejected 4 data points" in rejection
    assert "metrics are exported again" in recovery


def test_collector_that_does_not_answer(setup: Setup) -> None:
    with setup.service() as service, setup.collector() as exports:
        exports.answering.clear()
        _wait_for_failures(service)
        exports.answering.set()
        _accepted(exports, service)
        service.end()
    _fails_and_works_again(service, "no response in time")


def test_listener_that_accepts_no_connection(setup: Setup) -> None:
    with setup.service() as service:
        with socket.create_server(("127.0.0.1", setup.port)):
            _wait_for_failures(service)
        with setup.collector() as exports:
            _accepted(exports, service)
            service.end()
    _fails_and_works_again(service, "no response in time")


@contextmanager
def _answering(port: int, head: bytes, part: bytes) -> Iterator[None]:
    """An HTTP server that sends a part of its answer ten times a second, without end."""
    stopped = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(head)
            while not stopped.wait(0.1):
                connection.sendall(part)

    def accept() -> None:
        with suppress(OSError):
            while not stopped.is_set():
                threads.append(threading.Thread(target=answer, args=(server.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", port)) as server:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        try:
            yield
        finally:
            stopped.set()
            server.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
_ENDLESS = {
    "head": (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
    "body": (_OK + b"Content-Length: 1000000\r\n\r\n", b"\n"),
    "chunks": (_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n\n\r\n"),
    "stream": (_OK + b"\r\n", bytes(1 << 20)),
}


@pytest.mark.parametrize("kind", _ENDLESS)
def test_answer_without_end(launcher: Launcher, tmp_path: Path, kind: str) -> None:
    setup = Setup(HTTP, launcher, tmp_path)
    with setup.service() as service:
        with _answering(setup.port, *_ENDLESS[kind]):
            _wait_for_failures(service)
        with setup.collector() as exports:
            _accepted(exports, service)
            service.end()
    _fails_and_works_again(service, "")


def test_slow_collector_is_no_failure(setup: Setup) -> None:
    with setup.service() as service, setup.collector(Exports(delay=0.5)) as exports:
        service.record()
        eventually(lambda: len(exports.accepted) > 0, True)
        _record_for_some_time(service)
        _accepted(exports, service)
        service.end()
    assert service.lines() == []


@dataclass(frozen=True)
class _Tls:
    reason: str
    wrong: Callable[[Path], Certificate]


_CERTIFICATES = {
    "untrusted": _Tls("is not trusted: set OTEL_EXPORTER_OTLP_CERTIFICATE", lambda folder: self_signed(folder)),
    "another host": _Tls("was issued for another host", lambda folder: self_signed(folder, address="127.0.0.2")),
    "expired": _Tls("has expired", lambda folder: self_signed(folder, days=(-9, -1))),
    "not yet valid": _Tls("is not valid yet", lambda folder: self_signed(folder, days=(1, 9))),
}


@pytest.mark.parametrize("kind", _CERTIFICATES)
def test_wrong_certificate(setup: Setup, kind: str) -> None:
    right = self_signed(setup.folder / "right")
    wrong = _CERTIFICATES[kind].wrong(setup.folder / "wrong")
    trusted = setup.folder / "trusted.pem"
    trusted.write_bytes(
        right.certificate.read_bytes() + (b"" if kind == "untrusted" else wrong.certificate.read_bytes())
    )
    # Enough for a handshake on a busy machine: otherwise the reason is that there was no response in time.
    with setup.service(tls=Certificate(trusted, right.key), OTEL_EXPORTER_OTLP_TIMEOUT="4") as service:
        with setup.collector(certificate=wrong) as refused:
            _wait_for_failures(service)
            assert refused.requests == 0
        with setup.collector(certificate=right) as exports:
            _accepted(exports, service)
            service.end()
    _fails_and_works_again(service, _CERTIFICATES[kind].reason)


@pytest.mark.parametrize("ahead", [86_400, -86_400, 3, -3])
def test_clock_that_is_set(setup: Setup, ahead: int) -> None:
    with setup.service(_WITH_CLOCK) as service, setup.collector() as exports:
        for now in (0, ahead, 0):
            service.set_clock(now)
            for _ in range(3):
                service.record()
                eventually(lambda: exports.values(_EVENTS)[-1:], [2 * service.recorded])
        service.end()
    assert service.lines() == []
    assert all(start <= time for start, time in exports.times())
    values = exports.values(_EVENTS)
    assert values == sorted(values)


def test_new_series_starts_before_its_first_point_after_the_clock_was_set_back(setup: Setup) -> None:
    with setup.service(_WITH_CLOCK) as service, setup.collector() as exports:
        service.record()
        eventually(lambda: exports.values(_EVENTS)[-1:], [2])
        service.set_clock(-3600)
        service.record()
        eventually(lambda: exports.values(_EVENTS)[-1:], [4])
        service.end()
    start, time = exports.first_point(_EVENTS, "read-3600")
    assert 0 < time - start < 60 * 10**9


def test_clock_set_back_during_a_retry_does_not_prolong_the_export(setup: Setup) -> None:
    with (
        setup.service(_WITH_CLOCK, OTEL_EXPORTER_OTLP_TIMEOUT="4") as service,
        setup.collector(Exports(503)) as exports,
    ):
        service.record()
        # The export waits a second until its next attempt, which has what is left of the 4 seconds.
        eventually(lambda: exports.requests > 0, True)
        exports.unanswered, exports.refusal = 1, 0
        service.set_clock(-3600)
        eventually(lambda: exports.values(_EVENTS)[-1:], [2 * service.recorded])
        service.end()
    _fails_and_works_again(service, "")


def test_retry_after_of_hours_is_not_waited_for_when_the_clock_is_set_back(setup: Setup) -> None:
    with (
        setup.service(_WITH_CLOCK, OTEL_EXPORTER_OTLP_TIMEOUT="4") as service,
        setup.collector(Exports(503, delay=1)) as exports,
    ):
        exports.retry_after = 1800
        service.record()
        eventually(lambda: exports.requests > 0, True)
        # While the exporter waits for the answer.
        service.set_clock(-3600)
        eventually(lambda: len(service.lines()) > 0, True)
        exports.refusal = 0
        eventually(lambda: exports.values(_EVENTS)[-1:], [2 * service.recorded])
        service.end()
    _fails_and_works_again(service, "")


_LONG = {"OTEL_EXPORTER_OTLP_TIMEOUT": "300", "TRUST_OTEL_SHUTDOWN_TIMEOUT": "2"}
_EXITS = {
    "refusing": Exports(503),
    "refusing for an hour": Exports(429, 3600),
    "never answering": Exports(unanswered=1_000_000),
    "slow": Exports(delay=120),
}


@pytest.mark.parametrize("kind", [*_EXITS, "none", "listening only", "wrong certificate"])
def test_exit_is_not_held_up(setup: Setup, kind: str) -> None:
    with ExitStack() as stack:
        tls = None
        if kind in _EXITS:
            exports = stack.enter_context(setup.collector(replace(_EXITS[kind], _closed=threading.Event())))
        elif kind == "listening only":
            stack.enter_context(socket.create_server(("127.0.0.1", setup.port)))
        elif kind == "wrong certificate":
            tls = self_signed(setup.folder / "right")
            stack.enter_context(setup.collector(certificate=self_signed(setup.folder / "wrong")))
        service = stack.enter_context(setup.service(tls=tls, **_LONG))
        service.record()
        if kind in _EXITS:
            # An export is running.
            eventually(lambda: exports.requests > 0, True)
        seconds = service.end()
    assert service.process.returncode == 0
    # A tenth of the exporter's own timeout.
    assert seconds < 30
    lines = service.lines()
    assert sum("the last export" in line for line in lines) == 1, lines
    assert len(lines) <= 2, lines


_ENDPOINT = """
import os, signal, sys, time
from opentelemetry import metrics
from trust_otel import get_metrics

hanging = False

def observe(_):
    if hanging:
        print("hanging", flush=True)
        time.sleep(300)
    return []

get_metrics().record_audit_event("read")
metrics.get_meter("test").create_observable_gauge("hangs", [observe])
stopped = os.fork()
if not stopped:
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.waitpid(stopped, os.WUNTRACED)
hanging = sys.argv[1] == "callback"
print("ready", flush=True)
sys.stdin.read()
os.kill(stopped, signal.SIGKILL)
"""


@pytest.mark.parametrize("what", ["callback", "stopped process"])
def test_endpoint_does_not_hold_up_the_exit(launcher: Launcher, tmp_path: Path, what: str) -> None:
    """While a scrape waits, and clients send and read nothing."""
    command, environment = launcher
    (port,) = free_ports(1)
    (tmp_path / "program.py").write_text(_ENDPOINT)
    with (
        ExitStack() as clients,
        subprocess.Popen(
            [*command, str(tmp_path / "program.py"), what.partition(" ")[0]],
            env={
                **environment,
                "OTEL_METRICS_EXPORTER": "prometheus",
                "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
                "TRUST_OTEL_SHUTDOWN_TIMEOUT": "1",
            },
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for _ in range(3):
                clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            scrape = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            scrape.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            if what == "callback":
                assert process.stdout.readline() == "hanging\n"
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
