"""Security events from the status of real calls, on each kind of server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta, timezone
from functools import partial
from inspect import isawaitable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trust_otel.instrumentation.grpc import GrpcInstrumentor
from trust_otel.instrumentation.grpc.server_calls import peer_address
from trust_otel.metrics import recorder_of
from trust_otel.metrics.sla import read_slas

SERVICE = "test.v1.Service"
ATTEMPTS = "trust.auth.attempts"
DECISIONS = "trust.authz.decisions"
LIMITED = "trust.security.rate_limited"
MATCHES = "trust.security.threat_matches"
OFFENDERS = "trust.security.auth.failures"
DURATION = "rpc.server.call.duration"

TOKEN = (("authorization", "Bearer tok3n"),)

Act = Callable[[], object]


class Served:
    """A server that calls `act`, then ends the call with the status in the request."""

    def __init__(self, kind: str, act: Act, **options: Any) -> None:
        self.kind = kind
        self.act = act
        self.options = options

    @contextmanager
    def running(self, recording: Any, credentials: Any = None) -> Iterator[int]:
        """The port; waits at the end until every call has ended, because stopping would cancel them."""
        run = self._sync if self.kind == "sync" else self._aio
        with run(credentials) as port:
            yield port
            until(lambda: recording.value("trust.rpc.server.active_calls") == 0)

    def handlers(self) -> Any:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        functions = (self._async_unary, self._async_stream) if self.kind == "aio" else (self._unary, self._stream)
        handlers: dict[str, Any] = {"Unary": unary(functions[0]), "Stream": stream(functions[1])}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(self, request: bytes, context: Any) -> bytes:
        self.act()
        if request != b"OK":
            context.abort(grpc.StatusCode[request.decode()], "")
        return b""

    def _stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        # Abort first: gRPC's aio server cannot abort while it sends a message of a sync handler.
        yield self._unary(request, context)
        yield b""

    async def _async_unary(self, request: bytes, context: Any) -> bytes:
        acting = self.act()
        if isawaitable(acting):
            await acting
        if request != b"OK":
            await context.abort(grpc.StatusCode[request.decode()], "")
        return b""

    async def _async_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b""
        yield await self._async_unary(request, context)

    @contextmanager
    def _sync(self, credentials: Any) -> Iterator[int]:
        with futures.ThreadPoolExecutor(4) as pool:
            server = grpc.server(pool, [self.handlers()], **self.options)
            port = _bind(server, credentials)
            server.start()
            try:
                yield port
            finally:
                server.stop(None).wait()

    @contextmanager
    def _aio(self, credentials: Any) -> Iterator[int]:
        """Run an event loop in another thread, so that both kinds of servers share the tests."""
        started: futures.Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = futures.Future()

        async def serve() -> None:
            with futures.ThreadPoolExecutor(4) as pool:
                server = grpc.aio.server(pool, (self.handlers(),), **self.options)
                stop, port = asyncio.Event(), _bind(server, credentials)
                await server.start()
                started.set_result((port, asyncio.get_running_loop(), stop))
                await stop.wait()
                await server.stop(None)

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        port, loop, stop = started.result(20)
        try:
            yield port
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that gRPC's threads cause."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _bind(server: Any, credentials: Any) -> int:
    address = "127.0.0.1:0"
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    return int(port)


@pytest.fixture
def watched(record: Callable[..., Any]) -> Iterator[Any]:
    """A recording that exports an address at its first failure."""
    recording = record(offender_threshold=1)
    GrpcInstrumentor().instrument(metrics=recording.metrics)
    yield recording
    GrpcInstrumentor().uninstrument()


@pytest.fixture(params=["sync", "aio", "sync handlers on aio"])
def serve(request: pytest.FixtureRequest) -> Callable[..., Served]:
    """Creates a server of each kind."""

    def make(act: Act = lambda: None, **options: Any) -> Served:
        return Served(request.param, act, **options)

    return make


@pytest.fixture(params=["Unary", "Stream"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def call(port: int, method: str, status: str = "OK", metadata: Any = ()) -> None:
    """Make a call that ends with this status."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        _call(channel, method, status, metadata)


