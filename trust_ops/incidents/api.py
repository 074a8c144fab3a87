"""The HTTP API: Alertmanager sends notifications, operators and PagerDuty acknowledge incidents."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, FastAPI, Query, Request, Response, params
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, Field, Strict, StringConstraints, TypeAdapter
from starlette.exceptions import HTTPException

from trust_ops.durations import parse_duration
from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import AlertmanagerError
from trust_ops.incidents.connections import authorized
from trust_ops.incidents.database import DatabaseUnavailableError
from trust_ops.incidents.health import Health
from trust_ops.incidents.pagerduty import SIGNATURE_HEADER, SigningSecrets, parse_event, signatures
from trust_ops.incidents.pagerduty_events import NotYetRecordedError, PagerDutyEvents
from trust_ops.incidents.payload import parse
from trust_ops.incidents.store import AlreadyResolvedError, NoSuchIncidentError, Store
from trust_ops.incidents.tokens import TokenFile
from trust_ops.incidents.validation import STORABLE, InvalidError, Time, from_json, parsed_by, problem

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class _Json(Response):
    """JSON in ASCII: control and bidirectional characters are escaped, which keeps terminals safe."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


MAX_DELIVERY_BYTES = 16 * 1024 * 1024
"""Ten thousand alerts: more than an Alertmanager should put into one notification."""

# PagerDuty guarantees the delivery of webhooks of up to 55 KiB.
_MAX_REQUEST_BYTES = 64 * 1024
_MAX_TEXT_LENGTH = 10_000
# Below the 10 s after which Alertmanager retries without logging a reason.
_BODY_SECONDS = 8
_WORK_SECONDS = 8
_MAX_SILENCE = timedelta(days=7)
_READ = ["GET", "HEAD"]

# Databases accept no larger id.
_Number = Annotated[int, AfterValidator(lambda number: min(number, 2**31 - 1))]


def _silence_duration(text: str) -> timedelta:
    duration = parse_duration(text)
    if not timedelta(minutes=1) <= duration <= _MAX_SILENCE:
        raise ValueError(f"{text} is not between 1m and {_MAX_SILENCE.days}d")
    return duration


_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), STORABLE]


@dataclass(frozen=True)
class _Acknowledgement:
    by: _Name
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=_MAX_TEXT_LENGTH), STORABLE] = ""
    duration: Annotated[timedelta, Strict(), parsed_by(_silence_duration), Field(validation_alias="for")] = timedelta(
        hours=2
    )


@dataclass(frozen=True)
class _Note:
    by: _Name
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=_MAX_TEXT_LENGTH), STORABLE]


_ACKNOWLEDGEMENT, _NOTE = TypeAdapter(_Acknowledgement), TypeAdapter(_Note)


@dataclass(frozen=True)
class PagerDuty:
    """Receives PagerDuty's webhooks.

    Attributes:
        secrets: Sign the webhooks.
        events: Processes them.
    """

    secrets: SigningSecrets
    events: PagerDutyEvents


