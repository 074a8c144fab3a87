"""All environment variables that trust-otel reads: name, default, description and validation.

`Settings` declares them once, for the running service, for `trust-otel settings` and for the documentation. Variables
of OpenTelemetry keep their meaning; they are validated because an invalid one would silently disable the metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import lru_cache
from math import isfinite
from os import environ
from typing import Any, Final, NamedTuple, TypeVar, cast, overload

from opentelemetry.util._importlib_metadata import entry_points

from trust_otel.semconv.attributes import HTTP_REQUEST_METHOD
from trust_otel.setting_lists import (
    CLIENT_ADDRESS_FORMS,
    DETECTORS,
    EVENT_KINDS,
    LEAD_DAYS,
    BadValueError,
    CertificateSource,
    Dependency,
    Network,
    TimeServer,
    TrustList,
    certificate_sources,
    dependencies,
    detectors,
    event_kinds,
    headers,
    http_methods,
    lead_days,
    named_paths,
    networks,
    path,
    resource_attributes,
    time_servers,
    trust_lists,
    url_patterns,
    usable_headers,
    usable_resource_attributes,
    usable_url_patterns,
)
from trust_otel.urls import parse_url

_Value = TypeVar("_Value")

STRICT = "TRUST_OTEL_STRICT"

OPERATOR_NAMES: Final = re.compile(r"TRUST_OTEL_(?:STACK|INCIDENTS)_\w+|TRUST_OTEL_\w+_BINARY")
"""Variables of trust-otel-ops; a service ignores them."""

_LOGGED_LENGTH = 200
"""Maximum number of characters of an invalid value that are logged."""

# Part of a URL that was pasted into the wrong variable, and may contain a password.
_LOOKS_LIKE_URL = re.compile(r"[@=?&]|//")

_MIN_SIMILARITY: Final = 0.75
"""Minimum similarity of a misspelled word, from 0 to 1."""

EXPLICIT_BUCKETS: Final = "explicit_bucket_histogram"
EXPONENTIAL_BUCKETS: Final = "base2_exponential_bucket_histogram"

_GRPC_SCHEMES = ("dns", "ipv4", "ipv6", "unix", "unix-abstract")


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    Attributes:
        name: The variable.
        default: Text of the default; `None` for unset.
        help: One sentence for the documentation.
        parse: Converts the text to the value; its errors never quote the text.
        secret: Whether the value may contain a secret, also by mistake; it is then never shown.
        usable: Returns the valid part of an invalid value; `None` if no part of it is used.
    """

    name: str
    default: str | None
    help: str
    parse: Callable[[str], Any]
    secret: bool = False
    usable: Callable[[str], str] | None = None

    @property
    def own(self) -> bool:
        """Whether trust-otel, not OpenTelemetry, defines the variable."""
        return self.name.startswith("TRUST_OTEL_")

    def read(self, environment: Mapping[str, str]) -> Any:
        """The parsed value in an environment; the default (or `None`) if it is unset, empty or invalid."""
        text = environment.get(self.name)
        if text:
            try:
                return self.parse(text)
            except BadValueError:
                pass
        return None if self.default is None else self.parse(self.default)


@dataclass(frozen=True)
class Problem:
    """An invalid value; `str(problem)` has the variable, the remedy, and the value unless it may contain a secret."""

    setting: Setting
    value: str = field(repr=False)
    remedy: str

    @property
    def name(self) -> str:
        """The variable."""
        return self.setting.name

    def __str__(self) -> str:
        if self.setting.secret or _LOOKS_LIKE_URL.search(self.value):
            return f"{self.name} is invalid: {self.remedy} (the value is not shown, because it may contain a secret)"
        shown = self.value if len(self.value) <= _LOGGED_LENGTH else f"{self.value[:_LOGGED_LENGTH]}..."
        return f"{self.name}={shown!r} is invalid: {self.remedy}"

    @property
    def replacement(self) -> str | None:
        """The value that is used instead."""
        return self.setting.usable(self.value) if self.setting.usable else None

    @property
    def consequence(self) -> str:
        """What is used instead, for the log."""
        if self.replacement:
            return "using the valid entries"
        default = self.setting.default
        return "ignoring it" if default is None else f"using the default {default!r}"


