"""Answers on Grafana's port where Grafana's image cannot be had: healthy, and nothing else."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Say what this is."""
        self.send_response(200 if self.path in ("/api/health", "/metrics") else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"# This is a stand-in for Grafana, without dashboards.\n")


ThreadingHTTPServer(("", 3000), _Handler).serve_forever()
