"""Logs a line for each framework that the program uses and that nothing measures, with what would measure it."""

from __future__ import annotations

import logging
import sys
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from time import monotonic
from typing import Final

from trust_otel import forks
from trust_otel.metrics.request import OWN_METER, request_meters

_logger = logging.getLogger(__name__)

_IN_CODE: Final = "get_metrics().http_request_metrics() on each handler"
_MIDDLEWARE: Final = "OpenTelemetryMiddleware of opentelemetry.instrumentation.{0}, around the application"


@dataclass(frozen=True)
class _Framework:
    """What may serve requests, or run tasks.

    Attributes:
        name: What is not measured, for the log.
        modules: One of them is loaded where it is used.
        remedy: What measures it.
        package: The distribution that measures it without code, named after the instrumentor.
        meters: Instrumentations of which one measures requests if the program has added it.
        unless: Modules that are loaded if it was imported by something else.
    """

    name: str
    modules: tuple[str, ...]
    remedy: str = ""
    package: str = ""
    meters: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    def is_used(self) -> bool:
        """Whether the program has imported it."""
        return _loaded(self.modules) and not _loaded(self.unless)

    def is_measured(self) -> bool:
        """Whether something measures it, or the user has disabled what would."""
        if not request_meters.isdisjoint(self.meters):
            return True
        return bool(self.package) and find_spec(f"opentelemetry.instrumentation.{self.package}") is not None

    def __str__(self) -> str:
        package = f"opentelemetry-instrumentation-{self.package.replace('_', '-')}"
        remedy = self.remedy or f"pip install {package}"
        return f"{self.name} are not measured; to measure them: {remedy}"


_OWN: Final = (OWN_METER,)
_WSGI: Final = (*_OWN, "opentelemetry.instrumentation.wsgi")
_ASGI: Final = (*_OWN, "opentelemetry.instrumentation.asgi")

_FRAMEWORKS: Final = (
    _Framework("requests of Flask", ("flask.app",), package="flask", meters=_WSGI, unless=("quart.app",)),
    _Framework("requests of Django", ("django.core.handlers.base",), package="django", meters=_WSGI + _ASGI),
    _Framework("requests of aiohttp's server", ("aiohttp.web",), package="aiohttp_server", meters=_OWN),
    _Framework("requests of Falcon", ("falcon.app",), package="falcon", meters=_WSGI, unless=("falcon.asgi",)),
    _Framework("requests of Pyramid", ("pyramid.router",), package="pyramid", meters=_WSGI),
    _Framework("tasks of Celery", ("celery.worker",), package="celery"),
    _Framework(
        "requests of Litestar",
        ("litestar.app",),
        "OpenTelemetryPlugin of litestar.plugins.opentelemetry, among the plugins of the application",
        meters=_ASGI,
    ),
    _Framework("requests of Falcon's ASGI applications", ("falcon.asgi",), _MIDDLEWARE.format("asgi"), meters=_ASGI),
    _Framework("requests of Quart", ("quart.app",), _MIDDLEWARE.format("asgi"), meters=_ASGI),
    _Framework(
        "requests of Bottle",
        ("bottle",),
        f"pip install opentelemetry-instrumentation-wsgi, and {_MIDDLEWARE.format('wsgi')}",
        meters=_WSGI,
    ),
    # Its instrumentation counts failed requests twice, so that only its spans are used; for these it imports Tornado.
    _Framework(
        "requests of Tornado",
        ("tornado.web",),
        _IN_CODE,
        meters=_OWN,
        unless=("opentelemetry.instrumentation.tornado",),
    ),
    _Framework("requests of Sanic", ("sanic.app",), _IN_CODE, meters=_OWN),
)

_MEASURED_WITHOUT_HELP: Final = ("starlette.applications",)

# Modules that only a process that serves requests has loaded.
_SERVERS: Final = (
    _Framework(
        "requests of this application",
        ("uvicorn.protocols.http.h11_impl", "uvicorn.protocols.http.httptools_impl", "daphne.server"),
        _MIDDLEWARE.format("asgi"),
        meters=_ASGI,
    ),
    _Framework(
        "requests of this application",
        ("waitress.server", "cheroot.wsgi", "gevent.pywsgi", "uwsgi"),
        f"pip install opentelemetry-instrumentation-wsgi, and {_MIDDLEWARE.format('wsgi')}",
        meters=_WSGI,
        unless=("gunicorn.arbiter",),
    ),
)
_WORKER: Final = _Framework(_SERVERS[1].name, ("gunicorn.workers.base",), _SERVERS[1].remedy, meters=_WSGI)
"""Gunicorn's main process has its modules loaded too; its workers are forked."""


_PATIENCE_SECONDS: Final = 5.0
"""How long something is not measured before it is reported: a program may add its middleware late."""


class UnmeasuredFrameworks:
    """Finds frameworks that are not measured, each once."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._seen: dict[str, float] = {}
        self._forked = False
        forks.in_child(forks.Step.STATE, self._continue_in_child)

    def report(self) -> None:
        """Log those that have been in use for a while; call it again and again."""
        if _program_is_importing():
            return
        now = monotonic()
        for framework in self._found():
            measured = framework.is_measured()
            if not measured and now - self._seen.setdefault(framework.name, now) < _PATIENCE_SECONDS:
                continue
            self._known.add(framework.name)
            if not measured:
                _logger.warning("trust-otel: %s", framework)

    def _found(self) -> list[_Framework]:
        used = [framework for framework in _FRAMEWORKS if framework.is_used()]
        if not used and not _loaded(_MEASURED_WITHOUT_HELP):
            servers = (*_SERVERS, _WORKER) if self._forked else _SERVERS
            used = [server for server in servers if server.is_used()][:1]
        return [framework for framework in used if framework.name not in self._known]

    def _continue_in_child(self) -> None:
        # The parent reports what it has imported itself.
        self._known.update(framework.name for framework in self._found())
        self._forked = True


def _program_is_importing() -> bool:
    """Whether the main thread is importing a module, as a server does with its application."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _loaded(modules: tuple[str, ...]) -> bool:
    return any(module in sys.modules for module in modules)
