"""The HTTP interface: Alertmanager delivers, people acknowledge."""

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

from trust_ops.incidents import incident, records
from trust_ops.incidents.acknowledgement import Desk
from trust_ops.incidents.alertmanager import AlertmanagerError
from trust_ops.incidents.connections import authorized
from trust_ops.incidents.database import DatabaseAwayError
from trust_ops.incidents.health import Health
from trust_ops.incidents.payload import PayloadError, parse, storable
from trust_ops.incidents.store import AlreadyResolvedError, NoSuchIncidentError, Store
from trust_ops.incidents.times import format_time, parse_duration, parse_time
from trust_ops.incidents.tokens import TokenFile

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class _Json(Response):
    """JSON in ASCII: characters that control or reorder a terminal's text are escaped, and lose nothing."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


LARGEST_DELIVERY = 16 * 1024 * 1024
"""Bytes: ten thousand alerts, which is more than an Alertmanager should put into one notification."""

_LARGEST_REQUEST = 64 * 1024
_LONGEST_TEXT = 10_000
_LONGEST_NAME = 100
# Below the 10 s after which Alertmanager tries again without having heard why.
_BODY_SECONDS = 8
_WORK_SECONDS = 8
_LONGEST_SILENCE = timedelta(days=7)
_MOST_LISTED = 1000


class App:
    """The application.

    Args:
        store: The incidents.
        desk: Where they are acknowledged.
        deliver: Tokens of those who may deliver.
        operate: Tokens of those who may read and acknowledge.
        alertmanager: Says how Alertmanager is.
    """

    def __init__(
        self, store: Store, desk: Desk, deliver: TokenFile, operate: TokenFile, alertmanager: Callable[[], str]
    ) -> None:
        self._store = store
        self._desk = desk
        self._alertmanager = alertmanager
        self._deliver = deliver
        self._operate = operate
        self._health = Health(store.check)

    def asgi(self) -> Starlette:
        """The same for an ASGI server."""
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
            return _Json({"error": problem, "database": "away"}, status_code=503)
        return _Json({"database": "up", "alertmanager": self._alertmanager()})

    async def _webhook(self, request: Request) -> Response:
        _allow(request, self._deliver, but_not=self._operate)
        notification = await _in_thread(parse, await _body(request, LARGEST_DELIVERY))
        outcome = await _in_thread(self._store.deliver, notification)
        if notification.truncated > 0:
            _logger.warning(
                "trust-otel: Alertmanager has left %d alerts out of a notification, which are not recorded: raise "
                "max_alerts of its webhook",
                notification.truncated,
            )
        _logger.info("trust-otel: delivered by %s: %s", notification.receiver, dict(outcome))
        return _Json(dict(outcome))

    async def _list(self, request: Request) -> Response:
        _allow(request, self._operate, but_not=self._deliver)
        limit = _number(request.query_params.get("limit", "100"), "limit", _MOST_LISTED)
        only_open = request.query_params.get("open", "false") == "true"
        found, more = await _in_thread(partial(self._store.incidents, only_open=only_open, limit=limit))
        return _Json({"incidents": [incident.to_json(one) for one in found], "more": more})

    async def _show(self, request: Request) -> Response:
        _allow(request, self._operate, but_not=self._deliver)
        found, timeline = await _in_thread(self._store.incident, _which(request))
        return _Json({**incident.to_json(found), "timeline": [incident.to_json(event) for event in timeline]})

    async def _acknowledge(self, request: Request) -> Response:
        _allow(request, self._operate, but_not=self._deliver)
        content = await _content(request)
        person = _said(content, "by", _LONGEST_NAME)
        comment = _said(content, "comment", _LONGEST_TEXT, default="")
        duration = _duration(_said(content, "for", _LONGEST_NAME, default="2h"))
        until = await _in_thread(self._desk.acknowledge, _which(request), person, comment, duration)
        return _Json({"silenced_until": None if until is None else format_time(until)})

    async def _note(self, request: Request) -> Response:
        _allow(request, self._operate, but_not=self._deliver)
        content = await _content(request)
        person, text = _said(content, "by", _LONGEST_NAME), _said(content, "text", _LONGEST_TEXT)
        await _in_thread(self._store.note, _which(request), person, text)
        return _Json({}, status_code=201)

    async def _records(self, request: Request) -> Response:
        _allow(request, self._operate, but_not=self._deliver)
        start, end = (_moment(request, name) for name in ("from", "until"))
        found = await _in_thread(self._store.records, start, end)
        return _Json({"records": [records.to_json(record) for record in found]})


def _allow(request: Request, tokens: TokenFile, *, but_not: TokenFile) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(401, "there is no bearer token", {"WWW-Authenticate": "Bearer"})
    allowed, known = tokens.holds(token), but_not.holds(token)
    if not allowed:
        if known:
            raise HTTPException(403, "this token is for the other half of the interface: deliver, or operate")
        raise HTTPException(401, "the bearer token is not known here", {"WWW-Authenticate": "Bearer"})
    if not authorized(request.scope):
        # Alertmanager tries again.
        raise HTTPException(503, "too many requests at the same time, try again", {"Retry-After": "1"})


async def _body(request: Request, largest: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > largest:
        raise _too_large(largest)
    chunks, size = [], 0
    try:
        with anyio.fail_after(_BODY_SECONDS):
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > largest:
                    raise _too_large(largest)
    except TimeoutError as error:
        # No 408: Alertmanager would not try again.
        raise HTTPException(503, f"the body did not arrive within {_BODY_SECONDS} s") from error
    return b"".join(chunks)


def _too_large(largest: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {largest} bytes", {"Connection": "close"})


async def _content(request: Request) -> Mapping[str, Any]:
    try:
        content = json.loads(await _body(request, _LARGEST_REQUEST))
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(content, dict):
        raise HTTPException(400, "the body is no JSON object")
    return content


def _said(content: Mapping[str, Any], name: str, longest: int, default: str | None = None) -> str:
    value = content.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()) or len(value) > longest:
        raise HTTPException(400, f"{name}: write a text of at most {longest} characters")
    return storable(value.strip())


def _duration(text: str) -> timedelta:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise HTTPException(400, f"for: {error}") from error
    if not timedelta(minutes=1) <= duration <= _LONGEST_SILENCE:
        raise HTTPException(400, f"for: {text} is not from 1m to {_LONGEST_SILENCE.days}d")
    return duration


def _moment(request: Request, name: str) -> datetime:
    try:
        return parse_time(request.query_params.get(name, ""))
    except ValueError as error:
        raise HTTPException(400, f"{name}: {error}") from error


def _number(text: str, name: str, largest: int) -> int:
    if not text.isdecimal() or not 0 < len(text) < 10 or not 1 <= int(text) <= largest:
        raise HTTPException(400, f"{name}: write a number from 1 to {largest}")
    return int(text)


def _which(request: Request) -> int:
    number: int = request.path_params["number"]
    # What is more no database takes as an id.
    return min(number, 2**31 - 1)


async def _in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call what blocks. One that hangs is left to itself, and whoever waits for it is told to try again."""
    with anyio.fail_after(_WORK_SECONDS):
        return await anyio.to_thread.run_sync(partial(function, *arguments), abandon_on_cancel=True)


def _answer(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        return _Json({"error": str(error)}, status_code=status)

    return answer


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    return _Json({"error": error.detail}, status_code=error.status_code, headers=error.headers)


async def _malformed(_: Request, error: Exception) -> Response:
    _logger.error("trust-otel: a notification is refused: %s", error)
    return _Json({"error": str(error)}, status_code=400)


async def _database_away(request: Request, error: Exception) -> Response:
    _logger.error("trust-otel: the database did not answer to %s: %s", request.url.path, error)
    return _Json({"error": "the database is away, try again", "database": "away"}, status_code=503)


async def _too_slow(request: Request, _: Exception) -> Response:
    _logger.error("trust-otel: %s took longer than %d s", request.url.path, _WORK_SECONDS)
    return _Json({"error": f"no answer within {_WORK_SECONDS} s, try again"}, status_code=503)


_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: _refused,
    PayloadError: _malformed,
    DatabaseAwayError: _database_away,
    TimeoutError: _too_slow,
    NoSuchIncidentError: _answer(404),
    AlreadyResolvedError: _answer(409),
    AlertmanagerError: _answer(502),
}
