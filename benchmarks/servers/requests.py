"""The requests to every server, and its responses in a comparable form."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.sync.client import connect

_TIMEOUT_SECONDS = 30.0

# Without port, which would be in redirects.
_HOST = "service.test"

_REQUESTS: tuple[tuple[str, str, bytes | None], ...] = (
    ("GET", "/text", None),
    ("HEAD", "/text", None),
    ("DELETE", "/text", None),
    ("BREW", "/text", None),
    ("GET", "/text/", None),
    ("GET", "/missing", None),
    ("GET", "/error", None),
    ("GET", "/broken", None),
    ("POST", "/echo", b"a body"),
    ("POST", "/echo", b"x" * 200_000),
    ("GET", "/stream", None),
    ("GET", "/state", None),
    ("GET", "/threaded", None),
    ("GET", "/own", None),
    ("GET", "/items/7", None),
    ("GET", "/items/seven", None),
    ("GET", "/openapi.json", None),
    ("GET", "/sub/text", None),
    ("GET", "/sub/missing", None),
    ("GET", "/sub/error", None),
    ("GET", "/sub/deeper/text", None),
    ("OPTIONS", "*", None),
)

HTTP_REQUESTS = len(_REQUESTS)
"""Number of requests that `answers` sends, without WebSocket handshakes."""


@dataclass(frozen=True)
class Answer:
    """A response."""

    request: str
    status: int | str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def answers(port: int) -> list[Answer]:
    """Send each request on a new connection, and open two WebSockets."""
    found = [_ask(port, *request) for request in _REQUESTS]
    return [*found, _converse(port, "/websocket"), _converse(port, "/missing")]


def process_id(port: int) -> int | None:
    """Process id of the responding worker; 0 if the application fails, None if there is no response."""
    answer = _ask(port, "GET", "/process-id", None)
    if isinstance(answer.status, str):
        return None
    return int(answer.body) if answer.status == 200 else 0


def _ask(port: int, method: str, path: str, body: bytes | None) -> Answer:
    name = f"{method} {path} {len(body or b'')}"
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, {"Host": _HOST})
        response = connection.getresponse()
        headers = _comparable(response.getheaders())
        try:
            return Answer(name, response.status, headers, response.read())
        except HTTPException as error:
            return Answer(name, f"{response.status}, then {type(error).__name__}", headers)
    except (HTTPException, OSError) as error:
        return Answer(name, type(error).__name__)
    finally:
        connection.close()


def _comparable(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name.lower(), value) for name, value in headers if name.lower() != "date"))


def _converse(port: int, path: str) -> Answer:
    name = f"WebSocket {path}"
    try:
        with connect(f"ws://127.0.0.1:{port}{path}", open_timeout=_TIMEOUT_SECONDS, proxy=None) as socket:
            socket.send("a message")
            message = str(socket.recv(_TIMEOUT_SECONDS))
            try:
                socket.recv(_TIMEOUT_SECONDS)
            except WebSocketException:
                return Answer(name, f"closed with {socket.close_code}", body=message.encode())
            return Answer(name, "not closed", body=message.encode())
    except InvalidStatus as error:
        return Answer(name, error.response.status_code, body=bytes(error.response.body or b""))
    except (InvalidHandshake, WebSocketException, OSError) as error:
        return Answer(name, type(error).__name__)
