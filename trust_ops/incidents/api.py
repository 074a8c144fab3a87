"""The HTTP API: Alertmanager sends notifications, operators acknowledge incidents."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trust_ops.durations import parse_duration
from trust_ops.incidents import incident, records
from trust_ops.incidents.acknowledgement import Acknowledgements
from trust_ops.incidents.alertmanager import AlertmanagerError
from trust_ops.incidents.connections import authorized
from trust_ops.incidents.database import DatabaseUnavailableError
from trust_ops.incidents.health import Health
from trust_ops.incidents.payload import PayloadError, parse, storable
from trust_ops.incidents.store import AlreadyResolvedError, NoSuchIncidentError, Store
from trust_ops.incidents.times import format_time, parse_time
from trust_ops.incidents.tokens import TokenFile

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class _Json(Response):
    """JSON in ASCII: control and bidirectional characters are escaped, which keeps terminals safe."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


MAX_DELIVERY_BYTES = 16 * 1024 * 1024
"""Ten thousand alerts: more than an Alertmanager should put into one notification."""

_MAX_REQUEST_BYTES = 64 * 1024
_MAX_TEXT_LENGTH = 10_000
_MAX_NAME_LENGTH = 100
# Below the 10 s after which Alertmanager retries without logging a reason.
_BODY_SECONDS = 8
_WORK_SECONDS = 8
_MAX_SILENCE = timedelta(days=7)
_MAX_LISTED = 1000


class App:
    """The HTTP API.

    Args:
        store: The incidents.
        acknowledgements: Acknowledges incidents.
        deliver: Tokens that may send notifications.
        operate: Tokens that may read and acknowledge incidents.
        alertmanager: Returns the state of Alertmanager.
    """

    def __init__(
        self,
        store: Store,
        acknowledgements: Acknowledgements,
        deliver: TokenFile,
        operate: TokenFile,
        alertmanager: Callable[[], str],
    ) -> None:
        self._store = store
        self._acknowledgements = acknowledgements
        self._alertmanager = alertmanager
        self._deliver = deliver
        self._operate = operate
        self._health = Health(store.check)

    def asgi(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/webhook", self._webhook, methods=["POST"]),
                Route("/incidents", self._list),
                Route("/incidents/{number:int}", self._show),
                Route("/incidents/{number:int}/acknowledge", self._acknowledge, methods=["POST"]),
                Route("/incidents/{number:int}/notes", self._note, methods=["POST"]),
                Route("/records", self._records),
            ],
            exception_handlers=_HANDLERS,
        )

    async def _healthz(self, request: Request) -> Response:
        problem = await self._health.problem()
        if problem is not None:
            return _Json({"error": problem, "database": "down"}, status_code=503)
        return _Json({"database": "up", "alertmanager": self._alertmanager()})

    async def _webhook(self, request: Request) -> Response:
        _require_token(request, self._deliver, reject=self._operate)
        notification = await _in_thread(parse, await _body(request, MAX_DELIVERY_BYTES))
        outcome = await _in_thread(self._store.deliver, notification)
        if notification.truncated > 0:
            _logger.warning(
                "trust-otel: Alertmanager truncated %d alerts from a notification, they are not recorded: raise "
                "max_alerts of its webhook",
                notification.truncated,
            )
        _logger.info("trust-otel: notification from receiver %s: %s", notification.receiver, dict(outcome))
        return _Json(dict(outcome))

    async def _list(self, request: Request) -> Response:
        _require_token(request, self._operate, reject=self._deliver)
        limit = _integer(request.query_params.get("limit", "100"), "limit", _MAX_LISTED)
        only_open = request.query_params.get("open", "false") == "true"
        found, more = await _in_thread(partial(self._store.incidents, only_open=only_open, limit=limit))
        return _Json({"incidents": [incident.to_json(one) for one in found], "more": more})

    async def _show(self, request: Request) -> Response:
        _require_token(request, self._operate, reject=self._deliver)
        found, timeline = await _in_thread(self._store.incident, _incident_integer(request))
        return _Json({**incident.to_json(found), "timeline": [incident.to_json(event) for event in timeline]})

    async def _acknowledge(self, request: Request) -> Response:
        _require_token(request, self._operate, reject=self._deliver)
        content = await _json_object(request)
        person = _text_field(content, "by", _MAX_NAME_LENGTH)
        comment = _text_field(content, "comment", _MAX_TEXT_LENGTH, default="")
        duration = _duration(_text_field(content, "for", _MAX_NAME_LENGTH, default="2h"))
        until = await _in_thread(
            self._acknowledgements.acknowledge, _incident_integer(request), person, comment, duration
        )
        return _Json({"silenced_until": None if until is None else format_time(until)})

    async def _note(self, request: Request) -> Response:
        _require_token(request, self._operate, reject=self._deliver)
        content = await _json_object(request)
        person, text = _text_field(content, "by", _MAX_NAME_LENGTH), _text_field(content, "text", _MAX_TEXT_LENGTH)
        await _in_thread(self._store.note, _incident_integer(request), person, text)
        return _Json({}, status_code=201)

    async def _records(self, request: Request) -> Response:
        _require_token(request, self._operate, reject=self._deliver)
        start, end = (_time_parameter(request, name) for name in ("from", "until"))
        found = await _in_thread(self._store.records, start, end)
        return _Json({"records": [records.to_json(record) for record in found]})


