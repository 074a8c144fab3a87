"""The distro's defaults: filled into an environment, never over what the user set."""

import logging

import pytest

from trust_otel import distro
from trust_otel.distro import DEFAULTS, InvalidSettingsError, prepare


def test_an_empty_environment_gets_every_default() -> None:
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
def test_what_the_user_set_stays(name: str, value: str) -> None:
    environment = {name: value}
    prepare(environment)
    assert environment == {**DEFAULTS, name: value}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_empty_value_counts_as_unset(name: str) -> None:
    environment = {name: ""}
    prepare(environment)
    assert environment == DEFAULTS


def test_upstream_never_sees_an_empty_value_that_it_would_stop_at() -> None:
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
def test_upstream_sees_what_was_meant(name: str, text: str, meant: str) -> None:
    environment = {name: text}
    prepare(environment)
    assert environment == {**DEFAULTS, name: meant}


def test_variables_of_others_stay_as_they_are() -> None:
    environment = {"PATH": "/bin", "OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}
    before = dict(environment)
    prepare(environment)
    assert environment == {**DEFAULTS, **before}


def test_with_a_declarative_file_only_what_the_file_cannot_say_is_set() -> None:
    environment = {"OTEL_CONFIG_FILE": "/etc/otel.yaml"}
    prepare(environment)
    assert environment == {
        "OTEL_CONFIG_FILE": "/etc/otel.yaml",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        "OTEL_PYTHON_CONFIGURATOR": "trust_configurator",
    }


def test_bad_value_is_logged_once_and_gives_way_to_the_default(caplog: pytest.LogCaptureFixture) -> None:
    environment = {"OTEL_METRIC_EXPORT_INTERVAL": "15s", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}
    prepare(environment)
    assert environment == DEFAULTS
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is not usable" in messages[0]
    assert "OTEL_METRIC_EXPORT_INTERVAL='15s'" in messages[1]
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_slip_of_the_pen_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    prepare({"TRUST_OTEL_SRICT": "true"})
    assert "TRUST_OTEL_SRICT is not a setting" in caplog.text


def test_good_environment_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    prepare({"OTEL_METRICS_EXPORTER": "prometheus", "TRUST_OTEL_CARDINALITY_LIMIT": "100"})
    assert caplog.records == []


def test_strict_refuses_and_names_all_bad_values_at_once() -> None:
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
    assert "`none` goes with no other exporter" in said


def test_strict_lets_a_good_environment_start() -> None:
    prepare({"TRUST_OTEL_STRICT": "true", "OTEL_METRICS_EXPORTER": "console"})


def test_bad_value_of_strict_itself_does_not_refuse(caplog: pytest.LogCaptureFixture) -> None:
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
def test_spans_are_wanted_when_they_go_somewhere(environment: dict[str, str], wanted: bool) -> None:
    assert distro.spans_wanted(environment) is wanted
