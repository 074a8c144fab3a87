"""An HTTP server in place of an OTLP endpoint, which sends given responses."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Response:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Endpoint:
    """An HTTP server that sends its responses in order, and then repeats the last one."""

    url: str
    responses: list[Response]
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def endpoint(*responses: Response, context: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    made = Endpoint("", list(responses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.requests.append((self.command, self.path, dict(self.headers)))
            response = made.responses.pop(0) if len(made.responses) > 1 else made.responses[0]
            self.send_response(response.status)
            for name, value in {"Content-Length": str(len(response.body)), **response.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST  # noqa: N815 - a name of the base class

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        made.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()
