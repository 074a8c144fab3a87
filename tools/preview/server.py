"""The preview's web server on loopback: application, dashboards, and a read-only proxy of Prometheus' API."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from tools.preview.building import Progress, built

DASHBOARDS: Final = Path(__file__).parents[2] / "monitoring" / "grafana"

_API = "/prometheus/api/v1/"
_READ_ONLY = re.compile(
    r"query|query_range|query_exemplars|series|labels|label/[^/]+/values|alerts|rules|metadata|status/buildinfo"
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
# With any port, because of port forwarding.
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
_MOST_OF_A_QUERY = 1_000_000
_QUERY_TIMEOUT = 60.0


class Preview:
    """Serves the dashboards with the data of a Prometheus within a context.

    Attributes:
        url: URL of the preview, once entered.
    """

    def __init__(
        self,
        prometheus_url: str,
        *,
        dashboards: Path = DASHBOARDS,
        port: int = 0,
        on_progress: Progress = lambda _: None,
    ) -> None:
        """Start nothing yet.

        Args:
            prometheus_url: Such as http://127.0.0.1:9090; may have a path.
            dashboards: Folder of dashboards in JSON, read again for each request.
            port: Loopback port; 0 for any free one.
            on_progress: Called with progress messages of the build.
        """
        self._prometheus_url = prometheus_url.rstrip("/")
        self._dashboards = dashboards
        self._port = port
        self._on_progress = on_progress
        self.url = ""

    def __enter__(self) -> Preview:
        """Build if necessary, and serve. Raises BuildFailed, or OSError if the port is taken."""
        dist = built(self._on_progress)
        # Ignore proxy variables.
        self._client = httpx.Client(timeout=_QUERY_TIMEOUT, trust_env=False)
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.dist = dist
        self._server.dashboards = self._dashboards
        self._server.prometheus_url = self._prometheus_url
        self._server.client = self._client
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="preview", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    dist: Path
    dashboards: Path
    prometheus_url: str
    client: httpx.Client


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._allowed():
            return
        path = unquote(urlsplit(self.path).path)
        if path.startswith(_API):
            self._prometheus(b"")
        elif path == "/dashboards.json":
            self._send_dashboards()
        else:
            self._send_file(path)

    def do_POST(self) -> None:
        if not self._allowed():
            return
        length = self._length()
        if length is None or length > _MOST_OF_A_QUERY:
            self.close_connection = True
            self._send(413, "text/plain", b"The query is too long.")
            return
        self._prometheus(self.rfile.read(length))

    def _length(self) -> int | None:
        """The Content-Length, if valid."""
        given = self.headers.get("content-length", "0")
        return int(given) if given.isascii() and given.isdigit() and "transfer-encoding" not in self.headers else None

    def _allowed(self) -> bool:
        """Whether the request is for this server and from its own page; otherwise sends an error.

        This prevents DNS rebinding and cross-site requests.
        """
        given = self.headers.get_all("host", [])
        host = given[0].strip().lower() if len(given) == 1 else ""
        if _LOOPBACK_HOST.fullmatch(host) is None:
            self._reject(421, f"This server is only available as http://127.0.0.1:{self.server.server_port}.")
            return False
        if self.headers.get("origin", f"http://{host}").lower() != f"http://{host}" or self._from_another_site():
            self._reject(403, "Cross-site requests are not allowed.")
            return False
        return True

    def _from_another_site(self) -> bool:
        # Navigation by a link from another page is allowed: the other page cannot read the response.
        navigation = self.command == "GET" and self.headers.get("sec-fetch-mode") == "navigate"
        site = self.headers.get("sec-fetch-site", "none")
        return site not in ("none", "same-origin") and not navigation

    def _reject(self, status: int, text: str) -> None:
        # The request's body is not read.
        self.close_connection = True
        self._send_error(status, text)

    def _prometheus(self, body: bytes) -> None:
        address = urlsplit(self.path)
        endpoint = address.path.removeprefix(_API)
        if not address.path.startswith(_API) or _READ_ONLY.fullmatch(endpoint) is None:
            self._send_error(404, f"{address.path} is not forwarded to Prometheus.")
            return
        url = f"{self.server.prometheus_url}/api/v1/{endpoint}" + (f"?{address.query}" if address.query else "")
        headers = {"content-type": self.headers["content-type"]} if body else {}
        try:
            answer = self.server.client.request(self.command, url, content=body, headers=headers)
        except httpx.HTTPError as error:
            self._send_error(502, f"Prometheus at {self.server.prometheus_url} cannot be reached: {error}")
            return
        self._send(answer.status_code, answer.headers.get("content-type", "application/json"), answer.content)

    def _send_dashboards(self) -> None:
        try:
            found = [json.loads(path.read_text()) for path in sorted(self.server.dashboards.glob("*.json"))]
        except (OSError, ValueError) as error:
            self._send(500, "text/plain; charset=utf-8", f"The dashboards cannot be read: {error}".encode())
            return
        self._send(200, "application/json", json.dumps(found).encode())

    def _send_file(self, path: str) -> None:
        dist = self.server.dist.resolve()
        file = (dist / path.lstrip("/")).resolve()
        if path == "/" or path.startswith("/d/"):
            file = dist / "index.html"
        if not file.is_relative_to(dist) or not file.is_file():
            self._send(404, "text/plain; charset=utf-8", b"Page not found.")
            return
        self._send(200, _TYPES.get(file.suffix, "application/octet-stream"), file.read_bytes())

    def _send_error(self, status: int, text: str) -> None:
        self._send(status, "application/json", json.dumps({"status": "error", "error": text}).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.send_header("cross-origin-resource-policy", "same-origin")
            self.send_header("x-frame-options", "DENY")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # The browser closed the connection.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it overrides
        """Do not log requests."""
