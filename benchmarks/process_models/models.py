"""The process models, and how each is ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from signal import SIGINT, SIGTERM, Signals

from benchmarks.process_models.programs import PROGRAMS

_UVICORN = ("uvicorn", "application:app", "--host", "127.0.0.1", "--port", "{port}")
# The master waits that long for a killed worker whose pipe another worker has inherited, and cannot stop meanwhile.
_WORKERS = ("--workers", "2", "--timeout-worker-healthcheck", "20")
_GUNICORN = ("gunicorn", "application:app", "--bind", "127.0.0.1:{port}")
_UVICORN_WORKER = (*_GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker")
_HYPERCORN = ("hypercorn", "application:app", "--bind", "127.0.0.1:{port}")
_GRANIAN = ("granian", "application:app", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}")

_CELERY = (
    *("celery", "--app", "tasks", "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
)


class Victim(Enum):
    """The process that is killed with SIGKILL after half of the events."""

    WORKER = "a worker"
    MASTER = "the master"
    ENDPOINT = "who serves the port"


@dataclass(frozen=True)
class Model:
    """One process model and one way to end it."""

    name: str
    command: tuple[str, ...]
    """The server's command line; empty for a program."""
    program: str = ""
    signal: Signals = SIGTERM
    to_all: bool = False
    """Whether all processes of the server receive the signal, as with Ctrl+C in a terminal and with systemd."""
    victim: Victim | None = None
    grpc: bool = False
    """Whether the metrics are pushed over gRPC."""

    @property
    def workers(self) -> int:
        """Number of processes that answer requests."""
        return int(self.command[self.command.index("--workers") + 1]) if "--workers" in self.command else 1

    def __str__(self) -> str:
        parts = (
            self.name,
            f"SIGKILL of {self.victim.value}" if self.victim else "",
            self.signal.name if self.signal != SIGTERM else "",
            "to all" if self.to_all else "",
            "gRPC" if self.grpc else "",
        )
        return ", ".join(part for part in parts if part)


_SERVERS = {
    "uvicorn": _UVICORN,
    "uvicorn --workers": (*_UVICORN, *_WORKERS),
    "uvicorn --reload": (*_UVICORN, "--reload"),
    "uvicorn --factory": ("uvicorn", "application:create", "--factory", *_UVICORN[2:]),
    "gunicorn uvicorn-worker -w 1": (*_UVICORN_WORKER, "--workers", "1"),
    "gunicorn uvicorn-worker -w 2": (*_UVICORN_WORKER, "--workers", "2"),
    "gunicorn uvicorn-worker --preload": (*_UVICORN_WORKER, "--workers", "2", "--preload"),
    "gunicorn uvicorn-worker --max-requests": (*_UVICORN_WORKER, "--workers", "2", "--max-requests", "40"),
    "gunicorn sync": ("gunicorn", "application:wsgi", *_GUNICORN[2:], "--workers", "2"),
    "gunicorn sync --preload": ("gunicorn", "application:wsgi", *_GUNICORN[2:], "--workers", "2", "--preload"),
    "hypercorn": _HYPERCORN,
    "hypercorn --workers": (*_HYPERCORN, "--workers", "2"),
    "granian": _GRANIAN,
    "granian --workers": (*_GRANIAN, "--workers", "2"),
}

_WITH_WORKERS = ("uvicorn --workers", "gunicorn uvicorn-worker -w 2", "hypercorn --workers", "granian --workers")
_KILLED = ("uvicorn --workers", "gunicorn uvicorn-worker -w 2", "gunicorn uvicorn-worker --preload")
_OVER_GRPC = ("multiprocessing fork", "os.fork while threads record", "os.fork while an export runs")

MODELS = (
    *(Model(name, command) for name, command in _SERVERS.items()),
    Model("uvicorn", _UVICORN, signal=SIGINT),
    *(
        Model(name, _SERVERS[name], signal=number, to_all=True)
        for name in _WITH_WORKERS
        for number in (SIGTERM, SIGINT)
    ),
    *(Model(name, _SERVERS[name], victim=victim) for name in _KILLED for victim in Victim),
    *(Model(name, (), program=program) for name, program in PROGRAMS.items()),
    *(Model(name, (), program=PROGRAMS[name], grpc=True) for name in _OVER_GRPC),
    Model("Celery prefork", _CELERY),
)
