"""The distro: sets defaults in the environment and loads instrumentors."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from fnmatch import fnmatch
from importlib.util import find_spec
from os import environ
from pathlib import Path
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.util._importlib_metadata import EntryPoint, entry_points
from wrapt import register_post_import_hook, wrap_function_wrapper

from trust_otel import disabled_instrumentations, helper_processes, ineffective_settings, settings
from trust_otel.disabled_instrumentations import is_disabled
from trust_otel.export.wanted import logs_wanted, spans_wanted
from trust_otel.interrupts import interrupt_terminates
from trust_otel.settings import Setting, Settings

_logger = logging.getLogger(__name__)

_chosen = False
_idle = False
_forked = False
_disabled_instrumentations: str | None = None

_CONFIGURATION_ERROR = 78  # EX_CONFIG of sysexits.h

DISTRO_NAME = "trust_distro"
CONFIGURATOR_NAME = "trust_configurator"

DEFAULTS: Mapping[str, str] = {
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative",
    "OTEL_METRIC_EXPORT_INTERVAL": "15000",
    # Stable names wherever an upstream instrumentation can choose.
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    # Another installed distro has its own configurator.
    "OTEL_PYTHON_CONFIGURATOR": CONFIGURATOR_NAME,
}
"""Defaults of OpenTelemetry's variables. With OTEL_CONFIG_FILE only the last two apply."""

_WITH_CONFIG_FILE = ("OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_PYTHON_CONFIGURATOR")

# Upstream instrumentors that are loaded for their spans only: ours replace their metrics, or their metrics are wrong.
_SPANS_ONLY = (
    # Counts failed requests twice (0.66b1).
    "tornado",
    "fastapi",
    "starlette",
    "asgi",
    "grpc_server",
    "grpc_client",
    "grpc_aio_server",
    "grpc_aio_client",
    "sqlalchemy",
)


class InvalidSettingsError(Exception):
    """Settings are invalid and TRUST_OTEL_STRICT is true: the service must not start."""

    def __init__(self, problems: Iterable[str]) -> None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(
            f"trust-otel refuses to start, because {settings.STRICT}=true and these values are invalid:\n{lines}"
        )


