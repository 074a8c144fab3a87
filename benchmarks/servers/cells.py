"""The compared combinations of server, application and signal: each at least once, not the full product."""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGINT, SIGTERM, Signals

_GUNICORN = ("gunicorn", "applications:{application}", "--bind", "127.0.0.1:{port}", "--access-logfile", "-")
_HYPERCORN = ("hypercorn", "applications:{application}", "--bind", "127.0.0.1:{port}", "--access-logfile", "-")
_GRANIAN = ("granian", "applications:{application}", "--host", "127.0.0.1", "--port", "{port}", "--access-log")
_UVICORN = ("uvicorn", "applications:{application}", "--host", "127.0.0.1", "--port", "{port}")
_UVICORN_WORKER = ("--worker-class", "uvicorn_worker.UvicornWorker")

SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": _UVICORN,
    "uvicorn asgi3": (*_UVICORN, "--interface", "asgi3"),
    "uvicorn asgi2": (*_UVICORN, "--interface", "asgi2"),
    "uvicorn wsgi": (*_UVICORN, "--interface", "wsgi"),
    "uvicorn factory": (*_UVICORN, "--factory"),
    "uvicorn reload": (*_UVICORN, "--reload"),
    # On a busy machine it must not replace workers that are still starting.
    "uvicorn 2 workers": (*_UVICORN, "--workers", "2", "--timeout-worker-healthcheck", "60"),
    "uvicorn in a program": ("python", "applications.py", "{application}", "{port}"),
    "gunicorn sync": (*_GUNICORN, "--workers", "2"),
    "gunicorn threads": (*_GUNICORN, "--threads", "2"),
    "gunicorn asgi": (*_GUNICORN, "--worker-class", "asgi", "--workers", "2"),
    "gunicorn uvicorn-worker": (*_GUNICORN, *_UVICORN_WORKER, "--workers", "2"),
    "gunicorn uvicorn-worker preload": (*_GUNICORN, *_UVICORN_WORKER, "--workers", "2", "--preload"),
    "hypercorn": _HYPERCORN,
    "hypercorn 2 workers": (*_HYPERCORN, "--workers", "2"),
    "granian": (*_GRANIAN, "--interface", "asgi"),
    "granian 2 workers": (*_GRANIAN, "--interface", "asgi", "--workers", "2"),
    "granian wsgi": (*_GRANIAN, "--interface", "wsgi"),
    "daphne": ("daphne", "--bind", "127.0.0.1", "--port", "{port}", "applications:{application}"),
}
"""The command line of each server."""

_NOT_STARLETTE = ("asgi3", "asgi2", "wsgi")


@dataclass(frozen=True)
class Cell:
    """One combination."""

    server: str
    application: str
    signal: Signals = SIGTERM
    to_all: bool = False
    """Whether all processes of the server receive the signal, as with Ctrl-C in a terminal and with systemd."""
    replaces_workers: bool = False
    """Whether the server receives SIGHUP between the requests, and replaces its workers."""

    def command(self, port: int) -> list[str]:
        """The server's command line."""
        return [part.format(application=self.application, port=port) for part in SERVERS[self.server]]

    @property
    def workers(self) -> int:
        """Number of worker processes."""
        return 2 if "--workers" in SERVERS[self.server] else 1

    @property
    def measured(self) -> bool:
        """Whether trust-otel counts the requests: those of Starlette and its subclasses."""
        return self.application not in _NOT_STARLETTE and self.server != "uvicorn asgi2"

    def __str__(self) -> str:
        more = (" to all" if self.to_all else "") + (" after SIGHUP" if self.replaces_workers else "")
        return f"{self.server}, {self.application}, {self.signal.name}{more}"


CELLS = (
    # Applications.
    Cell("uvicorn", "starlette"),
    Cell("uvicorn", "starlette_subclass"),
    Cell("uvicorn", "starlette_wrapped"),
    Cell("uvicorn", "fastapi"),
    Cell("uvicorn", "fastapi_subclass"),
    Cell("uvicorn", "fastapi_mounted"),
    Cell("uvicorn", "asgi3"),
    Cell("uvicorn", "asgi2"),
    Cell("uvicorn factory", "create_fastapi"),
    # Explicit interfaces, including a mismatch.
    Cell("uvicorn asgi3", "starlette"),
    Cell("uvicorn asgi2", "asgi2"),
    Cell("uvicorn asgi2", "starlette"),
    Cell("uvicorn wsgi", "wsgi"),
    # Process models.
    Cell("uvicorn reload", "starlette"),
    Cell("uvicorn 2 workers", "starlette"),
    Cell("uvicorn 2 workers", "fastapi"),
    Cell("uvicorn in a program", "fastapi"),
    # Other servers.
    Cell("gunicorn sync", "wsgi"),
    Cell("gunicorn threads", "wsgi"),
    Cell("gunicorn asgi", "starlette"),
    Cell("gunicorn uvicorn-worker", "starlette"),
    Cell("gunicorn uvicorn-worker", "create_fastapi()"),
    Cell("gunicorn uvicorn-worker preload", "fastapi"),
    Cell("hypercorn", "starlette"),
    Cell("hypercorn", "asgi3"),
    Cell("hypercorn 2 workers", "fastapi"),
    Cell("granian", "starlette"),
    Cell("granian 2 workers", "fastapi_mounted"),
    Cell("granian wsgi", "wsgi"),
    Cell("daphne", "starlette"),
    Cell("daphne", "asgi2"),
    # Ctrl-C, and stopping a systemd unit.
    *(
        Cell(server, "fastapi", SIGINT, to_all=True)
        for server in ("uvicorn", "uvicorn reload", "uvicorn 2 workers", "uvicorn in a program", "gunicorn asgi")
    ),
    *(
        Cell(server, "fastapi", SIGINT, to_all=True)
        for server in ("hypercorn 2 workers", "granian 2 workers", "daphne")
    ),
    *(Cell(server, "fastapi", to_all=True) for server in ("uvicorn 2 workers", "gunicorn uvicorn-worker")),
    *(Cell(server, "fastapi", to_all=True) for server in ("hypercorn 2 workers", "granian 2 workers")),
    # Replacement of workers.
    Cell("uvicorn 2 workers", "fastapi", replaces_workers=True),
    Cell("gunicorn uvicorn-worker", "fastapi", replaces_workers=True),
    Cell("gunicorn asgi", "fastapi", replaces_workers=True),
    Cell("granian 2 workers", "fastapi", replaces_workers=True),
)
