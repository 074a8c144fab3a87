"""Settings: parsing of values, and reports of invalid ones."""

from dataclasses import FrozenInstanceError

import pytest
from opentelemetry.sdk import environment_variables

from trust_otel import settings
from trust_otel.distro import DEFAULTS
from trust_otel.settings import Settings


def _problem(name: str, value: str) -> str:
    problems = settings.check({name: value})
    assert [problem.name for problem in problems] == [name]
    return f"{problems[0]}; {problems[0].consequence}"


def test_empty_environment_has_no_problems() -> None:
    assert settings.check({}) == []


def test_empty_value_counts_as_unset() -> None:
    environment = {setting.name: "" for setting in settings.SETTINGS}
    assert settings.check(environment) == []
    assert Settings.from_environment(environment) == Settings.from_environment({})


def test_every_default_is_valid() -> None:
    defaults = {setting.name: setting.default for setting in settings.SETTINGS if setting.default is not None}
    assert settings.check(defaults) == []


def test_every_help_is_one_sentence() -> None:
    for setting in settings.SETTINGS:
        assert setting.help.endswith("."), setting.name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUST_OTEL_STRICT", "yes"),
        ("TRUST_OTEL_STRICT", "1"),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "many"),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "9"),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "1000001"),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "2000.0"),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "-2000"),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "nan"),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "9" * 10_000),
        ("TRUST_OTEL_ATTRIBUTE_LENGTH", "7"),
        ("TRUST_OTEL_ATTRIBUTE_LENGTH", "4097"),
        ("TRUST_OTEL_DB_SLOW_SECONDS", "nan"),
        ("TRUST_OTEL_DB_SLOW_SECONDS", "inf"),
        ("TRUST_OTEL_DB_SLOW_SECONDS", "0"),
        ("TRUST_OTEL_DB_SLOW_SECONDS", "-1"),
        ("TRUST_OTEL_DB_SLOW_SECONDS", "500ms"),
        ("TRUST_OTEL_CERTIFICATE_LEAD_DAYS", "365"),
        ("TRUST_OTEL_OFFENDER_THRESHOLD", "0"),
        ("TRUST_OTEL_OFFENDER_CAPACITY", "1001"),
        ("OTEL_SDK_DISABLED", "on"),
        ("OTEL_METRICS_EXPORTER", "otpl"),
        ("OTEL_METRICS_EXPORTER", "otlp,datadog"),
        ("OTEL_METRICS_EXPORTER", "none,otlp"),
        ("OTEL_METRICS_EXPORTER", ","),
        ("OTEL_TRACES_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "stdout"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:99999"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:0/v1/metrics"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "udp"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulativ"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "15s"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "65536"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "http"),
    ],
)
def test_invalid_value_is_reported_with_a_remedy_and_the_default_is_used(name: str, value: str) -> None:
    said = _problem(name, value)
    assert name in said
    (setting,) = (setting for setting in settings.SETTINGS if setting.name == name)
    assert (repr(value)[:100] in said) is not setting.secret
    remedy, _, used = said.partition("; ")
    assert remedy.partition("is invalid: ")[2]
    assert used == ("ignoring it" if setting.default is None else f"using the default {setting.default!r}")
    assert Settings.from_environment({name: value}) == Settings.from_environment({})
    assert setting.read({name: value}) == setting.read({})


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("TRUST_OTEL_STRICT", " TRUE ", True),
        ("TRUST_OTEL_CARDINALITY_LIMIT", "10", 10),
        ("TRUST_OTEL_CLIENT_NAMES", " acme, ,globex ", frozenset({"acme", "globex"})),
        ("TRUST_OTEL_DB_SLOW_SECONDS", "1e-3", 0.001),
        ("OTEL_METRICS_EXPORTER", "otlp, prometheus", ("otlp", "prometheus")),
        ("OTEL_METRICS_EXPORTER", "console", ("console",)),
        ("OTEL_METRICS_EXPORTER", "none", ()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]:4318", "http://[::1]:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:secret@collector/", "https://user:secret@collector/"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA", "delta"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0", 0),
    ],
)
def test_valid_value_is_parsed(name: str, value: str, meaning: object) -> None:
    assert settings.check({name: value}) == []
    (setting,) = (setting for setting in settings.SETTINGS if setting.name == name)
    assert setting.read({name: value}) == meaning