@dataclass(frozen=True)
class Limits:
    """Limits on the labels of recorded measurements, and related settings."""

    label_sets: int
    attribute_length: int
    client_names: frozenset[str]
    document_types: frozenset[str]
    certificate_profiles: frozenset[str]
    certificate_lead_days: tuple[tuple[str, int], ...]
    http_methods: frozenset[str]
    offender_threshold: int
    offender_capacity: int
    detectors: frozenset[str]
    client_address_form: str
    client_address_key_file: str | None
    slow_seconds: float
    http_body_sizes: bool
    events: frozenset[str]
    events_per_minute: int


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in ("true", "false"):
        raise BadValueError("set it to true or false")
    return lowered == "true"


def _integer(minimum: int, maximum: int, unit: str = "") -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise BadValueError(f"set it to a whole number{unit} from {minimum} to {maximum}")
        return number

    return parse


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not isfinite(number) or number <= 0:
        raise BadValueError("set it to a number of seconds above 0")
    return number


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip().lower() not in choices:
            raise BadValueError(f"set it to one of {', '.join(choices)}")
        return text.strip().lower()

    return parse


def _endpoint(text: str) -> str:
    scheme, _, rest = text.strip().partition(":")
    if scheme in _GRPC_SCHEMES and rest.strip("/"):
        return text.strip()
    # gRPC endpoints usually have no scheme.
    url = text.strip() if "://" in text else f"http://{text.strip()}"
    if parse_url(url, ("http", "https")) is None:
        raise BadValueError("set it to an address such as http://localhost:4318")
    return text.strip()