def _call(channel: Any, method: str, status: str, metadata: Any) -> None:
    make = channel.unary_stream if method == "Stream" else channel.unary_unary
    answer = partial(make(f"/{SERVICE}/{method}"), status.encode(), metadata=metadata)
    if status == "OK":
        list(answer())
        return
    with pytest.raises(grpc.RpcError) as raised:
        list(answer())
    assert raised.value.code().name == status


def counted(recording: Any) -> dict[str, float]:
    """The value of each counter above 0."""
    found = {name: recording.value(name) for name in (ATTEMPTS, DECISIONS, LIMITED, MATCHES)}
    return {name: number for name, number in found.items() if number}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("UNAUTHENTICATED", (ATTEMPTS, {"trust.auth.method": "token", "trust.outcome": "failure"})),
        ("PERMISSION_DENIED", (DECISIONS, {"trust.authz.decision": "deny"})),
        ("RESOURCE_EXHAUSTED", (LIMITED, {"trust.rate_limit.name": f"{SERVICE}/<method>"})),
    ],
)
def test_refusal_counts_once(watched: Any, serve: Any, method: str, status: str, expected: Any) -> None:
    with serve().running(watched) as port:
        call(port, method, status, TOKEN)
    name, labels = expected
    assert counted(watched) == {name: 1}
    assert watched.labels(name) == [{key: value.replace("<method>", method) for key, value in labels.items()}]
    shown = [{"client.address": "127.0.0.1"}] if status == "UNAUTHENTICATED" else []
    assert watched.labels(OFFENDERS) == shown


@pytest.mark.parametrize(
    ("status", "outcome"), [("OK", "success"), ("INVALID_ARGUMENT", "failure"), ("INTERNAL", "error")]
)
def test_call_counts_for_its_client(
    record: Callable[..., Any], serve: Any, method: str, status: str, outcome: str, tmp_path: Path
) -> None:
    recording = record(client_names=frozenset({"acme"}))
    (tmp_path / "sla.toml").write_text(
        f'[sla.calls]\nmetric = "{DURATION}"\nthreshold = 30\nobjective = 0.99\n', encoding="utf-8"
    )
    recording.recorder.business.set_slas(read_slas(tmp_path / "sla.toml"))
    GrpcInstrumentor().instrument(metrics=recording.metrics)
    try:
        with serve(lambda: recording.metrics.set_client("acme")).running(recording) as port:
            call(port, method, status)
    finally:
        GrpcInstrumentor().uninstrument()
    assert recording.labels("trust.client.requests") == [{"trust.client.name": "acme", "trust.outcome": outcome}]
    assert recording.value("trust.sla.events", {"trust.client.name": "acme"}) == 1


@pytest.mark.parametrize("status", ["OK", "NOT_FOUND", "INVALID_ARGUMENT", "UNAVAILABLE", "INTERNAL", "CANCELLED"])
def test_other_statuses_count_nothing(watched: Any, serve: Any, status: str) -> None:
    with serve().running(watched) as port:
        call(port, "Unary", status, TOKEN)
    assert counted(watched) == {}
    assert watched.value(DURATION) == 1


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ((("authorization", "Basic bWFyeQ=="),), "password"),
        ((("authorization", "Bearer x"),), "token"),
        ((("authorization", "Bearer"),), "none"),
        ((("authorization-bin", b"\xff\x00"), ("x-other", "Bearer x")), "none"),
        ((), "none"),
    ],
)
def test_credentials_in_the_metadata(watched: Any, serve: Any, metadata: Any, expected: str) -> None:
    with serve().running(watched) as port:
        call(port, "Unary", "UNAUTHENTICATED", metadata)
    assert [labels["trust.auth.method"] for labels in watched.labels(ATTEMPTS)] == [expected]
    assert bool(watched.series(OFFENDERS)) == (expected != "none")
    assert "bWFyeQ" not in str(watched.collect())