def _require_token(request: Request, tokens: TokenFile, *, reject: TokenFile) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(401, "a bearer token is required", {"WWW-Authenticate": "Bearer"})
    allowed, known = tokens.contains(token), reject.contains(token)
    if not allowed:
        if known:
            raise HTTPException(
                403,
                "this token is not for this endpoint: use the deliver token for /webhook, an operator token elsewhere",
            )
        raise HTTPException(401, "the bearer token is unknown", {"WWW-Authenticate": "Bearer"})
    if not authorized(request.scope):
        # Alertmanager retries.
        raise HTTPException(503, "too many concurrent requests, try again", {"Retry-After": "1"})


async def _body(request: Request, max_bytes: int) -> bytes:
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
        # Not 408: Alertmanager would not retry.
        raise HTTPException(503, f"the body did not arrive within {_BODY_SECONDS} s") from error
    return b"".join(chunks)


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {max_bytes} bytes", {"Connection": "close"})


async def _json_object(request: Request) -> Mapping[str, Any]:
    try:
        content = json.loads(await _body(request, _MAX_REQUEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(content, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return content


def _text_field(content: Mapping[str, Any], name: str, max_length: int, default: str | None = None) -> str:
    value = content.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()) or len(value) > max_length:
        raise HTTPException(400, f"{name}: must be a string of at most {max_length} characters")
    return storable(value.strip())


def _duration(text: str) -> timedelta:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise HTTPException(400, f"for: {error}") from error
    if not timedelta(minutes=1) <= duration <= _MAX_SILENCE:
        raise HTTPException(400, f"for: {text} is not between 1m and {_MAX_SILENCE.days}d")
    return duration


def _time_parameter(request: Request, name: str) -> datetime:
    try:
        return parse_time(request.query_params.get(name, ""))
    except ValueError as error:
        raise HTTPException(400, f"{name}: {error}") from error


def _integer(text: str, name: str, maximum: int) -> int:
    if not text.isdecimal() or not 0 < len(text) < 10 or not 1 <= int(text) <= maximum:
        raise HTTPException(400, f"{name}: must be a number from 1 to {maximum}")
    return int(text)


def _incident_integer(request: Request) -> int:
    number: int = request.path_params["number"]
    # Databases accept no larger id.
    return min(number, 2**31 - 1)


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a blocking function. If it hangs it is abandoned, and the client is asked to retry."""
    with anyio.fail_after(_WORK_SECONDS):
        return await anyio.to_thread.run_sync(partial(function, *arguments), abandon_on_cancel=True)


def _error_response(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        return _Json({"error": str(error)}, status_code=status)

    return answer


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    return _Json({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def _invalid_payload(_: Request, error: Exception) -> Response:
    _logger.error("trust-otel: notification rejected: %s", error)
    return _Json({"error": str(error)}, status_code=400)


async def _database_unavailable(request: Request, error: Exception) -> Response:
    _logger.error("trust-otel: %s failed, the database is unavailable: %s", request.url.path, error)
    return _Json({"error": "the database is unavailable, try again", "database": "down"}, status_code=503)


async def _timed_out(request: Request, _: Exception) -> Response:
    _logger.error("trust-otel: %s took longer than %d s", request.url.path, _WORK_SECONDS)
    return _Json({"error": f"no result within {_WORK_SECONDS} s, try again"}, status_code=503)


_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: _http_error,
    PayloadError: _invalid_payload,
    DatabaseUnavailableError: _database_unavailable,
    TimeoutError: _timed_out,
    NoSuchIncidentError: _error_response(404),
    AlreadyResolvedError: _error_response(409),
    AlertmanagerError: _error_response(502),
}
