"""All uses of private parts of the SDK (1.45.1 and 1.45.2).

Spans and log records are set up by the SDK's own functions, so that all its variables keep their meaning.
"""

from __future__ import annotations

import logging
import os
import threading
from _thread import LockType, RLock
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from os import environ
from time import monotonic
from typing import Any, cast

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context, get_current
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    ExemplarFilter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableUpDownCounter,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import DefaultAggregation, ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.util._importlib_metadata import entry_points

from trust_otel import disabled_instrumentations, forks, settings
from trust_otel.export.otlp import check_responses_of, checking_responses, components_of, reconnect
from trust_otel.log_safe import error_location
from trust_otel.resource import unique_in_process

_logger = logging.getLogger(__name__)

_AGGREGATED = (Histogram, ObservableCounter, ObservableUpDownCounter)

_EXEMPLAR_FILTERS = (AlwaysOffExemplarFilter, TraceBasedExemplarFilter, AlwaysOnExemplarFilter)

_RETRY_EVENTS = {"_shutdown_event", "_shutdown_in_progress"}
"""Events on which the OTLP exporters (HTTP and gRPC) wait between two attempts."""


def configure_from_file() -> None:
    """Set up the SDK from the file in OTEL_CONFIG_FILE; without telemetry if the file is invalid."""
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator

    from trust_otel.export.log_records import root_logger_unchanged

    _make_file_resource_unique()
    _apply_instrumentations_of_file()
    logging.getLogger("opentelemetry.configuration.file._loader").addFilter(_without_exception)
    configurator: Any = type("FileConfigurator", (_OTelSDKConfigurator,), {})
    try:
        with root_logger_unchanged():
            configurator().configure()
    except Exception as error:
        _logger.error(
            "trust-otel: the file in OTEL_CONFIG_FILE is invalid, telemetry is disabled: %s", _file_problem(error)
        )
    for provider in installed_providers().values():
        check_responses_of(provider)
    _repair_propagation()


class ExactView(View):
    """A view of the instrument with exactly this name.

    The SDK's own compares each name as a pattern: with a view per metric, that is a third of the first collection.
    """

    def __init__(self, instrument_name: str, **kwargs: Any) -> None:
        super().__init__(instrument_name=instrument_name, **kwargs)
        self._exact_name = instrument_name

    def _match(self, instrument: Any) -> bool:
        return bool(instrument.name == self._exact_name)


def make_meter_provider(readers: Sequence[MetricReader], resource: Resource, views: Sequence[View]) -> MeterProvider:
    """A provider of meters, with the configurator in OTEL_PYTHON_METER_CONFIGURATOR."""
    provider = partial(MeterProvider, readers, resource, views=views)
    name = environ.get("OTEL_PYTHON_METER_CONFIGURATOR", "").strip()
    if not name:
        return provider()
    try:
        (entry_point,) = entry_points(group="_opentelemetry_meter_configurator", name=name)
        return provider(_meter_configurator=entry_point.load())
    except Exception as error:
        _logger.error("trust-otel: OTEL_PYTHON_METER_CONFIGURATOR has no effect: %s", error_location(error))
        return provider()


def periodic_exports() -> list[float]:
    """Milliseconds between two exports of each reader that pushes metrics; none if metrics can be scraped as well."""
    readers = [each for each in components_of(metrics.get_meter_provider()) if isinstance(each, MetricReader)]
    if not all(isinstance(each, PeriodicExportingMetricReader) for each in readers):
        return []
    return [
        float(getattr(each, "_export_interval_millis", 0))
        for each in readers
        if not isinstance(getattr(each, "_exporter", None), ConsoleMetricExporter)
    ]


Collect = Callable[[MetricReader, Resource, Callable[[], MetricsData | None]], MetricsData | None]
"""Returns what a reader gets; calls the function to collect what the SDK recorded for it."""