def test_certificate_of_the_client_is_a_credential(watched: Any, serve: Any) -> None:
    certificate, key = _certificate()
    server = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    client = grpc.ssl_channel_credentials(certificate, key, certificate)
    with serve().running(watched, server) as port, grpc.secure_channel(f"127.0.0.1:{port}", client) as channel:
        _call(channel, "Unary", "UNAUTHENTICATED", ())
    assert [labels["trust.auth.method"] for labels in watched.labels(ATTEMPTS)] == ["certificate"]


def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private


@pytest.mark.parametrize(
    ("tell", "status", "expected"),
    [
        ("attempt", "UNAUTHENTICATED", {ATTEMPTS: 1}),
        ("factor", "UNAUTHENTICATED", {}),
        ("decision", "PERMISSION_DENIED", {DECISIONS: 1}),
        ("limit", "RESOURCE_EXHAUSTED", {LIMITED: 1}),
        ("attempt", "PERMISSION_DENIED", {ATTEMPTS: 1}),
        ("match", "PERMISSION_DENIED", {MATCHES: 1}),
        ("success", "PERMISSION_DENIED", {ATTEMPTS: 1, DECISIONS: 1}),
    ],
)
def test_event_that_the_service_records_is_not_counted_again(
    watched: Any, serve: Any, method: str, tell: str, status: str, expected: dict[str, float]
) -> None:
    metrics = watched.metrics
    acts: dict[str, Act] = {
        "attempt": lambda: metrics.record_auth_attempt(method="token", success=False),
        "success": lambda: metrics.record_auth_attempt(method="token", success=True),
        "factor": lambda: metrics.record_mfa_challenge(method="totp", success=False),
        "decision": lambda: metrics.record_authorization(granted=False),
        "limit": lambda: metrics.record_rate_limited("login"),
        "match": lambda: metrics.record_threat_match("blocklist"),
    }
    with serve(acts[tell]).running(watched) as port:
        call(port, method, status, TOKEN)
    assert counted(watched) == expected
    assert watched.labels(OFFENDERS) == ([{"client.address": "127.0.0.1"}] if tell == "attempt" else [])


