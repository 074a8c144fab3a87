"""Measures one variant: one round of requests per line on standard input.

Run as `python -m benchmarks.worker VARIANT ROUTES`; prints the CPU microseconds per request for each line.
"""

from __future__ import annotations

import asyncio
import sys
from time import process_time_ns
from typing import Any

from benchmarks.variants import VARIANTS

_REQUESTS = 300


async def _serve(variant: str, routes: int) -> None:
    app = VARIANTS[variant](routes)
    # The route registered last, which is the most expensive to match.
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/path-{routes - 1}/7",
        "raw_path": f"/path-{routes - 1}/7".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        return

    for _ in sys.stdin:
        started = process_time_ns()
        for _ in range(_REQUESTS):
            await app(dict(scope), receive, send)
        sys.stdout.write(f"{(process_time_ns() - started) / 1000 / _REQUESTS}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