@pytest.mark.parametrize("address", ["unix:///run/collector.sock", "dns:///collector:4317", "localhost:4317"])
def test_grpc_endpoints_are_accepted(address: str) -> None:
    environment = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": address}
    assert settings.check(environment) == []
    (setting,) = (setting for setting in settings.SETTINGS if setting.name == "OTEL_EXPORTER_OTLP_ENDPOINT")
    assert setting.read(environment) == address


def test_endpoint_without_a_scheme_is_invalid_for_http() -> None:
    (problem,) = settings.check({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"})
    assert "add http://, or set the protocol to grpc" in str(problem)


def test_credentials_in_a_grpc_endpoint_are_invalid() -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:pw@collector:4317",
    }
    (problem,) = settings.check(environment)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in str(problem)
    assert "pw" not in str(problem)
    assert settings.check({**environment, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}) == []


def test_all_problems_are_found_in_the_order_of_the_table() -> None:
    bad = {"OTEL_METRIC_EXPORT_INTERVAL": "x", "TRUST_OTEL_STRICT": "x", "OTEL_EXPORTER_OTLP_PROTOCOL": "x"}
    assert [problem.name for problem in settings.check(bad)] == [
        "TRUST_OTEL_STRICT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_METRIC_EXPORT_INTERVAL",
    ]


def test_long_value_is_shortened_in_the_log() -> None:
    assert len(_problem("OTEL_METRICS_EXPORTER", "x" * 10_000_000)) < 1000


def test_unknown_settings_are_found() -> None:
    environment = {"TRUST_OTEL_CARDINALTY_LIMIT": "5", "TRUST_OTEL_STRICT": "true", "OTEL_WHATEVER": "1", "PATH": ""}
    (unknown,) = settings.unknown_names(environment)
    assert str(unknown) == "TRUST_OTEL_CARDINALTY_LIMIT is not a setting; did you mean TRUST_OTEL_CARDINALITY_LIMIT?"
    (unknown,) = settings.unknown_names({"TRUST_OTEL_UNHEARD_OF": "1"})
    assert str(unknown) == "TRUST_OTEL_UNHEARD_OF is not a setting; see `trust-otel settings`"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPIONT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("OTEL_METRICS_EXPORTERS", "OTEL_METRICS_EXPORTER"),
        ("OTEL_METRICS_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_INTERVAL"),
        ("OTEL_RESSOURCE_ATTRIBUTES", "OTEL_RESOURCE_ATTRIBUTES"),
    ],
)
def test_misspelled_names_of_opentelemetry_are_found(name: str, meant: str) -> None:
    assert settings.unknown_names({name: "x"}) == [(name, meant)]


def test_other_variables_of_opentelemetry_are_valid() -> None:
    names = {name for name in vars(environment_variables) if name.startswith("OTEL_")}
    assert len(names) > 50
    newer = ("OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT", "OTEL_PYTHON_LOG_CORRELATION", "OTEL_SEMCONV_STABILITY_OPT_IN")
    assert settings.unknown_names(dict.fromkeys((*names, *newer), "x")) == []


@pytest.mark.parametrize("name", ["COLLECTOR_BINARY", "PROMETHEUS_BINARY", "PROMTOOL_BINARY", "STACK_DIRECTORY"])
def test_variables_of_the_local_stack_are_known(name: str) -> None:
    assert settings.unknown_names({f"TRUST_OTEL_{name}": "x"}) == []