def complete_collections(provider: MeterProvider, collect_all: Collect) -> None:
    """Add metrics that the SDK does not record to what the readers of a provider collect."""
    consumer: Any = provider._measurement_consumer
    collect_of_sdk = consumer.collect

    def collect(reader: MetricReader, timeout_millis: float = 10_000) -> MetricsData | None:
        from_sdk = partial(collect_of_sdk, reader, timeout_millis=timeout_millis)
        return collect_all(reader, provider._sdk_config.resource, from_sdk)

    # For readers that are added later.
    consumer.collect = collect
    for reader in consumer._reader_storages:
        reader._set_collect_callback(collect)


def check_at_collections(provider: MeterProvider, check: Callable[[], None]) -> None:
    """Call a function that never changes what is collected before each collection."""

    def checked(
        _reader: MetricReader, _resource: Resource, from_sdk: Callable[[], MetricsData | None]
    ) -> MetricsData | None:
        try:
            check()
        except Exception:
            _logger.debug("trust-otel: a check failed", exc_info=True)
        return from_sdk()

    try:
        complete_collections(provider, checked)
    except AttributeError:
        _logger.debug("trust-otel: nothing is checked at collections, with this version of the SDK", exc_info=True)


def exemplar_filter_of(provider: MeterProvider) -> ExemplarFilter | None:
    """Which measurements become exemplars; `None` if the version of the SDK is unknown."""
    return getattr(getattr(provider, "_sdk_config", None), "exemplar_filter", None)


def aggregates_as_declared(provider: MeterProvider, instrument: Any) -> bool:
    """Whether all readers collect this instrument cumulatively, with the buckets and attributes that it declares.

    That is so unless the program configured a view for it, another temporality, aggregation or exemplar filter.

    Args:
        provider: The provider of the instrument.
        instrument: A histogram, observable counter or observable up-down counter, or its proxy.
    """
    real = getattr(instrument, "_real_instrument", instrument)
    try:
        return isinstance(real, _AGGREGATED) and real._is_enabled() and _collected_as_declared(provider, real)
    except AttributeError:  # an unknown version of the SDK
        return False


def _collected_as_declared(provider: Any, instrument: Any) -> bool:
    matching = [view for view in provider._sdk_config.views if view._match(instrument)]
    if any(not isinstance(view, ExactView) for view in matching):
        return False
    kind, is_histogram = type(instrument), isinstance(instrument, Histogram)
    # With `AlwaysOnExemplarFilter`, the SDK keeps observed sums as exemplars.
    if type(exemplar_filter_of(provider)) not in (_EXEMPLAR_FILTERS if is_histogram else _EXEMPLAR_FILTERS[:2]):
        return False
    fixed_buckets = any(isinstance(view._aggregation, ExplicitBucketHistogramAggregation) for view in matching)
    return all(
        storage._instrument_class_temporality[kind] is AggregationTemporality.CUMULATIVE
        and ((is_histogram and fixed_buckets) or _is_default(storage._instrument_class_aggregation[kind], is_histogram))
        for storage in provider._measurement_consumer._reader_storages.values()
    )


def _is_default(aggregation: Any, is_histogram: bool) -> bool:
    """Whether a reader leaves the aggregation, and the buckets of a histogram, to the instrument."""
    if is_histogram and isinstance(aggregation, ExplicitBucketHistogramAggregation):
        return aggregation._boundaries is None and aggregation._record_min_max
    return isinstance(aggregation, DefaultAggregation)


_LONGEST_EXPORT_SECONDS = 1.0
"""How long a fork waits for a running export."""

_held_exports: list[Any] = []


