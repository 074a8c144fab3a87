"""Standard variables that are set and have no effect, or whose effect the rules and dashboards do not expect.

docs/standard-settings.md lists every variable of OpenTelemetry and how it is honoured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from trust_otel.settings import EXPONENTIAL_BUCKETS, Settings


@dataclass(frozen=True)
class _Context:
    """What decides whether a variable has an effect: the environment as the user set it."""

    environment: Mapping[str, str]
    settings: Settings

    @property
    def file(self) -> str | None:
        return self.environment.get("OTEL_CONFIG_FILE") or None

    def is_true(self, name: str) -> bool:
        return self.environment.get(name, "").strip().lower() == "true"

    def unset(self, signal: str) -> bool:
        """Whether the user left the exporters of `TRACES` or `LOGS` at the default, which is none."""
        return not self.file and not self.environment.get(f"OTEL_{signal}_EXPORTER")

    def pushes(self, *signals: str) -> bool:
        """Whether one of the signals has an exporter that sends to an endpoint."""
        exporters = {name for signal in signals for name in self.settings.exporters_of(signal)}
        return bool(exporters - {"prometheus", "console"})

    def provided(self, name: str, signal: str) -> bool:
        """Whether trust-otel sets up a provider in place of the one that the variable names."""
        named = self.environment.get(name, "")
        return not self.file and not named.startswith("sdk_") and bool(self.settings.exporters_of(signal))


@dataclass(frozen=True)
class _Rule:
    """Variables that have no effect in some cases.

    Attributes:
        names: Patterns of the variables.
        applies: Whether they have no effect.
        reason: Why, and what to do; completes "... has no effect: ".
    """

    names: tuple[str, ...]
    applies: Callable[[_Context], bool]
    reason: str


_SPANS: Final = (
    "OTEL_BSP_*",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EXPORTER_OTLP_TRACES_*",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_PYTHON_EXPORTER_OTLP_*_TRACES_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_ID_GENERATOR",
    "OTEL_PYTHON_TRACER_CONFIGURATOR",
    "OTEL_SPAN_*",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
)
_LOGS: Final = (
    "OTEL_BLRP_*",
    "OTEL_EXPORTER_OTLP_LOGS_*",
    "OTEL_LOGRECORD_*",
    "OTEL_PYTHON_EXPORTER_OTLP_*_LOGS_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_LOGGER_CONFIGURATOR",
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED",
    "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION",
    "OTEL_PYTHON_LOG_CODE_ATTRIBUTES",
    "OTEL_PYTHON_LOG_HANDLER_LEVEL",
)
_METRICS: Final = (
    "OTEL_EXPORTER_OTLP_METRICS_*",
    "OTEL_PYTHON_EXPORTER_OTLP_*_METRICS_CREDENTIAL_PROVIDER",
)
_PERIODIC: Final = ("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT")
_EXPORTERS: Final = ("OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER")
_REPLACED_BY_FILE: Final = (
    *_EXPORTERS,
    *_SPANS,
    *_METRICS,
    *_PERIODIC,
    "OTEL_ATTRIBUTE_*",
    "OTEL_BLRP_*",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
    "OTEL_EXPORTER_*",
    "OTEL_LOGRECORD_*",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_PYTHON_*_CONFIGURATOR",
    "OTEL_RESOURCE_ATTRIBUTES",
)

RULES: Final = (
    _Rule(("OTEL_EXPERIMENTAL_CONFIG_FILE",), lambda _: True, "use OTEL_CONFIG_FILE"),
    _Rule(("OTEL_LOG_LEVEL",), lambda _: True, "configure `logging` for the logger `opentelemetry`"),
    _Rule(
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_*",),
        lambda _: True,
        "spans have no headers, which may contain personal data or secrets",
    ),
    _Rule(
        ("OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS",),
        lambda _: True,
        "a client could create any number of series; list methods in OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
    ),
    _Rule(
        ("OTEL_EXPORTER_JAEGER_*", "OTEL_EXPORTER_ZIPKIN_*"),
        lambda context: (
            not {"jaeger", "zipkin"} & {name.partition("_")[0] for name in context.settings.traces_exporters}
        ),
        "OTEL_TRACES_EXPORTER does not name this exporter; Jaeger and Zipkin accept OTLP",
    ),
    _Rule(
        _REPLACED_BY_FILE,
        lambda context: context.file is not None,
        "OTEL_CONFIG_FILE replaces it; set it in the file, or use it there as `${NAME}`",
    ),
    _Rule(
        ("OTEL_PYTHON_METER_PROVIDER",),
        lambda context: context.provided("OTEL_PYTHON_METER_PROVIDER", "metrics"),
        "trust-otel sets up the provider; set OTEL_METRICS_EXPORTER=none to use this one",
    ),
    _Rule(
        ("OTEL_PYTHON_TRACER_PROVIDER",),
        lambda context: context.provided("OTEL_PYTHON_TRACER_PROVIDER", "traces"),
        "trust-otel sets up the provider; set OTEL_TRACES_EXPORTER=none to use this one",
    ),
    _Rule(
        ("OTEL_PYTHON_LOGGER_PROVIDER",),
        lambda context: context.provided("OTEL_PYTHON_LOGGER_PROVIDER", "logs"),
        "trust-otel sets up the provider; set OTEL_LOGS_EXPORTER=none to use this one",
    ),
    _Rule(_SPANS, lambda context: context.unset("TRACES"), "spans are off by default; set OTEL_TRACES_EXPORTER=otlp"),
    _Rule(_LOGS, lambda context: context.unset("LOGS"), "log records are off by default; set OTEL_LOGS_EXPORTER=otlp"),
    _Rule(
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        lambda context: context.unset("TRACES") and context.unset("LOGS"),
        "it limits spans and log records, which are off by default; TRUST_OTEL_ATTRIBUTE_LENGTH limits label values",
    ),
    _Rule(
        ("OTEL_PYTHON_LOG_FORMAT", "OTEL_PYTHON_LOG_LEVEL"),
        lambda context: not context.is_true("OTEL_PYTHON_LOG_CORRELATION"),
        "set OTEL_PYTHON_LOG_CORRELATION=true as well",
    ),
    _Rule(
        ("OTEL_PYTHON_LOG_CORRELATION",),
        lambda _: find_spec("opentelemetry.instrumentation.logging") is None,
        "install opentelemetry-instrumentation-logging",
    ),
    _Rule(
        ("OTEL_EXPORTER_PROMETHEUS_*",),
        lambda context: not context.file and "prometheus" not in context.settings.metrics_exporters,
        "set OTEL_METRICS_EXPORTER=prometheus",
    ),
    _Rule(
        _PERIODIC,
        lambda context: set(context.settings.metrics_exporters) <= {"prometheus"},
        "OTEL_METRICS_EXPORTER names no exporter that exports periodically",
    ),
    _Rule(
        _METRICS, lambda context: not context.pushes("metrics"), "OTEL_METRICS_EXPORTER names no exporter that pushes"
    ),
    _Rule(
        ("OTEL_EXPORTER_OTLP_*", "OTEL_PYTHON_EXPORTER_OTLP_*"),
        lambda context: not context.pushes("metrics", "traces", "logs"),
        "no signal has the exporter `otlp`",
    ),
    _Rule(
        ("OTEL_EXPORTER_OTLP_*INSECURE",),
        lambda context: (
            "grpc" not in {context.settings.otlp_protocol_of(each) for each in ("metrics", "traces", "logs")}
        ),
        "it is for gRPC; the scheme of the endpoint, http:// or https://, decides",
    ),
)
"""The first rule that applies to a variable is logged."""


def warnings(environment: Mapping[str, str], defaults: Mapping[str, str]) -> list[str]:
    """A line per reason for the variables that have no effect, and per value that the rules do not expect.

    Args:
        environment: The environment variables, before the defaults are set.
        defaults: The defaults of trust-otel, which a child process inherits in its environment.
    """
    context = _Context(environment, Settings.from_environment(environment))
    if context.settings.sdk_disabled:
        return []
    found: dict[str, list[str]] = {}
    names_in_file = _text(context.file)
    for name in sorted(name for name in environment if name.startswith("OTEL_")):
        value = environment[name].strip()
        if value.lower() in ("", "false") or value == defaults.get(name) or name in names_in_file:
            continue
        for rule in RULES:
            if any(fnmatchcase(name, pattern) for pattern in rule.names) and rule.applies(context):
                found.setdefault(rule.reason, []).append(name)
                break
    lines = [f"{', '.join(names)} {_have(names)} no effect: {reason}" for reason, names in found.items()]
    return lines + _unexpected(context)


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _text(file: str | None) -> str:
    try:
        # A pipe could be read only once.
        return Path(file).read_text(encoding="utf-8") if file and Path(file).is_file() else ""
    except (OSError, ValueError):  # the SDK logs it
        return ""


def _unexpected(context: _Context) -> list[str]:
    """Values that have their effect, but leave rules and dashboards without data."""
    if context.file:
        return []
    lines = []
    environment = context.environment
    if context.settings.histogram_aggregation == EXPONENTIAL_BUCKETS:
        lines.append(
            f"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION={EXPONENTIAL_BUCKETS}: rules and dashboards "
            "need fixed buckets, so they have no latencies; unset it to use them"
        )
    temporality = environment.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    if temporality in ("delta", "lowmemory"):
        lines.append(
            f"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE={temporality}: Prometheus needs cumulative metrics; "
            "unset it, or convert them in the Collector"
        )
    opted = {text.strip() for text in environment.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")} - {""}
    if opted and ({"http/dup", "database/dup"} & opted or not {"http", "database"} <= opted):
        lines.append(
            "OTEL_SEMCONV_STABILITY_OPT_IN has no effect on the metrics of trust-otel, which always have the stable "
            "names; it applies to other instrumentations"
        )
    return lines