def test_limits_come_from_their_settings() -> None:
    limits = Settings.from_environment(
        {
            "TRUST_OTEL_CARDINALITY_LIMIT": "11",
            "TRUST_OTEL_ATTRIBUTE_LENGTH": "12",
            "TRUST_OTEL_CLIENT_NAMES": "acme",
            "TRUST_OTEL_OFFENDER_THRESHOLD": "13",
            "TRUST_OTEL_OFFENDER_CAPACITY": "14",
            "TRUST_OTEL_DB_SLOW_SECONDS": "15",
            "TRUST_OTEL_HTTP_BODY_SIZES": "true",
            "TRUST_OTEL_DOCUMENT_TYPES": "passport",
            "TRUST_OTEL_CERTIFICATE_PROFILES": "qcp-n,tls-ov",
            "TRUST_OTEL_CERTIFICATE_LEAD_DAYS": "tls = 14,root=730",
            "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "GET, PROPFIND",
            "TRUST_OTEL_DETECTORS": "mfa_fatigue",
            "TRUST_OTEL_CLIENT_ADDRESS": "hashed",
            "TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE": "/etc/key",
            "TRUST_OTEL_EVENTS": "audit",
            "TRUST_OTEL_EVENTS_PER_MINUTE": "16",
        }
    ).limits
    assert limits == settings.Limits(
        label_sets=11,
        attribute_length=12,
        client_names=frozenset({"acme"}),
        document_types=frozenset({"passport"}),
        certificate_profiles=frozenset({"qcp-n", "tls-ov"}),
        certificate_lead_days=(
            ("root", 730),
            ("csca", 365),
            ("issuing_ca", 180),
            ("signer", 90),
            ("tsa", 90),
            ("ocsp_responder", 30),
            ("tls", 14),
        ),
        http_methods=frozenset({"GET", "PROPFIND"}),
        offender_threshold=13,
        offender_capacity=14,
        detectors=frozenset({"mfa_fatigue"}),
        client_address_form="hashed",
        client_address_key_file="/etc/key",
        slow_seconds=15.0,
        http_body_sizes=True,
        events=frozenset({"audit"}),
        events_per_minute=16,
    )


def test_distro_sets_the_defaults_of_the_table() -> None:
    promised = {setting.name: setting.default for setting in settings.SETTINGS}
    for name, default in DEFAULTS.items():
        if name in promised:
            assert promised[name] == default, name


def test_other_defaults_of_the_table_are_those_of_opentelemetry() -> None:
    upstream = {
        "OTEL_SDK_DISABLED": "false",
        "OTEL_METRIC_EXPORT_TIMEOUT": "30000",
        "OTEL_METRICS_EXEMPLAR_FILTER": "trace_based",
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE",
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "explicit_bucket_histogram",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "localhost",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "9464",
    }
    promised = {
        setting.name: setting.default
        for setting in settings.SETTINGS
        if not setting.own and setting.default is not None and setting.name not in DEFAULTS
    }
    assert promised == upstream


def test_settings_are_frozen_and_typed_fields_of_the_table() -> None:
    read = Settings.from_environment({"TRUST_OTEL_DB_SLOW_SECONDS": "2", "OTEL_METRICS_EXPORTER": "console"})
    assert (read.db_slow_seconds, read.metrics_exporters, read.strict) == (2.0, ("console",), False)
    with pytest.raises(FrozenInstanceError):
        read.strict = True  # type: ignore[misc]


def test_current_settings_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUST_OTEL_ATTRIBUTE_LENGTH", "64")
    assert settings.current().attribute_length == 64
    assert settings.current() is settings.current()
    monkeypatch.setenv("TRUST_OTEL_ATTRIBUTE_LENGTH", "65")
    assert settings.current().attribute_length == 65


def test_protocol_and_exporters_of_a_signal() -> None:
    read = Settings.from_environment({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_LOGS_EXPORTER": "console"})
    assert [read.otlp_protocol_of(signal) for signal in ("metrics", "traces", "logs")] == [
        "http/protobuf",
        "grpc",
        "http/protobuf",
    ]
    assert [read.exporters_of(signal) for signal in ("metrics", "traces", "logs")] == [("otlp",), (), ("console",)]