def prepare_for_forks() -> None:
    """Let a forked process use the SDK as if it had set it up itself.

    A fork waits for running exports, so that the child does not inherit half a request. In the child no lock is held by
    a thread that only the parent has, no exporter uses the connection of the parent, and everything counts from 0: the
    child exports under its own `service.instance.id`, and would otherwise export the counts of its parent again.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_hold_exports, after_in_parent=_continue_exports)
        forks.in_child(forks.Step.STATE, _restart_in_child)


def _hold_exports() -> None:
    deadline = monotonic() + _LONGEST_EXPORT_SECONDS
    for component in _all_components():
        lock = getattr(component, "_export_lock", None)
        # A hanging Collector must not delay the fork; the child renews the lock.
        if lock is not None and lock.acquire(timeout=max(0.0, deadline - monotonic())):
            _held_exports.append(lock)


def _continue_exports() -> None:
    while _held_exports:
        _held_exports.pop().release()


def _restart_in_child() -> None:
    _held_exports.clear()
    components = list(_all_components())
    for component in components:
        _release_locks(component)
    _reset_counts()
    for component in components:
        try:
            reconnect(component)
        except Exception as error:
            _logger.error("trust-otel: an exporter of a forked process failed: %s", error_location(error))


def _all_components() -> Iterator[Any]:
    for provider in installed_providers().values():
        yield from components_of(provider)


_LOCKS = (LockType, RLock, threading.Event, threading.Condition)


def _release_locks(component: object) -> None:
    """Release the locks of an object in a forked process: a thread that only the parent has may hold them."""
    for value in tuple(getattr(component, "__dict__", {}).values()):
        if isinstance(value, _LOCKS):
            forks.release(value)


def _reset_counts() -> None:
    consumer: Any = getattr(metrics.get_meter_provider(), "_measurement_consumer", None)
    try:
        for storage in consumer._reader_storages.values() if consumer else ():
            storage._instrument_view_instrument_matches.clear()
    except AttributeError:
        _logger.debug(
            "trust-otel: forked processes export the counts of their parent again, with this version of the SDK",
            exc_info=True,
        )


def repair_process_metrics_after_fork(system_metrics: Any) -> None:
    """Make OpenTelemetry's system metrics in a forked process measure that process, not its parent."""

    def measure_this_process() -> None:
        try:
            system_metrics._proc = type(system_metrics._proc)()
        except Exception:
            _logger.debug("trust-otel: a forked process exports the process metrics of its parent", exc_info=True)

    forks.in_child(forks.Step.STATE, measure_this_process)


def _make_file_resource_unique() -> None:
    """Give the resource of a configuration file a `service.instance.id` that is unique in every process."""
    try:
        from opentelemetry.configuration import _sdk as module
    except ImportError:
        return  # file configuration is not installed; the SDK logs that
    sdk: Any = module
    create: Callable[..., Resource] | None = getattr(sdk, "create_resource", None)
    if create is not None and not hasattr(create, "__wrapped__"):
        sdk.create_resource = wraps(create)(lambda config: unique_in_process(create(config)))


def _apply_instrumentations_of_file() -> None:
    """Let a name under `instrumentation/development` in a configuration file mean what it means in the environment."""
    try:
        from opentelemetry.configuration import _sdk as module
    except ImportError:
        return  # file configuration is not installed; the SDK logs that
    sdk: Any = module
    configure: Callable[[Any], None] | None = getattr(sdk, "configure_instrumentation", None)
    if configure is None or hasattr(configure, "__wrapped__"):
        return

    @wraps(configure)
    def configure_others(configuration: Any) -> None:
        listed: dict[str, Any] = getattr(configuration, "python", None) or {}
        off = [
            name for name, options in listed.items() if isinstance(options, dict) and options.get("enabled") is False
        ]
        if off:
            disabled_instrumentations.disable(off, environ)
        for name in [name for parts in disabled_instrumentations.REPLACED.values() for name in parts]:
            # Those of trust-otel replace it.
            if set(listed.pop(name, None) or ()) - {"enabled"}:
                _logger.warning("trust-otel: the options of %s in OTEL_CONFIG_FILE have no effect", name)
        configure(configuration)

    sdk.configure_instrumentation = configure_others