@pytest.mark.parametrize("kind", ["sync", "aio", "sync handlers on aio"])
def test_concurrent_calls_are_independent(watched: Any, kind: str) -> None:
    """Of two concurrent calls, the service records one itself; the other is still counted."""
    both, turn, arrived = threading.Barrier(2), iter(("told", "silent")), asyncio.Event()

    def tell(which: str) -> None:
        if which == "told":
            watched.metrics.record_auth_attempt(method="password", success=False)

    def act() -> None:
        which = next(turn)
        both.wait(20)
        tell(which)

    async def act_on_the_loop() -> None:
        which = next(turn)
        if which == "silent":
            arrived.set()
        await asyncio.wait_for(arrived.wait(), 20)
        tell(which)

    with Served(kind, act_on_the_loop if kind == "aio" else act).running(watched) as port:
        threads = [threading.Thread(target=call, args=(port, "Unary", "UNAUTHENTICATED", TOKEN)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(labels["trust.auth.method"] for labels in watched.labels(ATTEMPTS)) == ["password", "token"]


def test_task_that_outlives_the_call_has_no_client_address(watched: Any, serve: Any) -> None:
    go, done = threading.Event(), threading.Event()

    def later() -> None:
        assert go.wait(20)
        watched.metrics.record_auth_attempt(method="password", success=False)
        done.set()

    def act() -> None:
        threading.Thread(target=copy_context().run, args=(later,)).start()

    with serve(act).running(watched) as port:
        call(port, "Unary")
    go.set()
    assert done.wait(20)
    assert counted(watched) == {ATTEMPTS: 1}
    assert watched.series(OFFENDERS) == []


def test_listed_client_counts_once_per_call_and_feed(watched: Any, serve: Any, method: str) -> None:
    recorder_of(watched.metrics).security.use_feeds(
        lambda address: ("blocklist", "tor") if address == "127.0.0.1" else ()
    )
    recorder_of(watched.metrics).security.use_countries(lambda address: "DE")
    with serve(lambda: watched.metrics.record_threat_match("tor")).running(watched) as port:
        call(port, method)
        call(port, method)
    assert [(labels, point.value) for labels, point in watched.series(MATCHES)] == [
        ({"trust.threat.feed": feed, "geo.country.iso_code": "DE"}, 2) for feed in ("blocklist", "tor")
    ]


def test_client_address_comes_from_a_trusted_proxy(
    record: Callable[..., Any], serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUST_OTEL_TRUSTED_PROXIES", "127.0.0.0/8")
    recording = record(offender_threshold=1)
    GrpcInstrumentor().instrument(metrics=recording.metrics)
    try:
        with serve().running(recording) as port:
            metadata = (*TOKEN, ("x-forwarded-for", "198.51.100.7"), ("x-raw-bin", b"\xff"))
            call(port, "Unary", "UNAUTHENTICATED", metadata)
    finally:
        GrpcInstrumentor().uninstrument()
    assert recording.labels(OFFENDERS) == [{"client.address": "198.51.100.7"}]


def test_limit_of_concurrent_calls_is_not_a_rate_limit(watched: Any) -> None:
    """The limit applies to all clients; the service refused no particular one."""
    entered, release = threading.Event(), threading.Event()

    def act() -> None:
        entered.set()
        release.wait(20)

    with Served("sync", act, maximum_concurrent_rpcs=1).running(watched) as port:
        first = threading.Thread(target=call, args=(port, "Unary"))
        first.start()
        assert entered.wait(20)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as raised:
            cast(Any, channel.unary_unary(f"/{SERVICE}/Unary"))(b"OK", timeout=20)
        release.set()
        first.join()
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert watched.value(DURATION, {"rpc.response.status_code": "RESOURCE_EXHAUSTED"}) == 1
    assert counted(watched) == {}


class _Refuse(grpc.ServerInterceptor):
    def __init__(self, act: Act) -> None:
        self._act = act

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self._act()

        def abort(request: Any, context: Any) -> None:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "")

        return grpc.unary_unary_rpc_method_handler(abort)


class _AioRefuse(grpc.aio.ServerInterceptor):
    def __init__(self, act: Act) -> None:
        self._act = act

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self._act()

        async def abort(request: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "")

        return grpc.unary_unary_rpc_method_handler(abort)


@pytest.mark.parametrize("told", [False, True])
def test_refusal_by_an_interceptor_counts_like_one_by_the_service(watched: Any, serve: Any, told: bool) -> None:
    def act() -> None:
        if told:
            watched.metrics.record_rate_limited("own")

    interceptor = _Refuse if serve().kind == "sync" else _AioRefuse
    with serve(interceptors=(interceptor(act),)).running(watched) as port:
        call(port, "Unary", "RESOURCE_EXHAUSTED")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError):
            cast(Any, channel.unary_unary("/any/name"))(b"")
    expected = {"own": 2} if told else {f"{SERVICE}/Unary": 1, "_other": 1}
    assert {labels["trust.rate_limit.name"]: point.value for labels, point in watched.series(LIMITED)} == expected


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:567", "192.0.2.1"),
        ("ipv6:[2001:db8::1]:567", "2001:db8::1"),
        ("ipv6:%5B2001:db8::1%5D:567", "2001:db8::1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:567", "fe80::1%eth0"),
        ("unix:/run/app.sock", None),
        ("unix:", None),
        ("unix-abstract:%00app", None),
        ("", None),
        ("unknown", None),
    ],
)
def test_peer_address(peer: str, address: str | None) -> None:
    assert peer_address(peer) == address


def test_client_on_a_unix_socket_has_no_address(watched: Any, tmp_path: Path) -> None:
    recorder_of(watched.metrics).security.use_feeds(lambda address: ("blocklist",))
    served, path = Served("sync", lambda: None), f"unix:{tmp_path}/s"
    with futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, [served.handlers()])
        server.add_insecure_port(path)
        server.start()
        with grpc.insecure_channel(path) as channel:
            _call(channel, "Unary", "UNAUTHENTICATED", TOKEN)
        server.stop(None).wait()
    assert counted(watched) == {ATTEMPTS: 1}
    assert watched.series(OFFENDERS) == []
    assert watched.dropped() == {}