class App:
    """The HTTP API.

    Args:
        store: The incidents.
        acknowledgements: Acknowledges incidents.
        deliver: Tokens that may send notifications.
        operate: Tokens that may read and acknowledge incidents.
        alertmanager: Returns the state of Alertmanager.
        pagerduty: Receives PagerDuty's webhooks; `None` to reject them.
    """

    def __init__(
        self,
        store: Store,
        acknowledgements: Acknowledgements,
        deliver: TokenFile,
        operate: TokenFile,
        alertmanager: Callable[[], str],
        pagerduty: PagerDuty | None = None,
    ) -> None:
        self._store = store
        self._acknowledgements = acknowledgements
        self._alertmanager = alertmanager
        self._pagerduty = pagerduty
        self._deliver = deliver
        self._operate = operate
        self._health = Health(store.check)

    def asgi(self) -> FastAPI:
        """The ASGI application."""
        # No description of the API: it would be readable without a token.
        app = FastAPI(openapi_url=None, default_response_class=_Json, exception_handlers=_HANDLERS)
        app.add_api_route("/healthz", self._healthz, methods=_READ)
        app.add_api_route(
            "/webhook", self._webhook, methods=["POST"], dependencies=[_requires(self._deliver, reject=self._operate)]
        )
        app.add_api_route("/pagerduty", self._pagerduty_webhook, methods=["POST"], status_code=202)
        operators = APIRouter(dependencies=[_requires(self._operate, reject=self._deliver)])
        operators.add_api_route("/incidents", self._list, methods=_READ)
        operators.add_api_route("/incidents/{number}", self._show, methods=_READ)
        operators.add_api_route("/incidents/{number}/acknowledge", self._acknowledge, methods=["POST"])
        operators.add_api_route("/incidents/{number}/notes", self._note, methods=["POST"], status_code=201)
        operators.add_api_route("/records", self._records, methods=_READ)
        app.include_router(operators)
        return app

    async def _healthz(self) -> Response:
        problem = await self._health.problem()
        if problem is not None:
            return _Json({"error": problem, "database": "down"}, status_code=503)
        return _Json({"database": "up", "alertmanager": self._alertmanager()})

    async def _webhook(self, request: Request) -> dict[str, int]:
        body = await _body(request, MAX_DELIVERY_BYTES)
        try:
            notification = await _in_thread(parse, body)
        except InvalidError as error:
            _logger.error("trust-otel: notification rejected: %s", error)
            raise
        outcome = await _in_thread(self._store.deliver, notification)
        if notification.truncated > 0:
            _logger.warning(
                "trust-otel: Alertmanager truncated %d alerts from a notification, they are not recorded: raise "
                "max_alerts of its webhook",
                notification.truncated,
            )
        _logger.info("trust-otel: notification from receiver %s: %s", notification.receiver, dict(outcome))
        return outcome

    async def _pagerduty_webhook(self, request: Request) -> dict[str, str]:
        if self._pagerduty is None:
            raise HTTPException(404, "PagerDuty's webhooks are not configured: set --pagerduty-secret-file")
        header = ",".join(request.headers.getlist(SIGNATURE_HEADER))
        # The signature is that of the body, so the body is read before it is checked, but not without a signature.
        body = await _body(request, _MAX_REQUEST_BYTES) if signatures(header) else b""
        if not self._pagerduty.secrets.signed(body, header):
            raise HTTPException(401, f"{SIGNATURE_HEADER} is missing or wrong", {"WWW-Authenticate": SIGNATURE_HEADER})
        _serve_now(request)
        try:
            event = parse_event(body)
            outcome = "ignored" if event is None else await _in_thread(self._pagerduty.events.process, event)
        except InvalidError as error:
            _logger.error("trust-otel: a webhook of PagerDuty was rejected: %s", error)
            raise
        return {"outcome": outcome}

    async def _list(
        self,
        only_open: Annotated[bool, Query(alias="open")] = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        found, more = await _in_thread(partial(self._store.incidents, only_open=only_open, limit=limit))
        return {"incidents": found, "more": more}

    async def _show(self, number: _Number) -> dict[str, Any]:
        found, timeline = await _in_thread(self._store.incident, number)
        return {**asdict(found), "timeline": timeline}

    async def _acknowledge(self, number: _Number, request: Request) -> dict[str, Any]:
        asked = from_json(_ACKNOWLEDGEMENT, await _body(request, _MAX_REQUEST_BYTES))
        until = await _in_thread(self._acknowledgements.acknowledge, number, asked.by, asked.comment, asked.duration)
        return {"silenced_until": until}

    async def _note(self, number: _Number, request: Request) -> dict[str, Any]:
        note = from_json(_NOTE, await _body(request, _MAX_REQUEST_BYTES))
        await _in_thread(self._store.note, number, note.by, note.text)
        return {}

    async def _records(self, start: Annotated[Time, Query(alias="from")], until: Time) -> dict[str, Any]:
        return {"records": await _in_thread(self._store.records, start, until)}


def _requires(tokens: TokenFile, *, reject: TokenFile) -> params.Depends:
    async def check(request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise HTTPException(401, "a bearer token is required", {"WWW-Authenticate": "Bearer"})
        allowed, known = tokens.contains(token), reject.contains(token)
        if not allowed and known:
            raise HTTPException(
                403,
                "this token is not for this endpoint: use the deliver token for /webhook, an operator token elsewhere",
            )
        if not allowed:
            raise HTTPException(401, "the bearer token is unknown", {"WWW-Authenticate": "Bearer"})
        _serve_now(request)

    return params.Depends(check)


def _serve_now(request: Request) -> None:
    if not authorized(request.scope):
        # Alertmanager and PagerDuty retry.
        raise HTTPException(503, "too many concurrent requests, try again", {"Retry-After": "1"})


async def _body(request: Request, max_bytes: int) -> bytes:
    # Not a parameter of the endpoint: FastAPI would read it without a limit, and before it asks for the token.
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    chunks, size = [], 0
    try:
        with anyio.fail_after(_BODY_SECONDS):
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError as error:
        # Not 408: Alertmanager and PagerDuty would not retry.
        raise HTTPException(503, f"the body did not arrive within {_BODY_SECONDS} s") from error
    return b"".join(chunks)


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {max_bytes} bytes", {"Connection": "close"})


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a blocking function. If it hangs it is abandoned, and the client is asked to retry."""
    with anyio.fail_after(_WORK_SECONDS):
        return await anyio.to_thread.run_sync(partial(function, *arguments), abandon_on_cancel=True)


def _error_response(status: int) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        return _Json({"error": str(error)}, status_code=status)

    return answer


async def _http_error(_: Request, error: HTTPException) -> Response:
    return _Json({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def _invalid_parameter(_: Request, error: RequestValidationError) -> Response:
    # Without the first part of the location, such as "query".
    errors = [{**each, "loc": each["loc"][1:]} for each in error.errors()]
    return _Json({"error": problem(errors)}, status_code=400)


async def _database_unavailable(request: Request, error: Exception) -> Response:
    _logger.error("trust-otel: %s failed, the database is unavailable: %s", request.url.path, error)
    return _Json({"error": "the database is unavailable, try again", "database": "down"}, status_code=503)


async def _timed_out(request: Request, _: Exception) -> Response:
    _logger.error("trust-otel: %s took longer than %d s", request.url.path, _WORK_SECONDS)
    return _Json({"error": f"no result within {_WORK_SECONDS} s, try again"}, status_code=503)


_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _http_error,
    RequestValidationError: _invalid_parameter,
    InvalidError: _error_response(400),
    DatabaseUnavailableError: _database_unavailable,
    TimeoutError: _timed_out,
    NoSuchIncidentError: _error_response(404),
    AlreadyResolvedError: _error_response(409),
    AlertmanagerError: _error_response(502),
    NotYetRecordedError: _error_response(503),
}
