"""Standard variables without effect are named, with the reason."""

import os
from pathlib import Path

import pytest

from trust_otel.distro import DEFAULTS, apply_defaults, prepare
from trust_otel.ineffective_settings import warnings

_TRACES = {"OTEL_TRACES_EXPORTER": "otlp"}
_LOGS = {"OTEL_LOGS_EXPORTER": "otlp"}
_PROMETHEUS = {"OTEL_METRICS_EXPORTER": "prometheus"}
_CONSOLE = {"OTEL_METRICS_EXPORTER": "console"}
_NONE = {"OTEL_METRICS_EXPORTER": "none"}

_SPANS = "spans are off by default; set OTEL_TRACES_EXPORTER=otlp"
_RECORDS = "log records are off by default; set OTEL_LOGS_EXPORTER=otlp"


@pytest.mark.parametrize(
    ("environment", "name", "reason"),
    [
        ({}, "OTEL_EXPERIMENTAL_CONFIG_FILE", "use OTEL_CONFIG_FILE"),
        ({}, "OTEL_LOG_LEVEL", "configure `logging`"),
        (_TRACES, "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "spans have no headers"),
        (_TRACES, "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE", "spans have no headers"),
        (_TRACES, "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "spans have no headers"),
        ({}, "OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS", "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"),
        ({}, "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "accept OTLP"),
        ({}, "OTEL_EXPORTER_JAEGER_AGENT_HOST", "accept OTLP"),
        ({}, "OTEL_TRACES_SAMPLER", _SPANS),
        ({}, "OTEL_TRACES_SAMPLER_ARG", _SPANS),
        ({}, "OTEL_BSP_SCHEDULE_DELAY", _SPANS),
        ({}, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", _SPANS),
        ({}, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", _SPANS),
        ({}, "OTEL_PYTHON_ID_GENERATOR", _SPANS),
        (_LOGS, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", _SPANS),
        ({"OTEL_TRACES_EXPORTER": ""}, "OTEL_BSP_MAX_QUEUE_SIZE", _SPANS),
        ({}, "OTEL_BLRP_SCHEDULE_DELAY", _RECORDS),
        ({}, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", _RECORDS),
        ({}, "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", _RECORDS),
        (_TRACES, "OTEL_PYTHON_LOG_CODE_ATTRIBUTES", _RECORDS),
        ({}, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "TRUST_OTEL_ATTRIBUTE_LENGTH limits label values"),
        ({}, "OTEL_PYTHON_LOG_FORMAT", "OTEL_PYTHON_LOG_CORRELATION=true"),
        ({"OTEL_PYTHON_LOG_CORRELATION": "false"}, "OTEL_PYTHON_LOG_LEVEL", "OTEL_PYTHON_LOG_CORRELATION=true"),
        ({}, "OTEL_EXPORTER_PROMETHEUS_PORT", "OTEL_METRICS_EXPORTER=prometheus"),
        (_PROMETHEUS, "OTEL_METRIC_EXPORT_INTERVAL", "exports periodically"),
        (_NONE, "OTEL_METRIC_EXPORT_TIMEOUT", "exports periodically"),
        (_PROMETHEUS, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "no exporter that pushes"),
        (_CONSOLE, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "no exporter that pushes"),
        (_PROMETHEUS, "OTEL_EXPORTER_OTLP_ENDPOINT", "no signal has the exporter `otlp`"),
        (_CONSOLE, "OTEL_EXPORTER_OTLP_HEADERS", "no signal has the exporter `otlp`"),
        ({}, "OTEL_EXPORTER_OTLP_INSECURE", "it is for gRPC"),
        ({}, "OTEL_EXPORTER_OTLP_METRICS_INSECURE", "it is for gRPC"),
        ({}, "OTEL_PYTHON_METER_PROVIDER", "OTEL_METRICS_EXPORTER=none"),
        (_TRACES, "OTEL_PYTHON_TRACER_PROVIDER", "OTEL_TRACES_EXPORTER=none"),
        (_LOGS, "OTEL_PYTHON_LOGGER_PROVIDER", "OTEL_LOGS_EXPORTER=none"),
    ],
)
def test_variable_without_effect_is_named(environment: dict[str, str], name: str, reason: str) -> None:
    (line,) = warnings({**environment, name: "x"}, DEFAULTS)
    assert line.startswith(f"{name} has no effect: ")
    assert reason in line


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        (_TRACES, "OTEL_TRACES_SAMPLER"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "OTEL_TRACES_SAMPLER"),
        (_TRACES, "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
        ({**_PROMETHEUS, **_TRACES}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_METRICS_EXPORTER": "otlp,prometheus"}, "OTEL_EXPORTER_PROMETHEUS_HOST"),
        (_LOGS, "OTEL_BLRP_SCHEDULE_DELAY"),
        (_LOGS, "OTEL_ATTRIBUTE_COUNT_LIMIT"),
        (_CONSOLE, "OTEL_METRIC_EXPORT_INTERVAL"),
        ({}, "OTEL_METRIC_EXPORT_INTERVAL"),
        ({"OTEL_PYTHON_LOG_CORRELATION": "TRUE"}, "OTEL_PYTHON_LOG_FORMAT"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_INSECURE"),
        ({}, "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"),
        ({}, "OTEL_METRICS_EXEMPLAR_FILTER"),
        ({}, "OTEL_PYTHON_TRACER_PROVIDER"),
        (_NONE, "OTEL_PYTHON_METER_PROVIDER"),
        ({}, "OTEL_SERVICE_NAME"),
        ({}, "OTEL_PROPAGATORS"),
        ({}, "OTEL_PYTHON_EXCLUDED_URLS"),
        ({}, "NOT_OTEL_LOG_LEVEL"),
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_TRACES_SAMPLER"),
    ],
)
def test_variable_with_effect_is_not_named(environment: dict[str, str], name: str) -> None:
    assert warnings({**environment, name: "x"}, DEFAULTS) == []


@pytest.mark.parametrize("value", ["", " ", "false", "False"])
def test_variable_that_turns_something_off_is_not_named(value: str) -> None:
    assert warnings({"OTEL_PYTHON_LOG_CODE_ATTRIBUTES": value, "OTEL_EXPORTER_OTLP_INSECURE": value}, DEFAULTS) == []


def test_provider_of_the_sdk_is_what_is_set_up() -> None:
    assert warnings({"OTEL_PYTHON_METER_PROVIDER": "sdk_meter_provider"}, DEFAULTS) == []


def test_one_line_names_all_variables_with_one_reason() -> None:
    environment = {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_LOG_LEVEL": "debug"}
    lines = warnings(environment, DEFAULTS)
    assert len(lines) == 2
    assert any(line.startswith("OTEL_BSP_SCHEDULE_DELAY, OTEL_TRACES_SAMPLER have no effect: ") for line in lines)


@pytest.mark.parametrize("exporter", ["prometheus", "console", "none", "otlp"])
def test_child_process_names_nothing_that_the_parent_set(exporter: str) -> None:
    environment = {"OTEL_METRICS_EXPORTER": exporter}
    apply_defaults(environment, [])
    assert warnings(environment, DEFAULTS) == []


def test_configuration_file_replaces_variables_that_it_does_not_use(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text("resource: {attributes_list: '${OTEL_RESOURCE_ATTRIBUTES}'}")
    environment = {
        "OTEL_CONFIG_FILE": str(file),
        "OTEL_RESOURCE_ATTRIBUTES": "a=b",
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
    }
    (line,) = warnings(environment, DEFAULTS)
    assert line.startswith("OTEL_METRICS_EXPORTER, OTEL_TRACES_SAMPLER have no effect: OTEL_CONFIG_FILE replaces")


def test_configuration_in_a_pipe_is_left_to_the_sdk() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"file_format: '1.0'")
    os.close(writing)
    assert warnings({"OTEL_CONFIG_FILE": f"/dev/fd/{reading}"}, DEFAULTS) == []
    assert os.read(reading, 100) == b"file_format: '1.0'"
    os.close(reading)


def test_missing_configuration_file_does_not_fail() -> None:
    assert warnings({"OTEL_CONFIG_FILE": "/nowhere/otel.yaml", "OTEL_PROPAGATORS": "none"}, DEFAULTS) == []


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "BASE2_EXPONENTIAL_BUCKET_HISTOGRAM",
            "need fixed buckets",
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta", "Prometheus needs cumulative metrics"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory", "Prometheus needs cumulative metrics"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup", "stable names"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "http", "stable names"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "database,gen_ai_latest_experimental", "stable names"),
    ],
)
def test_value_that_rules_and_dashboards_do_not_expect_is_named(name: str, value: str, part: str) -> None:
    (line,) = warnings({name: value}, DEFAULTS)
    assert line.startswith(name)
    assert part in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "database, http"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database,gen_ai_latest_experimental"),
    ],
)
def test_expected_value_is_not_named(name: str, value: str) -> None:
    assert warnings({name: value}, DEFAULTS) == []


def test_lines_are_logged_at_start(caplog: pytest.LogCaptureFixture) -> None:
    prepare({"OTEL_TRACES_SAMPLER": "always_on"})
    assert [record.getMessage() for record in caplog.records] == [
        f"trust-otel: OTEL_TRACES_SAMPLER has no effect: {_SPANS}"
    ]
