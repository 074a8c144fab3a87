"""Security events from the responses of real applications."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from weakref import ref

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from trust_otel.instrumentation.http import HttpInstrumentor
from trust_otel.metrics import recorder_of

ATTEMPTS = "trust.auth.attempts"
DECISIONS = "trust.authz.decisions"
LIMITED = "trust.security.rate_limited"
MATCHES = "trust.security.threat_matches"
OFFENDERS = "trust.security.auth.failures"
INCIDENTS = "trust.security.incidents"

BASIC = [(b"authorization", b"Basic bWFyeTpzZWNyZXQ=")]


@pytest.fixture
def watched(record: Callable[..., Any]) -> Iterator[Any]:
    """A recording that exports an address at its first failure."""
    recording = record(offender_threshold=1)
    HttpInstrumentor().instrument(metrics=recording.metrics)
    yield recording
    HttpInstrumentor().uninstrument()


def answering(act: Callable[[], object] = lambda: None) -> FastAPI:
    """An application that calls `act`, then responds with the status in its path."""
    app = FastAPI()

    @app.get("/answer/{status}")
    async def answer(status: int) -> None:
        act()
        raise HTTPException(status)

    return app


def counted(recording: Any) -> dict[str, float]:
    """The value of each counter above 0."""
    found = {name: recording.value(name) for name in (ATTEMPTS, DECISIONS, LIMITED, MATCHES)}
    return {name: number for name, number in found.items() if number}


class TestUnauthenticated:
    @pytest.mark.parametrize(
        ("authorization", "method"),
        [
            (b"Basic bWFyeTpzZWNyZXQ=", "password"),
            (b"bearer abc.def.ghi", "token"),
            (b"DPoP abc", "token"),
            (b'DIGEST username="mary", response="1"', "password"),
            (b"Negotiate YII=", "kerberos"),
            (b"Hawk id=1", "_other"),
            (b"0123456789abcdef", "_other"),
            (b"\xff\xfe\x00 \n\r\t", "_other"),
            (b"B" * 100_000, "_other"),
        ],
    )
    async def test_401_with_credentials_is_a_failed_attempt(
        self, watched: Any, call: Any, authorization: bytes, method: str
    ) -> None:
        await call(answering(), path="/answer/401", headers=[(b"authorization", authorization)])
        assert watched.labels(ATTEMPTS) == [{"trust.auth.method": method, "trust.outcome": "failure"}]
        assert watched.labels(OFFENDERS) == [{"client.address": "192.0.2.1"}]
        assert watched.dropped() == {}

    @pytest.mark.parametrize("headers", [[], [(b"authorization", b"")], [(b"authorization", b"Basic ")]])
    async def test_401_without_credentials_is_not_an_attempt(self, watched: Any, call: Any, headers: Any) -> None:
        for _ in range(20):
            await call(answering(), path="/answer/401", headers=headers)
        assert watched.labels(ATTEMPTS) == [{"trust.auth.method": "none", "trust.outcome": "failure"}]
        assert watched.value(ATTEMPTS) == 20
        assert watched.series(OFFENDERS) == []
        assert watched.value(INCIDENTS) == 0

    async def test_certificate_of_the_client_is_a_credential(self, watched: Any, call: Any) -> None:
        tls = {"tls": {"client_cert_chain": ["-----BEGIN CERTIFICATE-----"]}}
        await call(answering(), path="/answer/401", extensions=tls)
        assert watched.labels(ATTEMPTS) == [{"trust.auth.method": "certificate", "trust.outcome": "failure"}]
        without: list[Any] = [None, {"tls": None}, {"tls": {"client_cert_chain": []}}]
        for extensions in without:
            await call(answering(), path="/answer/401", extensions=extensions)
        assert watched.value(ATTEMPTS, {"trust.auth.method": "none"}) == 3

    async def test_fastapi_security_is_counted(self, watched: Any, call: Any) -> None:
        app = FastAPI()

        @app.get("/", dependencies=[Depends(HTTPBasic())])
        async def read() -> None: ...

        await call(app)
        await call(app, headers=[(b"authorization", b"Basic not-base64")])
        await call(app, headers=BASIC)
        methods = {labels["trust.auth.method"]: point.value for labels, point in watched.series(ATTEMPTS)}
        assert methods == {"none": 1, "password": 1}


class TestOtherResponses:
    async def test_403_is_a_denial(self, watched: Any, call: Any) -> None:
        await call(answering(), path="/answer/403", headers=BASIC)
        assert watched.labels(DECISIONS) == [{"trust.authz.decision": "deny"}]
        assert counted(watched) == {DECISIONS: 1}
        assert watched.series(OFFENDERS) == []

    async def test_429_is_a_rate_limit_with_the_name_of_the_route(self, watched: Any, call: Any) -> None:
        await call(answering(), path="/answer/429")
        assert watched.labels(LIMITED) == [{"trust.rate_limit.name": "/answer/{status}"}]
        assert counted(watched) == {LIMITED: 1}

    async def test_429_without_a_route_has_no_name(self, watched: Any, call: Any) -> None:
        async def refuse(request: Request, call_next: Any) -> Response:
            return Response(status_code=429)

        app = Starlette(middleware=[Middleware(BaseHTTPMiddleware, dispatch=refuse)])
        for path in ("/a", "/b"):
            await call(app, path=path)
        assert watched.labels(LIMITED) == [{"trust.rate_limit.name": "_other"}]
        assert watched.value(LIMITED) == 2
        assert watched.dropped() == {}

    @pytest.mark.parametrize("status", [200, 302, 400, 402, 404, 405, 407, 422, 428, 431, 500, 503])
    async def test_other_statuses_count_nothing(self, watched: Any, call: Any, status: int) -> None:
        await call(answering(), path=f"/answer/{status}", headers=BASIC)
        assert counted(watched) == {}


class TestSourceOfResponses:
    """Every response counts once, whatever creates it."""

    @pytest.mark.parametrize("status", [401, 403, 429])
    @pytest.mark.parametrize("where", ["middleware", "exception handler", "mounted", "mounted middleware", "included"])
    async def test_response_counts_once(self, watched: Any, call: Any, where: str, status: int) -> None:
        async def refuse(request: Request, call_next: Any) -> Response:
            return Response(status_code=status)

        app = FastAPI()
        if where == "middleware":
            app.add_middleware(BaseHTTPMiddleware, dispatch=refuse)
        elif where == "exception handler":

            @app.exception_handler(KeyError)
            async def handle(request: Request, error: KeyError) -> JSONResponse:
                return JSONResponse({}, status)

            @app.get("/answer/{x}")
            async def fail(x: str) -> None:
                raise KeyError

        elif where == "included":
            app.include_router(answering().router)
        else:
            inner = FastAPI(middleware=[Middleware(BaseHTTPMiddleware, dispatch=refuse)] if " " in where else [])
            inner.mount("/", answering())
            app.mount("/", inner)
        done = await call(app, path=f"/answer/{status}", headers=BASIC)
        assert done.sent[0]["status"] == status
        assert counted(watched) == {{401: ATTEMPTS, 403: DECISIONS, 429: LIMITED}[status]: 1}

    def test_refused_websocket_is_not_counted(self, watched: Any) -> None:
        app = FastAPI()

        @app.websocket("/ws")
        async def refuse(socket: WebSocket) -> None:
            await socket.close(1008)

        with TestClient(app) as session, pytest.raises(WebSocketDisconnect), session.websocket_connect("/ws"):
            pass
        assert counted(watched) == {}

    async def test_application_that_calls_another_counts_both_responses(
        self, watched: Any, call: Any, client: Any
    ) -> None:
        app = FastAPI()

        @app.get("/outer")
        async def outer() -> None:
            async with client(answering()) as session:
                await session.get("/answer/401", headers={"authorization": "Bearer x"})
            watched.metrics.record_auth_attempt(method="certificate", success=False)
            raise HTTPException(401)

        await call(app, path="/outer")
        assert [labels["trust.auth.method"] for labels in watched.labels(ATTEMPTS)] == ["token", "certificate"]
        assert {labels["client.address"] for labels in watched.labels(OFFENDERS)} == {"127.0.0.1", "192.0.2.1"}

    async def test_client_that_disconnects_early_is_counted(self, watched: Any, call: Any) -> None:
        async def gone(message: Any) -> None:
            if message["type"] == "http.response.body":
                raise OSError

        await call(answering(), path="/answer/401", headers=BASIC, send=gone)
        assert counted(watched) == {ATTEMPTS: 1}


def _attempt(success: bool) -> Callable[[Any], object]:
    return lambda metrics: metrics.record_auth_attempt(method="password", success=success)


def _factor(success: bool) -> Callable[[Any], object]:
    return lambda metrics: metrics.record_mfa_challenge(method="totp", success=success)


def _decision(granted: bool) -> Callable[[Any], object]:
    return lambda metrics: metrics.record_authorization(granted=granted)


def _limit(metrics: Any) -> None:
    metrics.record_rate_limited("login")


def _match(metrics: Any) -> None:
    metrics.record_threat_match("blocklist")


def _incident(metrics: Any) -> None:
    metrics.record_security_incident("session_replay", severity="warning")


class TestEventsOfTheService:
    """An event that the service records counts; the response counts only if it has another cause."""

    @pytest.mark.parametrize(
        ("acts", "status", "expected"),
        [
            # The same kind of event: not counted again.
            ([_attempt(False)], 401, {ATTEMPTS: 1}),
            ([_attempt(True)], 401, {ATTEMPTS: 1}),
            ([_factor(False)], 401, {}),
            ([_decision(False)], 403, {DECISIONS: 1}),
            ([_decision(True)], 403, {DECISIONS: 1}),
            ([_limit], 429, {LIMITED: 1}),
            # Another refusal is the cause of the 401 or 403.
            ([_attempt(False)], 403, {ATTEMPTS: 1}),
            ([_factor(False)], 403, {}),
            ([_limit], 403, {LIMITED: 1}),
            ([_match], 403, {MATCHES: 1}),
            ([_match], 401, {MATCHES: 1}),
            ([_decision(False)], 401, {DECISIONS: 1}),
            # A success is not the cause of a refusal.
            ([_attempt(True)], 403, {ATTEMPTS: 1, DECISIONS: 1}),
            ([_match, _attempt(True)], 403, {MATCHES: 1, ATTEMPTS: 1, DECISIONS: 1}),
            ([_decision(True)], 401, {DECISIONS: 1, ATTEMPTS: 1}),
            ([_incident], 401, {ATTEMPTS: 1}),
            # 429 has only one meaning.
            ([_attempt(False)], 429, {ATTEMPTS: 1, LIMITED: 1}),
            ([_match], 429, {MATCHES: 1, LIMITED: 1}),
        ],
    )
    async def test_response_counts_only_if_it_adds_information(
        self, watched: Any, call: Any, acts: Any, status: int, expected: dict[str, float]
    ) -> None:
        app = answering(lambda: [act(watched.metrics) for act in acts])
        await call(app, path=f"/answer/{status}", headers=BASIC)
        assert counted(watched) == expected

    @pytest.mark.parametrize("where", ["middleware", "dependency", "sync dependency", "sync handler"])
    async def test_event_may_be_recorded_anywhere_in_the_request(self, watched: Any, call: Any, where: str) -> None:
        def tell() -> None:
            watched.metrics.record_auth_attempt(method="password", success=False, account="mary")
            raise HTTPException(401)

        async def dependency() -> None:
            tell()

        async def middleware(request: Request, call_next: Any) -> Any:
            try:
                tell()
            except HTTPException:
                return Response(status_code=401)

        app = FastAPI()
        if where == "middleware":
            app.add_middleware(BaseHTTPMiddleware, dispatch=middleware)
        depends = {"dependency": [Depends(dependency)], "sync dependency": [Depends(tell)]}.get(where, [])

        @app.get("/", dependencies=depends)
        def read() -> None:
            tell()

        await call(app, headers=BASIC)
        assert counted(watched) == {ATTEMPTS: 1}
        assert watched.labels(OFFENDERS) == [{"client.address": "192.0.2.1"}]

    async def test_concurrent_requests_are_independent(self, watched: Any, call: Any) -> None:
        """Some requests record an event themselves while others wait; the others are still counted."""
        arrived, go = asyncio.Semaphore(0), asyncio.Event()
        app = FastAPI()

        @app.get("/{kind}")
        async def read(kind: str) -> None:
            arrived.release()
            await go.wait()
            if kind == "told":
                watched.metrics.record_auth_attempt(method="password", success=False)
            raise HTTPException(401)

        requests = [
            asyncio.create_task(call(app, path=path, headers=headers, client=(f"192.0.2.{number}", 1)))
            for number in range(10)
            for path, headers in (("/told", []), ("/silent", [(b"authorization", b"Bearer x")]))
        ]
        for _ in requests:
            await arrived.acquire()
        go.set()
        await asyncio.gather(*requests)
        assert {labels["trust.auth.method"]: point.value for labels, point in watched.series(ATTEMPTS)} == {
            "password": 10,
            "token": 10,
        }
        assert {labels["client.address"]: point.value for labels, point in watched.series(OFFENDERS)} == {
            f"192.0.2.{number}": 2 for number in range(10)
        }


class TestAfterTheResponse:
    """What runs in the context of a request after its response is not part of it."""

    @pytest.mark.parametrize("sync", [False, True])
    async def test_background_task_has_no_client_address(self, watched: Any, call: Any, sync: bool) -> None:
        def record() -> None:
            watched.metrics.record_auth_attempt(method="password", success=False)

        async def record_later() -> None:
            record()

        app = FastAPI()

        @app.get("/")
        async def read(tasks: BackgroundTasks) -> None:
            record()
            watched.metrics.record_threat_match("blocklist")
            tasks.add_task(record if sync else record_later)
            tasks.add_task(watched.metrics.record_threat_match, "blocklist")

        await call(app)
        assert watched.value(ATTEMPTS) == 2
        assert watched.value(OFFENDERS) == 1
        assert watched.value(MATCHES) == 2

    async def test_task_that_outlives_the_request_releases_it(self, watched: Any, call: Any) -> None:
        go = asyncio.Event()
        started: list[Any] = []

        async def work() -> None:
            await go.wait()
            watched.metrics.record_rate_limited("work")
            watched.metrics.record_auth_attempt(method="password", success=False)

        app = FastAPI()

        @app.get("/start")
        async def start() -> None:
            started.append(asyncio.create_task(work()))

        class Thing:
            """Supports weak references."""

        thing = Thing()
        kept = ref(thing)
        await call(app, path="/start", client=("192.0.2.9", 1), thing=thing)
        del thing
        gc.collect()
        assert kept() is None
        second = asyncio.create_task(call(answering(go.set), path="/answer/429", client=("192.0.2.10", 1)))
        await asyncio.gather(second, *started)
        assert watched.series(OFFENDERS) == []
        assert sorted(labels["trust.rate_limit.name"] for labels in watched.labels(LIMITED)) == [
            "/answer/{status}",
            "work",
        ]


class TestClientAddress:
    @pytest.fixture
    def behind(self, record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        """Like `watched`, behind proxies in 10.0.0.0/8."""
        monkeypatch.setenv("TRUST_OTEL_TRUSTED_PROXIES", "10.0.0.0/8")
        recording = record(offender_threshold=1)
        HttpInstrumentor().instrument(metrics=recording.metrics)
        yield recording
        HttpInstrumentor().uninstrument()

    @pytest.mark.parametrize(
        ("peer", "shown"),
        [("10.0.0.1", "198.51.100.7"), ("192.0.2.1", "192.0.2.1"), ("::ffff:10.1.1.1", "198.51.100.7")],
    )
    async def test_only_trusted_proxies_set_the_client_address(
        self, behind: Any, call: Any, peer: str, shown: str
    ) -> None:
        headers = [*BASIC, (b"x-forwarded-for", b"203.0.113.5, 198.51.100.7")]
        await call(answering(), path="/answer/401", headers=headers, client=(peer, 1))
        assert behind.labels(OFFENDERS) == [{"client.address": shown}]

    @pytest.mark.parametrize("client", [None, ("", 0), ("testclient", 1), ("/run/app.sock", None), [], ("\x00" * 9, 1)])
    async def test_client_without_an_address(self, watched: Any, call: Any, client: Any) -> None:
        recorder_of(watched.metrics).security.use_countries(lambda address: "DE")
        recorder_of(watched.metrics).security.use_feeds(lambda address: ("blocklist",))
        done = await call(answering(), path="/answer/401", headers=BASIC, client=client)
        assert done.sent[0]["status"] == 401
        assert watched.labels(ATTEMPTS) == [{"trust.auth.method": "password", "trust.outcome": "failure"}]
        assert watched.series(OFFENDERS) == watched.series(MATCHES) == []
        assert watched.dropped() == {}

    async def test_invalid_scope_affects_only_the_measurement(self, watched: Any, call: Any) -> None:
        recorder_of(watched.metrics).security.use_feeds(lambda address: ("blocklist",))
        done = await call(answering(), path="/answer/401", client=7)
        assert done.sent[0]["status"] == 401
        assert watched.value("http.server.request.duration") == 1
        assert set(watched.dropped()) == {"internal_error"}

    async def test_country_is_looked_up(self, watched: Any, call: Any) -> None:
        recorder_of(watched.metrics).security.use_countries({"192.0.2.1": "DE"}.get)
        await call(answering(), path="/answer/401")
        await call(answering(lambda: _attempt(False)(watched.metrics)), path="/answer/401")
        assert [labels["geo.country.iso_code"] for labels in watched.labels(ATTEMPTS)] == ["DE", "DE"]

    async def test_no_secret_or_personal_data_is_exported(
        self, watched: Any, call: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(address: str) -> Any:
            raise KeyError(address)

        recorder_of(watched.metrics).security.use_countries(fail)
        recorder_of(watched.metrics).security.use_feeds(fail)
        app = answering(lambda: watched.metrics.record_auth_attempt(method="password", success=True, account="mary@x"))
        for path in ("/answer/401", "/answer/403", "/personal/mary"):
            for headers in ([(b"authorization", b"Bearer tok3n")], [(b"authorization", b"tok3n")]):
                await call(app, path=path, headers=headers, query_string=b"password=tok3n")
        everything = str(watched.collect()) + caplog.text
        assert not [word for word in ("mary", "tok3n", "personal", "192.0.2.1") if word in everything]


class TestThreatMatches:
    async def test_request_of_a_listed_client_counts_once_per_feed(self, watched: Any, call: Any) -> None:
        lists = {"192.0.2.1": ("blocklist", "tor"), "192.0.2.2": ("tor",)}
        recorder_of(watched.metrics).security.use_feeds(lambda address: lists.get(address, ()))
        recorder_of(watched.metrics).security.use_countries({"192.0.2.1": "DE"}.get)
        for number in range(4):
            await call(answering(), path="/answer/200", client=(f"192.0.2.{number}", 1))
        assert [(labels, point.value) for labels, point in watched.series(MATCHES)] == [
            ({"trust.threat.feed": "blocklist", "geo.country.iso_code": "DE"}, 1),
            ({"trust.threat.feed": "tor", "geo.country.iso_code": "DE"}, 1),
            ({"trust.threat.feed": "tor"}, 1),
        ]

    async def test_match_that_the_service_also_records_counts_once(self, watched: Any, call: Any) -> None:
        recorder_of(watched.metrics).security.use_feeds(lambda address: ("blocklist",))

        def record() -> None:
            for feed in ("blocklist", "blocklist", "own", "own"):
                watched.metrics.record_threat_match(feed)

        await call(answering(record), path="/answer/403")
        assert {labels["trust.threat.feed"]: point.value for labels, point in watched.series(MATCHES)} == {
            "blocklist": 1,
            "own": 1,
        }
        assert watched.value(DECISIONS) == 0

    async def test_match_alone_does_not_explain_a_refusal(self, watched: Any, call: Any) -> None:
        recorder_of(watched.metrics).security.use_feeds(lambda address: ("blocklist",))
        await call(answering(), path="/answer/403")
        assert counted(watched) == {MATCHES: 1, DECISIONS: 1}

    async def test_mounted_application_matches_once(self, watched: Any, call: Any) -> None:
        recorder_of(watched.metrics).security.use_feeds(lambda address: ("blocklist",))
        app = FastAPI()
        app.mount("/", answering())
        await call(app, path="/answer/200")
        assert watched.value(MATCHES) == 1

    async def test_failing_feed_does_not_affect_requests(
        self, watched: Any, call: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(address: str) -> tuple[str, ...]:
            raise RuntimeError(address)

        recorder_of(watched.metrics).security.use_feeds(fail)
        for _ in range(3):
            assert (await call(answering(), path="/answer/403")).sent[0]["status"] == 403
        assert watched.dropped() == {"internal_error": 3}
        assert len(caplog.records) == 1
        assert counted(watched) == {DECISIONS: 3}


class TestUnknownPaths:
    """A client that requests many paths that do not exist is a scanner."""

    SCANNING: ClassVar = {"trust.security.incident.type": "path_scanning"}

    async def _scan(self, call: Any, app: Any, prefix: str = "", status: int = 404) -> None:
        for number in range(100):
            done = await call(app, path=f"{prefix}/backup-{number}.zip")
            assert done.sent[0]["status"] == status

    async def _not_found(self, request: Request) -> Response:
        raise StarletteHTTPException(404)

    async def test_no_route(self, watched: Any, call: Any) -> None:
        await self._scan(call, answering())
        assert watched.value(INCIDENTS, self.SCANNING) >= 1

    async def test_many_requests_for_one_missing_path_are_not_a_scan(self, watched: Any, call: Any) -> None:
        for _ in range(300):
            await call(answering(), path="/favicon.ico")
        assert watched.value(INCIDENTS) == 0

    async def test_no_route_in_a_mounted_application(self, watched: Any, call: Any) -> None:
        app = FastAPI()
        app.mount("/v1", answering())
        await self._scan(call, app, "/v1")
        assert watched.value(INCIDENTS, self.SCANNING) >= 1

    async def test_no_such_static_file(self, watched: Any, call: Any, tmp_path: Any) -> None:
        await self._scan(call, Starlette(routes=[Mount("/static", StaticFiles(directory=tmp_path))]), "/static")
        assert watched.value(INCIDENTS, self.SCANNING) >= 1

    async def test_404_of_a_route_is_not_counted(self, watched: Any, call: Any) -> None:
        await self._scan(call, Starlette(routes=[Route("/{name}", self._not_found)]))
        assert watched.value(INCIDENTS, self.SCANNING) == 0

    async def test_404_of_a_route_in_a_mount_is_not_counted(self, watched: Any, call: Any) -> None:
        mounted = Starlette(routes=[Route("/{name}", self._not_found)])
        await self._scan(call, Starlette(routes=[Mount("/v1", mounted)]), "/v1")
        assert watched.value(INCIDENTS, self.SCANNING) == 0

    async def test_404_of_another_kind_of_application_is_not_counted(self, watched: Any, call: Any) -> None:
        await self._scan(call, Starlette(routes=[Mount("/other", PlainTextResponse("", 404))]), "/other")
        assert watched.value(INCIDENTS, self.SCANNING) == 0


class TestDecoratedHandlers:
    """Without the instrumentation."""

    @pytest.fixture
    def bare(self, record: Callable[..., Any]) -> Any:
        return record(offender_threshold=1)

    @staticmethod
    def _request(**headers: str) -> Any:
        return type("Request", (), {"method": "GET", "headers": headers})()

    @pytest.mark.parametrize(
        ("status", "expected"), [(401, ATTEMPTS), (403, DECISIONS), (429, LIMITED), (404, None), (200, None)]
    )
    def test_response_counts(self, bare: Any, status: int, expected: str | None) -> None:
        bare.metrics.http_request_metrics(route="/r")(lambda: Response(status_code=status))()
        assert counted(bare) == ({expected: 1} if expected else {})
        assert bare.labels(LIMITED) == ([{"trust.rate_limit.name": "/r"}] if status == 429 else [])

    def test_exception_with_a_status_counts(self, bare: Any) -> None:
        @bare.metrics.http_request_metrics()
        def handler(request: Any) -> None:
            raise HTTPException(401)

        with pytest.raises(HTTPException):
            handler(self._request(Authorization="Bearer x"))
        with pytest.raises(HTTPException):
            handler(self._request(authorization="Basic x"))
        with pytest.raises(HTTPException):
            handler(self._request())
        assert [labels["trust.auth.method"] for labels in bare.labels(ATTEMPTS)] == ["token", "password", "none"]

    async def test_event_of_the_handler_counts_once(self, bare: Any) -> None:
        @bare.metrics.http_request_metrics()
        async def handler(number: int) -> Response:
            await asyncio.sleep(0)
            if number % 2:
                bare.metrics.record_auth_attempt(method="password", success=False, client_address="192.0.2.1")
            return Response(status_code=401)

        await asyncio.gather(*(handler(number) for number in range(10)))
        assert {labels["trust.auth.method"]: point.value for labels, point in bare.series(ATTEMPTS)} == {
            "password": 5,
            "none": 5,
        }

    async def test_task_that_outlives_the_handler_is_not_part_of_its_request(self, bare: Any) -> None:
        go = asyncio.Event()
        started: list[Any] = []
        other = bare.metrics.http_request_metrics(route="other")(lambda: Response(status_code=429))

        async def later() -> None:
            await go.wait()
            other()

        @bare.metrics.http_request_metrics()
        async def handler() -> None:
            started.append(asyncio.create_task(later()))

        await handler()
        go.set()
        await asyncio.gather(*started)
        assert bare.labels(LIMITED) == [{"trust.rate_limit.name": "other"}]

    async def test_decorated_handler_in_an_instrumented_application_counts_once(self, watched: Any, call: Any) -> None:
        app = FastAPI()

        @app.get("/")
        @watched.metrics.http_request_metrics()
        async def read() -> None:
            raise HTTPException(401)

        await call(app, headers=BASIC)
        assert counted(watched) == {ATTEMPTS: 1}
