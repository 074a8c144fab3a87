"""Serves the cluster's metrics on loopback."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from urllib.parse import urlsplit

from testbed.drill.kubernetes import kubelet, state_metrics
from testbed.drill.kubernetes.cluster import Cluster
from testbed.drill.kubernetes.exposition import CONTENT_TYPE, page
from trust_ops.stack import Target
from trust_ops.stack.ports import LOOPBACK

_STATE_METRICS = "/metrics"


class Kubernetes:
    """Serves the metrics of kube-state-metrics, and of kubelets through the API server, while its block is open.

    Attributes:
        cluster: The cluster; changes are visible in the next scrape.
    """

    def __init__(self) -> None:
        self.cluster = Cluster()
        self._server = _Server((LOOPBACK, 0), _handler(self.cluster))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Kubernetes:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def state_metrics(self) -> list[Target]:
        """Targets for `Stack.scrape("kube-state-metrics", ...)`."""
        return [Target(self._address)]

    def kubelets(self) -> list[Target]:
        """Targets for `Stack.scrape("kubelet", ...)`."""
        return [
            Target(
                self._address, {"__metrics_path__": _kubelet_path(node.name), "instance": node.name, "node": node.name}
            )
            for node in self.cluster.nodes
        ]

    @property
    def _address(self) -> str:
        return f"{LOOPBACK}:{self._server.server_port}"


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore aborted scrapes."""


def _kubelet_path(node: str) -> str:
    return f"/api/v1/nodes/{node}/proxy/metrics/cadvisor"


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = _page(cluster, urlsplit(self.path).path)
            body = (found or "not found\n").encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", CONTENT_TYPE)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in http.server
            """Do not log scrapes."""

    return Handler


def _page(cluster: Cluster, path: str) -> str | None:
    if path == _STATE_METRICS:
        return page(state_metrics.families(cluster))
    for node in cluster.nodes:
        if path == _kubelet_path(node.name):
            return page(kubelet.families(cluster, node))
    return None