class TrustDistro(BaseDistro):  # type: ignore[misc]  # upstream's class is untyped
    """Sets defaults for variables that the user did not set."""

    @interrupt_terminates()
    def _configure(self, **kwargs: Any) -> None:
        global _chosen
        _chosen = True
        if _is_helper():
            _stay_idle()
            return
        try:
            prepare(environ)
        except InvalidSettingsError as error:
            # Raised, it would be printed below a traceback and "Fatal Python error", since Python is still starting.
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(_CONFIGURATION_ERROR)
        for line in conflicts(environ):
            _logger.warning("trust-otel: %s", line)
        if settings.current().sdk_disabled:
            _stay_idle()
        else:
            register_post_import_hook(_turn_fastapi_off_if_disabled, "fastapi")

    @interrupt_terminates()
    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Load an instrumentor; of those that ours replace, load the spans only."""
        if settings.current().sdk_disabled or is_disabled(entry_point.name, environ):
            return
        if entry_point.name == "system_metrics":
            _load_system_metrics(entry_point, **kwargs)
        elif entry_point.name == "logging":
            _load_logging(entry_point, **kwargs)
        elif entry_point.name == "django":
            _load_django(entry_point, **kwargs)
        elif entry_point.name not in _SPANS_ONLY:
            super().load_instrumentor(entry_point, **kwargs)
        elif spans_wanted(environ) and not (entry_point.name == "fastapi" and _fastapi_creates_spans()):
            entry_point.load()().instrument(meter_provider=NoOpMeterProvider(), **kwargs)


def _fastapi_creates_spans() -> bool:
    """Whether FastAPI creates spans itself, without a second search for the route. Does not import FastAPI."""
    found = find_spec("fastapi")
    return any(Path(folder, "telemetry").is_dir() for folder in (found and found.submodule_search_locations) or ())


class _NoConfigurator:
    """Replaces the configurator if the SDK is not needed."""

    def configure(self, **kwargs: Any) -> None:
        """Do nothing."""


@interrupt_terminates()
def load_configurator() -> Any:
    """The configurator, whose module imports the SDK; one that does nothing if the SDK is not needed."""
    if _idle:
        return _NoConfigurator()
    from trust_otel.configurator import TrustConfigurator

    return TrustConfigurator()


def _is_helper() -> bool:
    """Whether this process does not run code of the program."""
    if helper_processes.is_tool():
        # The child processes of a tool do not run the program either.
        environ["OTEL_SDK_DISABLED"] = "true"
        return True
    if helper_processes.is_fork_server() and not _forked:
        helper_processes.at_fork(before=_import_sdk, in_child=_initialize_in_child)
        return True
    return helper_processes.is_resource_tracker()


def _import_sdk() -> None:
    """Import the SDK once for all children of a fork server."""
    try:
        from trust_otel import configurator  # noqa: F401 - imports the SDK
        from trust_otel.export.otlp import exporter_class

        for exporter in settings.current().metrics_exporters:
            if exporter != "prometheus":
                exporter_class("metrics", exporter)
    except Exception:
        _logger.debug("trust-otel: the SDK could not be imported in the fork server", exc_info=True)


def _initialize_in_child() -> None:
    """Set up telemetry in a child of a fork server, as the launcher does in a process of the program."""
    global _forked
    _forked = True
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    initialize()


def _stay_idle() -> None:
    """Make the launcher set up no SDK, and skip all instrumentors without checking their dependencies."""
    global _idle, _disabled_instrumentations
    _idle, _disabled_instrumentations = True, environ.get(disabled_instrumentations.VARIABLE)
    environ[disabled_instrumentations.VARIABLE] = "*"
    environ.setdefault("OTEL_PYTHON_CONFIGURATOR", CONFIGURATOR_NAME)


def _end_idling() -> None:
    """Restore the variable for child processes, after the launcher has read it."""
    global _idle
    _idle = False
    if _disabled_instrumentations is None:
        environ.pop(disabled_instrumentations.VARIABLE, None)
    else:
        environ[disabled_instrumentations.VARIABLE] = _disabled_instrumentations


def prepare(environment: MutableMapping[str, str]) -> None:
    """Log invalid values, replace them, and set defaults for variables that are unset.

    Raises:
        InvalidSettingsError: A value is invalid and TRUST_OTEL_STRICT is true.
    """
    problems = settings.check(environment)
    unknown = [str(name) for name in settings.unknown_names(environment)]
    if (problems or unknown) and Settings.from_environment(environment).strict:
        raise InvalidSettingsError([*map(str, problems), *unknown])
    for problem in problems:
        _logger.warning("trust-otel: %s; %s", problem, problem.consequence)
    for line in [*unknown, *ineffective_settings.warnings(environment, DEFAULTS)]:
        _logger.warning("trust-otel: %s", line)
    apply_defaults(environment, problems)


def apply_defaults(environment: MutableMapping[str, str], problems: Iterable[settings.Problem]) -> None:
    """Replace invalid values with their valid part or the default, and set defaults for unset variables."""
    invalid = {problem.name: problem for problem in problems}
    # The SDK also reads these variables, and fails if one is invalid, empty or in upper case.
    for setting in settings.SETTINGS:
        if setting.name in environment:
            _normalise(environment, setting, invalid.get(setting.name))
    for name in DEFAULTS:
        if environment.get(name) == "":
            del environment[name]
    wanted = _WITH_CONFIG_FILE if environment.get("OTEL_CONFIG_FILE") else DEFAULTS
    for name in wanted:
        environment.setdefault(name, DEFAULTS[name])


def _normalise(environment: MutableMapping[str, str], setting: Setting, problem: settings.Problem | None) -> None:
    text = (problem.replacement or "") if problem else environment[setting.name]
    if not text:
        del environment[setting.name]
    elif problem:
        environment[setting.name] = text
    else:
        value = setting.read(environment)
        if isinstance(value, str):
            environment[setting.name] = value


def chosen() -> bool:
    """Whether this distro set up the process, not another one that is installed too."""
    return _chosen


def conflicts(environment: Mapping[str, str]) -> list[str]:
    """Other software that could record or export the same metrics, each with a remedy."""
    lines = [
        f"the distro {entry.name!r} ({entry.value}) is also installed; set OTEL_PYTHON_DISTRO={DISTRO_NAME}, "
        "otherwise the order of installation decides which one is loaded"
        for entry in entry_points(group="opentelemetry_distro")
        if entry.name != DISTRO_NAME and environment.get("OTEL_PYTHON_DISTRO") != DISTRO_NAME
    ]
    if environment.get("FASTAPI_OTEL_AUTO_CONFIGURE", "").lower() == "true":
        lines.append("FastAPI exports all telemetry a second time; unset FASTAPI_OTEL_AUTO_CONFIGURE")
    return lines


def warn_unless_chosen() -> None:
    """Log a warning if another distro was loaded instead of this one; called before all instrumentors."""
    if _idle:
        _end_idling()
    if not _chosen:
        _logger.warning(
            "trust-otel: another distro was loaded, so trust-otel instruments nothing; set OTEL_PYTHON_DISTRO=%s",
            DISTRO_NAME,
        )


def _turn_fastapi_off_if_disabled(fastapi: ModuleType) -> None:
    if not is_disabled("fastapi", environ):
        return
    # An exception here would break the import in the program.
    try:
        from trust_otel.instrumentation import fastapi_telemetry

        fastapi_telemetry.turn_off(fastapi)
    except Exception:
        _logger.exception("trust-otel: FastAPI's own telemetry is not disabled")


def _load_system_metrics(entry_point: EntryPoint, **kwargs: Any) -> None:
    """Load only those process and runtime metrics that the registry declares."""
    from trust_otel.sdk_private import repair_process_metrics_after_fork
    from trust_otel.semconv.metrics import ALL as ALL_METRICS
    from trust_otel.semconv.metrics import PROCESS_UPTIME

    modes: dict[str, list[str] | None] = {"process.cpu.time": ["user", "system"]}
    excluded = [text.strip() for text in environ.get("OTEL_PYTHON_SYSTEM_METRICS_EXCLUDED_METRICS", "").split(",")]
    names = [
        name
        for name in ALL_METRICS.keys() - {PROCESS_UPTIME.name}
        if name.startswith(("process.", "cpython.")) and not any(fnmatch(name, pattern) for pattern in excluded)
    ]
    instrumentor = entry_point.load()(config={name: modes.get(name) for name in names})
    instrumentor.instrument(**kwargs)
    repair_process_metrics_after_fork(instrumentor)


def _load_logging(entry_point: EntryPoint, **kwargs: Any) -> None:
    """Load the instrumentor of `logging` if the settings need it, without changing the root logger."""
    if logs_wanted(environ):
        # Imported here: it is needed only when log records are exported.
        from trust_otel.export.log_records import root_logger_unchanged

        with root_logger_unchanged():
            entry_point.load()().instrument(**kwargs)
    elif environ.get("OTEL_PYTHON_LOG_CORRELATION", "").strip().lower() == "true":
        entry_point.load()().instrument(enable_log_auto_instrumentation=False, **kwargs)


def _load_django(entry_point: EntryPoint, **kwargs: Any) -> None:
    """Load the instrumentor of Django when a handler reads the project's settings.

    Before, it would set up empty settings for a project that sets DJANGO_SETTINGS_MODULE itself, as `manage.py` does.
    """

    def load_middleware(wrapped: Callable[..., None], _instance: object, args: Any, options: Any) -> None:
        try:
            instrumentor = entry_point.load()()
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument(**kwargs)
        except Exception:
            _logger.exception("trust-otel: django is not measured")
        return wrapped(*args, **options)

    def wait_for_handler(handlers: Any) -> None:
        wrap_function_wrapper(handlers, "BaseHandler.load_middleware", load_middleware)

    register_post_import_hook(wait_for_handler, "django.core.handlers.base")