def _exporters(signal: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        known = {"otlp", "none"} | {entry.name for entry in entry_points(group=f"opentelemetry_{signal}_exporter")}
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise BadValueError(f"set it to one or more of {', '.join(sorted(known))}, separated by commas")
        if "none" in names and len(names) > 1:
            raise BadValueError("`none` cannot be combined with other exporters")
        return () if names == ("none",) else names

    return parse


def _provider(signal: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        known = {entry.name for entry in entry_points(group=f"opentelemetry_{signal}_provider")}
        if text.strip() not in known:
            raise BadValueError(f"set it to one of {', '.join(sorted(known))}, or unset it")
        return text.strip()

    return parse


_protocol = _one_of("http/protobuf", "grpc")
_limit = _integer(0, 2**31 - 1)
_milliseconds = _integer(1, 86_400_000, " of milliseconds")
_port = _integer(0, 65_535)


@overload
def _setting(
    name: str, default: str, help_text: str, parse: Callable[[str], _Value], *, secret: bool = False
) -> _Value: ...


@overload
def _setting(
    name: str, default: None, help_text: str, parse: Callable[[str], _Value], *, secret: bool = False
) -> _Value | None: ...


def _setting(
    name: str, default: str | None, help_text: str, parse: Callable[[str], Any], *, secret: bool = False
) -> Any:
    """A field of `Settings`, with the type of the parsed value."""
    return field(metadata={_DECLARATION: Setting(name, default, help_text, parse, secret)}, repr=not secret)


_DECLARATION: Final = "trust_otel.setting"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The value of each variable in one environment.

    A variable that is unset, empty or invalid has its default; `check` finds the invalid ones.
    """

    strict: bool = _setting(
        STRICT,
        "false",
        "Refuse to start if a value is invalid, and list all of them.",
        _boolean,
    )
    cardinality_limit: int = _setting(
        "TRUST_OTEL_CARDINALITY_LIMIT",
        "2000",
        "Maximum number of label sets of one metric in one process; later ones go into an overflow series.",
        _integer(10, 1_000_000),
    )
    attribute_length: int = _setting(
        "TRUST_OTEL_ATTRIBUTE_LENGTH",
        "128",
        "Maximum length of a label value in characters; a longer one is cut.",
        _integer(8, 4096),
    )
    client_names: frozenset[str] = _setting(
        "TRUST_OTEL_CLIENT_NAMES",
        "",
        "Client names that may appear in `trust.client.name`, separated by commas; others are `_other`. With names, "
        "also requests, documents and SLA events are counted by client.",
        _names,
    )
    document_types: frozenset[str] = _setting(
        "TRUST_OTEL_DOCUMENT_TYPES",
        "",
        "Document types that may appear in `trust.document.type`, separated by commas; empty for any that look like a "
        "type.",
        _names,
    )
    certificate_profiles: frozenset[str] = _setting(
        "TRUST_OTEL_CERTIFICATE_PROFILES",
        "",
        "Certificate profiles that may appear in `trust.certificate.profile`, separated by commas; others: `_other`.",
        _names,
    )
    http_body_sizes: bool = _setting(
        "TRUST_OTEL_HTTP_BODY_SIZES",
        "false",
        "Whether the sizes of HTTP request and response bodies are recorded: 22 more series for each set of labels, "
        "beside 18 of the duration. No dashboard or alert needs them.",
        _boolean,
    )
    db_slow_seconds: float = _setting(
        "TRUST_OTEL_DB_SLOW_SECONDS",
        "0.5",
        "Database operations that take longer count as slow.",
        _seconds,
    )
    offender_threshold: int = _setting(
        "TRUST_OTEL_OFFENDER_THRESHOLD",
        "5",
        "Failed logins of an address within an hour in one process from which on it is exported in "
        "`trust.security.auth.failures`; 3 where a balancer spreads each client over 10 replicas or more.",
        _integer(1, 255),
    )
    offender_capacity: int = _setting(
        "TRUST_OTEL_OFFENDER_CAPACITY",
        "1000",
        "Maximum number of addresses that one process exports at a time in `trust.security.auth.failures`.",
        _integer(10, 1000),
    )
    certificates: tuple[CertificateSource, ...] | None = _setting(
        "TRUST_OTEL_CERTIFICATES",
        None,
        "Certificates to watch: files, globs, folders, `https://host:port`, `tls+postgres://host:port`, "
        "`kubernetes://namespace`, CRLs, OCSP responders; separated by commas, each as it is or as `name=source`.",
        certificate_sources,
        secret=True,
    )
    certificate_interval: float = _setting(
        "TRUST_OTEL_CERTIFICATE_INTERVAL",
        "60",
        "Seconds between two checks of the certificates.",
        _seconds,
    )
    certificate_password_file: str | None = _setting(
        "TRUST_OTEL_CERTIFICATE_PASSWORD_FILE",
        None,
        "File with the password of the PKCS#12 files among the certificates.",
        path,
        secret=True,
    )
    certificate_lead_days: tuple[tuple[str, int], ...] = _setting(
        "TRUST_OTEL_CERTIFICATE_LEAD_DAYS",
        LEAD_DAYS,
        "Days before the end of their validity at which certificates are due for renewal, as `kind=days` separated by "
        "commas; a kind that is not listed keeps its default.",
        lead_days,
    )
    dependencies: tuple[Dependency, ...] | None = _setting(
        "TRUST_OTEL_DEPENDENCIES",
        None,
        "Dependencies of the service, checked in the background: `vault=https://...,db=postgresql://...,"
        "cache=redis://...,peer=grpc://...`; `name:type=url` where the type is not plain.",
        dependencies,
        secret=True,
    )
    dependency_interval: float = _setting(
        "TRUST_OTEL_DEPENDENCY_INTERVAL", "15", "Seconds between two checks of a dependency.", _seconds
    )
    dependency_timeout: float = _setting(
        "TRUST_OTEL_DEPENDENCY_TIMEOUT", "5", "Seconds that a check of a dependency may take.", _seconds
    )
    time_servers: tuple[TimeServer, ...] = _setting(
        "TRUST_OTEL_TIME_SERVERS",
        "",
        "Time servers (SNTP) that the clock of the host is compared with, as `host`, `host:port` or `name=host:port`, "
        "separated by commas.",
        time_servers,
        secret=True,
    )
    time_server_interval: float = _setting(
        "TRUST_OTEL_TIME_SERVER_INTERVAL",
        "64",
        "Seconds between two comparisons of the clock. The default is the shortest time that public servers allow.",
        _seconds,
    )
    trust_lists: tuple[TrustList, ...] = _setting(
        "TRUST_OTEL_TRUST_LISTS",
        "",
        "Lists of trust anchors to watch, as `name=type+path` or `name=type+url` separated by commas: `etsi` trusted "
        "lists, `icao` master lists, `vical`s.",
        trust_lists,
        secret=True,
    )
    trust_list_signers: tuple[tuple[str, str], ...] = _setting(
        "TRUST_OTEL_TRUST_LIST_SIGNERS",
        "",
        "Files with the certificates (PEM or DER) that may sign the lists of trust anchors, as `name=path` separated "
        "by commas; without them the signature of a list is not verified.",
        named_paths,
        secret=True,
    )
    trust_list_interval: float = _setting(
        "TRUST_OTEL_TRUST_LIST_INTERVAL", "600", "Seconds between two reads of the lists of trust anchors.", _seconds
    )
    ct_feed: str | None = _setting(
        "TRUST_OTEL_CT_FEED",
        None,
        "File with the certificates that a monitor of certificate transparency found, a JSON object in each line; "
        "read again when it changes.",
        path,
        secret=True,
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        "TRUST_OTEL_TRUSTED_PROXIES",
        "",
        "Addresses and networks of proxies whose `Forwarded` and `X-Forwarded-For` headers are trusted, separated by "
        "commas.",
        networks,
    )
    geoip_database: str | None = _setting(
        "TRUST_OTEL_GEOIP_DATABASE",
        None,
        "Database in MaxMind's format with the countries of addresses; reloaded when it is replaced.",
        path,
        secret=True,
    )
    reputation_feeds: tuple[tuple[str, str], ...] = _setting(
        "TRUST_OTEL_REPUTATION_FEEDS",
        "",
        "Threat feeds (lists of malicious addresses), as `name=path` separated by commas: plain lists, CSV or STIX "
        "2.1.",
        named_paths,
        secret=True,
    )
    detectors: frozenset[str] = _setting(
        "TRUST_OTEL_DETECTORS",
        ",".join(DETECTORS),
        "Enabled detectors of suspicious activity, separated by commas; `none` disables all.",
        detectors,
    )
    events: frozenset[str] = _setting(
        "TRUST_OTEL_EVENTS",
        ",".join(EVENT_KINDS),
        "Kinds of events that are exported as log records if OTEL_LOGS_EXPORTER is set, separated by commas; `none` "
        "exports none.",
        event_kinds,
    )
    events_per_minute: int = _setting(
        "TRUST_OTEL_EVENTS_PER_MINUTE",
        "600",
        "Maximum number of events of a kind that each process exports in a minute; metrics count all.",
        _integer(1, 1_000_000),
    )
    client_address: str = _setting(
        "TRUST_OTEL_CLIENT_ADDRESS",
        "full",
        "How addresses are exported, in metrics only those with many failed logins: `full`, `truncated` (/24 and /48), "
        "`hashed` (keyed) or `off`.",
        _one_of(*CLIENT_ADDRESS_FORMS),
    )
    client_address_key_file: str | None = _setting(
        "TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE",
        None,
        "File with the key of the hash (32 bytes or more); each process generates one without it.",
        path,
        secret=True,
    )
    sla_file: str | None = _setting(
        "TRUST_OTEL_SLA_FILE",
        None,
        "TOML file with service level agreements (SLAs), evaluated as measurements are recorded.",
        path,
        secret=True,
    )
    business_metrics_file: str | None = _setting(
        "TRUST_OTEL_BUSINESS_METRICS_FILE",
        None,
        "TOML file with the key performance indicators (KPIs) that the service records with `record_business_metric`.",
        path,
        secret=True,
    )
    key_policy_file: str | None = _setting(
        "TRUST_OTEL_KEY_POLICY_FILE",
        None,
        "TOML file with the hours in which keys may be used, and how often; other uses are counted as violations.",
        path,
        secret=True,
    )
    shutdown_timeout: float = _setting(
        "TRUST_OTEL_SHUTDOWN_TIMEOUT",
        "5",
        "Seconds that the last export of metrics, spans and log records may take together at shutdown; "
        "what is not exported by then is lost and logged.",
        _seconds,
    )

    prometheus_web_config: str | None = _setting(
        "TRUST_OTEL_PROMETHEUS_WEB_CONFIG",
        None,
        "File with TLS and users of the in-process endpoint, in the format of Prometheus' exporter-toolkit; reloaded "
        "when it or a certificate changes.",
        path,
        secret=True,
    )
    prometheus_scope_labels: bool = _setting(
        "TRUST_OTEL_PROMETHEUS_SCOPE_LABELS",
        "false",
        "Whether series of the in-process endpoint have the labels `otel_scope_name` and `otel_scope_version`.",
        _boolean,
    )

    # Variables of OpenTelemetry
    sdk_disabled: bool = _setting("OTEL_SDK_DISABLED", "false", "Disable all telemetry.", _boolean)
    metrics_exporters: tuple[str, ...] = _setting(
        "OTEL_METRICS_EXPORTER",
        "otlp",
        "`otlp`, `prometheus` (in-process endpoint), `console`, `none`, or several separated by commas.",
        _exporters("metrics"),
    )
    traces_exporters: tuple[str, ...] = _setting(
        "OTEL_TRACES_EXPORTER", "none", "Exporters of spans; `otlp` enables them.", _exporters("traces")
    )
    logs_exporters: tuple[str, ...] = _setting(
        "OTEL_LOGS_EXPORTER", "none", "Exporters of log records; `otlp` enables them.", _exporters("logs")
    )
    otlp_protocol: str = _setting(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "`http/protobuf` or `grpc`.", _protocol
    )
    otlp_metrics_protocol: str | None = _setting(
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", None, "Protocol for metrics only.", _protocol
    )
    otlp_traces_protocol: str | None = _setting(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", None, "Protocol for spans only.", _protocol
    )
    otlp_logs_protocol: str | None = _setting(
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", None, "Protocol for log records only.", _protocol
    )
    prometheus_host: str = _setting(
        "OTEL_EXPORTER_PROMETHEUS_HOST", "localhost", "Address of the in-process endpoint.", str
    )
    prometheus_port: int = _setting(
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        "9464",
        "Port of the in-process endpoint.",
        _port,
    )
    http_methods: frozenset[str] = _setting(
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
        ",".join(map(str, HTTP_REQUEST_METHOD.members)),
        "Methods that may appear in `http.request.method`, separated by commas; others are `_OTHER`.",
        http_methods,
    )
    histogram_aggregation: str = _setting(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        EXPLICIT_BUCKETS,
        f"`{EXPLICIT_BUCKETS}`, which rules and dashboards need, or `{EXPONENTIAL_BUCKETS}`.",
        _one_of(EXPLICIT_BUCKETS, EXPONENTIAL_BUCKETS),
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The values in an environment; cached by the texts."""
        return _settings_of(tuple(environment.get(name) for name in _BY_NAME))

    @property
    def limits(self) -> Limits:
        """The limits on the labels of recorded measurements."""
        return Limits(
            label_sets=self.cardinality_limit,
            attribute_length=self.attribute_length,
            client_names=self.client_names,
            document_types=self.document_types,
            certificate_profiles=self.certificate_profiles,
            certificate_lead_days=self.certificate_lead_days,
            http_methods=self.http_methods,
            offender_threshold=self.offender_threshold,
            offender_capacity=self.offender_capacity,
            detectors=self.detectors,
            client_address_form=self.client_address,
            client_address_key_file=self.client_address_key_file,
            slow_seconds=self.db_slow_seconds,
            http_body_sizes=self.http_body_sizes,
            events=self.events,
            events_per_minute=self.events_per_minute,
        )

    def otlp_protocol_of(self, signal: str) -> str:
        """The OTLP protocol of `metrics`, `traces` or `logs`."""
        own = {
            "metrics": self.otlp_metrics_protocol,
            "traces": self.otlp_traces_protocol,
            "logs": self.otlp_logs_protocol,
        }
        return own[signal] or self.otlp_protocol

    def exporters_of(self, signal: str) -> tuple[str, ...]:
        """The exporters of `metrics`, `traces` or `logs`."""
        exporters = {"metrics": self.metrics_exporters, "traces": self.traces_exporters, "logs": self.logs_exporters}
        return exporters[signal]


def _declaration(declared: Field[Any]) -> Setting:
    return cast(Setting, declared.metadata[_DECLARATION])


def _otlp(
    name: str,
    text: str,
    of_one: str,
    parse: Callable[[str], Any],
    usable: Callable[[str], str] | None = None,
    *,
    secret: bool = True,
) -> list[Setting]:
    """A variable of the OTLP exporters: for all signals, and for each."""
    made = [Setting(f"OTEL_EXPORTER_OTLP_{name}", None, f"{text}.", parse, secret=secret, usable=usable)]
    for signal, of in (("METRICS", "metrics"), ("TRACES", "spans"), ("LOGS", "log records")):
        meaning = f"The same for {of} only{of_one}."
        made.append(Setting(f"OTEL_EXPORTER_OTLP_{signal}_{name}", None, meaning, parse, secret=secret, usable=usable))
    return made


def _limits() -> list[Setting]:
    """Limits of spans and log records, each at the default of the SDK."""
    of = {
        "ATTRIBUTE": "spans and log records",
        "SPAN_ATTRIBUTE": "spans",
        "EVENT_ATTRIBUTE": "events of spans",
        "LINK_ATTRIBUTE": "links of spans",
        "LOGRECORD_ATTRIBUTE": "log records",
    }
    made = [
        Setting(f"OTEL_{which}_COUNT_LIMIT", None, f"Most attributes of {name}.", _limit) for which, name in of.items()
    ]
    made += [
        Setting(f"OTEL_{which}_VALUE_LENGTH_LIMIT", None, f"Maximum length of an attribute of {of[which]}.", _limit)
        for which in ("ATTRIBUTE", "SPAN_ATTRIBUTE", "LOGRECORD_ATTRIBUTE")
    ]
    made += [
        Setting(f"OTEL_SPAN_{which}_COUNT_LIMIT", None, f"Maximum number of {which.lower()}s of a span.", _limit)
        for which in ("EVENT", "LINK")
    ]
    return made


def _excluded_urls(which: str, text: str) -> Setting:
    """A variable with patterns of URLs that are not measured."""
    return Setting(f"OTEL_PYTHON_{which}EXCLUDED_URLS", None, text, url_patterns, usable=usable_url_patterns)


_READ_BY_OPENTELEMETRY: Final = (
    Setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        None,
        "Attributes of every metric, span and log record, as `key=value` separated by commas.",
        resource_attributes,
        secret=True,
        usable=usable_resource_attributes,
    ),
    *_otlp("ENDPOINT", "Address of the Collector, such as http://localhost:4318", ", path included", _endpoint),
    *_otlp("HEADERS", "Headers of each export, as `name=value` separated by commas", "", headers, usable_headers),
    *_otlp("CERTIFICATE", "CA certificate file to verify the Collector's certificate", "", path),
    *_otlp("CLIENT_CERTIFICATE", "Client certificate file for the Collector", "", path),
    *_otlp("CLIENT_KEY", "Key file of the client certificate", "", path),
    *_otlp("COMPRESSION", "`none`, `gzip` or `deflate`", "", _one_of("none", "gzip", "deflate"), secret=False),
    *_otlp("TIMEOUT", "Seconds that the endpoint has to accept an export", "", _seconds, secret=False),
    *_otlp("INSECURE", "Whether a gRPC endpoint without a scheme is used without TLS", "", _boolean, secret=False),
    Setting(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "cumulative",
        "`cumulative`, which Prometheus needs, `delta` or `lowmemory`.",
        _one_of("cumulative", "delta", "lowmemory"),
    ),
    Setting("OTEL_METRIC_EXPORT_INTERVAL", "15000", "Milliseconds between two exports.", _milliseconds),
    Setting("OTEL_METRIC_EXPORT_TIMEOUT", "30000", "Milliseconds that an export may take.", _milliseconds),
    Setting(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "trace_based",
        "Which measurements may become exemplars: `trace_based`, `always_on` or `always_off`.",
        _one_of("trace_based", "always_on", "always_off"),
    ),
    *_limits(),
    *(
        Setting(
            f"OTEL_PYTHON_{signal.upper()}_PROVIDER", None, f"Provider, for {of} without exporters.", _provider(signal)
        )
        for signal, of in (("meter", "metrics"), ("tracer", "spans"), ("logger", "log records"))
    ),
    _excluded_urls("", "Regular expressions, separated by commas; a request whose URL matches one is not measured."),
    _excluded_urls("ASGI_", "The same, in place of `OTEL_PYTHON_EXCLUDED_URLS`."),
    _excluded_urls("FASTAPI_", "The same for FastAPI applications, in place of both."),
    _excluded_urls("STARLETTE_", "The same for Starlette applications, in place of both."),
)

SETTINGS: Final[tuple[Setting, ...]] = (*map(_declaration, fields(Settings)), *_READ_BY_OPENTELEMETRY)
"""All variables: those in `Settings`, and those that are only validated here and read by OpenTelemetry."""

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


def names() -> frozenset[str]:
    """The names of all variables."""
    return frozenset(_BY_NAME)


def current() -> Settings:
    """The settings of this process, from its current environment."""
    return Settings.from_environment(environ)


@lru_cache(maxsize=4)
def _settings_of(texts: tuple[str | None, ...]) -> Settings:
    environment = {name: text for name, text in zip(_BY_NAME, texts, strict=True) if text}
    return Settings(**{each.name: _declaration(each).read(environment) for each in fields(Settings)})


def check(environment: Mapping[str, str], settings: Iterable[Setting] = SETTINGS) -> list[Problem]:
    """Find every invalid value in an environment, in the order of `settings`."""
    known = tuple(settings)
    found = (_problem(setting, environment.get(setting.name)) for setting in known)
    return [problem for problem in found if problem] + _endpoints_of_another_protocol(environment, known)


def _endpoints_of_another_protocol(environment: Mapping[str, str], settings: Iterable[Setting]) -> list[Problem]:
    """Endpoints that do not match the OTLP protocol."""
    protocols = [environment.get(f"OTEL_EXPORTER_OTLP_{which}PROTOCOL") for which in ("METRICS_", "")]
    grpc = any(protocol and protocol.strip().lower() == "grpc" for protocol in protocols)
    problems = []
    for setting in settings:
        text = environment.get(setting.name)
        if setting.parse is not _endpoint or not text or _problem(setting, text):
            continue
        if not grpc and "://" not in text:
            problems.append(Problem(setting, text, "add http://, or set the protocol to grpc"))
        elif grpc and "@" in text:
            remedy = "gRPC does not support credentials in the URL: use OTEL_EXPORTER_OTLP_HEADERS"
            problems.append(Problem(setting, text, remedy))
    return problems


def _problem(setting: Setting, text: str | None) -> Problem | None:
    if not text:
        return None
    try:
        setting.parse(text)
    except BadValueError as bad:
        return Problem(setting, text, str(bad))
    return None


class UnknownName(NamedTuple):
    """A variable that looks like a setting but is none; `str` includes the remedy."""

    name: str
    suggestion: str | None

    def __str__(self) -> str:
        remedy = f"did you mean {self.suggestion}?" if self.suggestion else "see `trust-otel settings`"
        return f"{self.name} is not a setting; {remedy}"


def unknown_names(environment: Mapping[str, str]) -> list[UnknownName]:
    """Unknown variables that start with TRUST_OTEL_, and misspelled variables of OpenTelemetry."""
    unknown = sorted(name for name in environment if name not in _BY_NAME and not OPERATOR_NAMES.fullmatch(name))
    found = (UnknownName(name, _suggestion(name)) for name in unknown)
    return [each for each in found if each.suggestion or each.name.startswith("TRUST_OTEL_")]


def _suggestion(name: str) -> str | None:
    """The variable that the user probably meant."""
    if name.startswith("TRUST_OTEL_"):
        # Imported here: rarely needed.
        from difflib import get_close_matches

        return next(iter(get_close_matches(name, _BY_NAME, 1, 0.8)), None)
    return next((known for known in _BY_NAME if _is_misspelled(name, known)), None)


def _is_misspelled(name: str, known: str) -> bool:
    """Whether a name is not a variable of OpenTelemetry, but similar to a known one except for one word."""
    words, known_words = name.split("_"), known.split("_")
    differing = [pair for pair in zip(words, known_words, strict=False) if pair[0] != pair[1]]
    if len(words) != len(known_words) or len(differing) != 1 or not name.startswith("OTEL_"):
        return False
    if name.endswith("_EXCLUDED_URLS"):  # each instrumentation has one
        return False
    from difflib import SequenceMatcher

    if SequenceMatcher(None, *differing[0]).ratio() < _MIN_SIMILARITY:
        return False
    from opentelemetry.sdk import environment_variables

    return name not in vars(environment_variables)
