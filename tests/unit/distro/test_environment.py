"""The defaults that the distro sets in the environment."""

import logging

import pytest

from trust_otel.distro import DEFAULTS, InvalidSettingsError, prepare
from trust_otel.export.wanted import spans_wanted


def test_empty_environment_gets_every_default() -> None:
    environment: dict[str, str] = {}
    prepare(environment)
    assert environment == DEFAULTS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_METRICS_EXPORTER", "prometheus,console"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "60000"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup"),
        ("OTEL_PYTHON_CONFIGURATOR", "another"),
    ],
)
def test_values_of_the_user_are_kept(name: str, value: str) -> None:
    environment = {name: value}
    prepare(environment)
    assert environment == {**DEFAULTS, name: value}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_empty_value_counts_as_unset(name: str) -> None:
    environment = {name: ""}
    prepare(environment)
    assert environment == DEFAULTS


def test_empty_values_are_removed_before_the_sdk_reads_them() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_METRIC_EXPORT_TIMEOUT": ""}
    prepare(environment)
    assert environment == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "meant"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta", "delta"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", " http://Collector:4318 ", "http://Collector:4318"),
        ("OTEL_METRICS_EXPORTER", "otlp, prometheus", "otlp, prometheus"),
    ],
)
def test_values_are_normalized_before_the_sdk_reads_them(name: str, text: str, meant: str) -> None:
    environment = {name: text}
    prepare(environment)
    assert environment == {**DEFAULTS, name: meant}


def test_other_variables_are_unchanged() -> None:
    environment = {"PATH": "/bin", "OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}
    before = dict(environment)
    prepare(environment)
    assert environment == {**DEFAULTS, **before}


def test_configuration_file_leaves_only_defaults_that_it_cannot_set() -> None:
    environment = {"OTEL_CONFIG_FILE": "/etc/otel.yaml"}
    prepare(environment)
    assert environment == {
        "OTEL_CONFIG_FILE": "/etc/otel.yaml",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        "OTEL_PYTHON_CONFIGURATOR": "trust_configurator",
    }


def test_invalid_value_is_logged_once_and_replaced_by_the_default(caplog: pytest.LogCaptureFixture) -> None:
    environment = {"OTEL_METRIC_EXPORT_INTERVAL": "15s", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}
    prepare(environment)
    assert environment == DEFAULTS
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is invalid" in messages[0]
    assert "OTEL_METRIC_EXPORT_INTERVAL='15s'" in messages[1]
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_misspelled_name_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    prepare({"TRUST_OTEL_SRICT": "true"})
    assert "TRUST_OTEL_SRICT is not a setting" in caplog.text


def test_valid_environment_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    prepare({"OTEL_METRICS_EXPORTER": "prometheus", "TRUST_OTEL_CARDINALITY_LIMIT": "100"})
    assert caplog.records == []


def test_strict_mode_reports_all_invalid_values_at_once() -> None:
    environment = {
        "TRUST_OTEL_STRICT": "true",
        "OTEL_METRICS_EXPORTER": "none,otlp",
        "TRUST_OTEL_ATTRIBUTE_LENGTH": "1",
        "TRUST_OTEL_TYPO": "1",
    }
    with pytest.raises(InvalidSettingsError) as refusal:
        prepare(environment)
    said = str(refusal.value)
    assert "OTEL_METRICS_EXPORTER='none,otlp'" in said
    assert "TRUST_OTEL_ATTRIBUTE_LENGTH='1'" in said
    assert "TRUST_OTEL_TYPO is not a setting" in said
    assert "`none` cannot be combined with other exporters" in said


def test_strict_mode_accepts_a_valid_environment() -> None:
    prepare({"TRUST_OTEL_STRICT": "true", "OTEL_METRICS_EXPORTER": "console"})


def test_invalid_value_of_strict_itself_does_not_refuse(caplog: pytest.LogCaptureFixture) -> None:
    prepare({"TRUST_OTEL_STRICT": "yes", "OTEL_METRICS_EXPORTER": "bad"})
    assert "TRUST_OTEL_STRICT='yes'" in caplog.text


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_CONFIG_FILE": "/etc/otel.yaml"}, False),
        ({"OTEL_CONFIG_FILE": "/etc/otel.yaml", "OTEL_TRACES_EXPORTER": "otlp"}, False),
    ],
)
def test_spans_are_wanted_if_they_are_exported(environment: dict[str, str], wanted: bool) -> None:
    assert spans_wanted(environment) is wanted
