"""Frameworks that nothing measures are named in the log, with what would measure them."""

from __future__ import annotations

import importlib
import itertools
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from trust_otel.instrumentation import unmeasured
from trust_otel.instrumentation.unmeasured import UnmeasuredFrameworks

_KNOWN = (*unmeasured._FRAMEWORKS, *unmeasured._SERVERS, unmeasured._WORKER)

Loads = Callable[..., None]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Makes the named modules the only ones of frameworks, servers and instrumentations that are loaded."""
    for framework in _KNOWN:
        for module in (*framework.modules, *framework.unless):
            monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delitem(sys.modules, "starlette.applications", raising=False)
    monkeypatch.setattr(unmeasured, "request_meters", set())
    # Each look is a minute after the one before.
    clock = itertools.count(step=60)
    monkeypatch.setattr(unmeasured, "monotonic", lambda: next(clock))

    def load(*modules: str) -> None:
        for module in modules:
            monkeypatch.setitem(sys.modules, module, ModuleType(module))

    return load


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, "trust_otel")
    return lambda: [record.getMessage() for record in caplog.records]


def _report(frameworks: UnmeasuredFrameworks) -> None:
    for _ in range(2):
        frameworks.report()


@pytest.mark.parametrize(
    ("modules", "name", "remedy"),
    [
        (["flask.app"], "requests of Flask", "pip install opentelemetry-instrumentation-flask"),
        (["django.core.handlers.base"], "requests of Django", "pip install opentelemetry-instrumentation-django"),
        (["aiohttp.web"], "requests of aiohttp's server", "pip install opentelemetry-instrumentation-aiohttp-server"),
        (["falcon.app"], "requests of Falcon", "pip install opentelemetry-instrumentation-falcon"),
        (["pyramid.router"], "requests of Pyramid", "pip install opentelemetry-instrumentation-pyramid"),
        (["celery.worker"], "tasks of Celery", "pip install opentelemetry-instrumentation-celery"),
        (["litestar.app"], "requests of Litestar", "OpenTelemetryPlugin of litestar.plugins.opentelemetry"),
        (["tornado.web"], "requests of Tornado", "get_metrics().http_request_metrics() on each handler"),
        (["sanic.app"], "requests of Sanic", "get_metrics().http_request_metrics() on each handler"),
        (["bottle"], "requests of Bottle", "pip install opentelemetry-instrumentation-wsgi, and"),
        (["flask.app", "quart.app"], "requests of Quart", "OpenTelemetryMiddleware"),
        (["falcon.app", "falcon.asgi"], "requests of Falcon's ASGI applications", "OpenTelemetryMiddleware"),
        (["waitress.server"], "requests of this application", "pip install opentelemetry-instrumentation-wsgi, and"),
        (["uvicorn.protocols.http.h11_impl"], "requests of this application", "OpenTelemetryMiddleware"),
        (["flask.app", "waitress.server"], "requests of Flask", "pip install opentelemetry-instrumentation-flask"),
    ],
)  # fmt: skip
def test_a_framework_that_is_not_measured_is_named_once(
    loads: Loads, lines: Callable[[], list[str]], modules: list[str], name: str, remedy: str
) -> None:
    loads(*modules)
    frameworks = UnmeasuredFrameworks()
    for _ in range(4):
        frameworks.report()
    (line,) = lines()
    assert line.startswith(f"trust-otel: {name} are not measured; to measure them: {remedy}")


@pytest.mark.parametrize(
    ("modules", "meter"),
    [
        ([], ""),
        (["flask.app"], "opentelemetry.instrumentation.wsgi"),
        (["litestar.app"], "opentelemetry.instrumentation.asgi"),
        # Handlers with the decorator of trust-otel.
        (["tornado.web"], "trust_otel"),
        (["flask.app"], "trust_otel"),
        (["waitress.server"], "opentelemetry.instrumentation.wsgi"),
        (["uvicorn.protocols.http.h11_impl"], "opentelemetry.instrumentation.asgi"),
        (["uvicorn.protocols.http.h11_impl", "starlette.applications"], ""),
        # Gunicorn's main process.
        (["gunicorn.workers.base"], ""),
        (["gunicorn.arbiter", "gunicorn.workers.base", "gevent.pywsgi"], ""),
    ],
)
def test_what_is_measured_is_not_named(
    loads: Loads, lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, modules: list[str], meter: str
) -> None:
    loads(*modules)
    monkeypatch.setattr(unmeasured, "request_meters", {meter})
    _report(UnmeasuredFrameworks())
    assert lines() == []


def test_an_installed_instrumentation_measures_or_is_disabled_by_the_user(
    loads: Loads, lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def find(name: str) -> ModuleType:
        asked.append(name)
        return ModuleType(name)

    monkeypatch.setattr(unmeasured, "find_spec", find)
    loads("flask.app", "aiohttp.web")
    _report(UnmeasuredFrameworks())
    assert lines() == []
    assert asked == ["opentelemetry.instrumentation.flask", "opentelemetry.instrumentation.aiohttp_server"]


def test_a_framework_that_is_imported_late_is_named(loads: Loads, lines: Callable[[], list[str]]) -> None:
    frameworks = UnmeasuredFrameworks()
    _report(frameworks)
    loads("flask.app")
    _report(frameworks)
    assert len(lines()) == 1


def test_forked_processes_name_only_what_they_import_themselves(loads: Loads, lines: Callable[[], list[str]]) -> None:
    frameworks = UnmeasuredFrameworks()
    loads("gunicorn.workers.base", "celery.worker")
    frameworks._continue_in_child()
    _report(frameworks)
    assert lines() == []
    loads("flask.app")
    _report(frameworks)
    assert ["Flask" in line for line in lines()] == [True]


def test_a_worker_of_gunicorn_without_a_framework_is_named(loads: Loads, lines: Callable[[], list[str]]) -> None:
    frameworks = UnmeasuredFrameworks()
    loads("gunicorn.arbiter", "gunicorn.workers.base", "gevent.pywsgi")
    frameworks._continue_in_child()
    _report(frameworks)
    assert ["WSGI" in line or "wsgi" in line for line in lines()] == [True]


def test_middleware_that_is_added_after_the_import_measures(
    loads: Loads, lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    frameworks = UnmeasuredFrameworks()
    loads("litestar.app")
    frameworks.report()
    monkeypatch.setattr(unmeasured, "request_meters", {"opentelemetry.instrumentation.asgi"})
    _report(frameworks)
    assert lines() == []


def test_nothing_is_named_soon_after_the_import(
    loads: Loads, lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(unmeasured, "monotonic", lambda: next(clock))
    frameworks = UnmeasuredFrameworks()
    loads("flask.app")
    _report(frameworks)
    assert lines() == []
    for _ in range(5):
        frameworks.report()
    assert len(lines()) == 1


def test_nothing_is_named_while_the_main_thread_imports_the_application(
    loads: Loads, lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loads("waitress.server")
    frameworks = UnmeasuredFrameworks()
    monkeypatch.setattr(unmeasured, "in_test", frameworks.report, raising=False)
    (tmp_path / "imported_application.py").write_text(
        "import threading\nfrom trust_otel.instrumentation import unmeasured\n"
        "for _ in range(3):\n    collecting = threading.Thread(target=unmeasured.in_test)\n"
        "    collecting.start()\n    collecting.join()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert threading.current_thread() is threading.main_thread()
    importlib.import_module("imported_application")
    assert lines() == []
    _report(frameworks)
    assert len(lines()) == 1