def _without_exception(record: logging.LogRecord) -> bool:
    """Remove the exception from a record: it quotes the file with environment variables substituted."""
    record.exc_info = record.exc_text = None
    return True


def _file_problem(error: BaseException) -> str:
    """Position and kind of the error in the file, without the file's content."""
    cause = error.__cause__
    # From jsonschema.
    if path := getattr(cause, "absolute_path", None):
        return f"{' -> '.join(map(str, path))} does not match the schema ({getattr(cause, 'validator', '')})"
    # From PyYAML.
    if mark := getattr(cause, "problem_mark", None):
        return f"line {mark.line + 1}, column {mark.column + 1} is not valid YAML"
    return error_location(cause or error)


def configure_spans_and_logs(resource: Resource) -> None:
    """Set up the exporters in OTEL_TRACES_EXPORTER and OTEL_LOGS_EXPORTER."""
    try:
        wanted = settings.current()
        if not wanted.traces_exporters and not wanted.logs_exporters:
            _repair_propagation()
            return
        # Imported here: it imports the whole SDK.
        from opentelemetry.sdk import _configuration as sdk

        span_exporters, _, log_exporters = sdk._import_exporters(
            sdk._get_exporter_names("traces"), [], sdk._get_exporter_names("logs")
        )
        if span_exporters:
            # Imported here: not needed without spans.
            from trust_otel.privacy.redaction import redacting

            exporters: Any = {
                name: redacting(checking_responses(exporter)) for name, exporter in span_exporters.items()
            }
            sdk._init_tracing(
                exporters=exporters,
                id_generator=sdk._import_id_generator(sdk._get_id_generator()),
                sampler=sdk._import_sampler(sdk._get_sampler()),
                resource=resource,
                tracer_configurator=sdk._import_tracer_configurator(sdk._get_tracer_configurator()),
            )
        if log_exporters:
            from trust_otel.export.log_records import root_logger_unchanged

            handler = environ.get("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", "false").strip().lower()
            with root_logger_unchanged():
                sdk._init_logging(
                    cast(Any, {name: checking_responses(exporter) for name, exporter in log_exporters.items()}),
                    resource,
                    handler == "true",
                    logger_configurator=sdk._import_logger_configurator(sdk._get_logger_configurator()),
                )
        _repair_propagation()
    except Exception as error:  # an invalid variable of the SDK, or an unknown version of it
        _logger.error(
            "trust-otel: spans and logs could not be set up and may be disabled; metrics work (%s)",
            error_location(error),
        )


def installed_providers() -> dict[str, Any]:
    """The SDK's global providers, by signal."""
    providers: dict[str, Any] = {
        "metrics": metrics.get_meter_provider(),
        "spans": trace.get_tracer_provider(),
        "log records": _logs.get_logger_provider(),
    }
    # The API's default providers have no `shutdown`.
    return {signal: provider for signal, provider in providers.items() if hasattr(provider, "shutdown")}


def is_shut_down(provider: object) -> bool:
    """Whether the program has shut the provider down, which must not be done twice."""
    return getattr(provider, "_atexit_handler", provider) is None


def stop_retrying(provider: object) -> None:
    """Make the exporters of a provider stop retrying; the current attempt may still succeed."""
    for component in components_of(provider):
        if any(base.__module__.startswith("opentelemetry.exporter.") for base in type(component).__mro__):
            held = getattr(component, "__dict__", {})
            for name in _RETRY_EVENTS & held.keys():
                held[name].set()


def _repair_propagation() -> None:
    """Without a propagator (as with a configuration file), the SDK 1.45 extracts `None`, and every span fails."""
    if cast(object, get_global_textmap().extract({})) is None:
        set_global_textmap(_NoPropagation())


class _NoPropagation(TextMapPropagator):
    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        return get_current() if context is None else context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write nothing."""

    @property
    def fields(self) -> set[str]:
        return set()
