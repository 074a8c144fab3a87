"""Every variable that trust-otel reads: name, default, meaning, and how a value is checked.

The table serves the running service, `trust-otel settings` and the documentation. Variables of OpenTelemetry that stand
here keep their meaning; they are checked because a bad one would silently cost the service its metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from os import environ
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.util._importlib_metadata import entry_points

from trust_otel.setting_lists import (
    CLIENT_ADDRESS_FORMS,
    DETECTORS,
    BadValueError,
    certificate_sources,
    dependencies,
    detectors,
    headers,
    named_paths,
    networks,
    path,
    resource_attributes,
    usable_headers,
    usable_resource_attributes,
)

STRICT = "TRUST_OTEL_STRICT"

_SHOWN = 200
"""Most characters of a bad value that are logged."""

# In a number or a choice, it can only be pasted by mistake, and may have a password in it.
_ADDRESS = re.compile(r"[@=?&]|//")

_GRPC_SCHEMES = ("dns", "ipv4", "ipv6", "unix", "unix-abstract")


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    Attributes:
        name: The variable.
        default: What holds when it is not set, written as it would be set; `None` for nothing.
        help: One sentence for the reader of the table.
        parse: Turns the text into the value; its errors never quote the text.
        secret: Whether the value may hold a secret, by intent or by mistake; it is then shown nowhere.
        usable: Gives the part of a bad value that is used all the same; `None` when a bad value is not used at all.
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


@dataclass(frozen=True)
class Problem:
    """A bad value; `str(problem)` names the variable, the remedy, and the value unless it may hold a secret."""

    setting: Setting
    value: str = field(repr=False)
    remedy: str

    @property
    def name(self) -> str:
        """The variable."""
        return self.setting.name

    def __str__(self) -> str:
        if self.setting.secret or _ADDRESS.search(self.value):
            return f"{self.name} is not usable: {self.remedy} (the value is not shown, since it may hold a secret)"
        shown = self.value if len(self.value) <= _SHOWN else f"{self.value[:_SHOWN]}..."
        return f"{self.name}={shown!r} is not usable: {self.remedy}"

    @property
    def replacement(self) -> str | None:
        """What the variable is set to instead."""
        return self.setting.usable(self.value) if self.setting.usable else None

    @property
    def consequence(self) -> str:
        """What holds instead."""
        if self.replacement:
            return "using its other entries"
        default = self.setting.default
        return "leaving it unset" if default is None else f"using the default {default!r}"


@dataclass(frozen=True)
class Limits:
    """Bounds on what the recorded measurements may carry."""

    label_sets: int
    attribute_length: int
    client_names: frozenset[str]
    document_types: frozenset[str]
    offender_threshold: int
    offender_capacity: int
    detectors: frozenset[str]
    client_address_form: str
    client_address_key_file: str | None
    slow_seconds: float


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


def _address(text: str) -> str:
    scheme, _, rest = text.strip().partition(":")
    if scheme in _GRPC_SCHEMES and rest.strip("/"):
        return text.strip()
    # gRPC's usual form has no scheme.
    url = text.strip() if "://" in text else f"http://{text.strip()}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
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
            raise BadValueError("`none` goes with no other exporter")
        return () if names == ("none",) else names

    return parse


_protocol = _one_of("http/protobuf", "grpc")
_milliseconds = _integer(1, 86_400_000, " of milliseconds")
_port = _integer(0, 65_535)


def _otlp(
    name: str, text: str, of_one: str, parse: Callable[[str], Any], usable: Callable[[str], str] | None = None
) -> list[Setting]:
    """A variable of the OTLP exporters, for all signals and for each, that may hold a secret."""
    made = [Setting(f"OTEL_EXPORTER_OTLP_{name}", None, f"{text}.", parse, secret=True, usable=usable)]
    for signal, of in (("METRICS", "metrics"), ("TRACES", "spans"), ("LOGS", "log records")):
        meaning = f"The same for {of} only{of_one}."
        made.append(Setting(f"OTEL_EXPORTER_OTLP_{signal}_{name}", None, meaning, parse, secret=True, usable=usable))
    return made


SETTINGS: tuple[Setting, ...] = (
    Setting(STRICT, "false", "Refuse to start when any value is bad, and name all of them.", _boolean),
    Setting(
        "TRUST_OTEL_CARDINALITY_LIMIT",
        "2000",
        "Most label sets of one metric in one process; what comes later is counted in one overflow series.",
        _integer(10, 1_000_000),
    ),
    Setting(
        "TRUST_OTEL_ATTRIBUTE_LENGTH",
        "128",
        "Most characters of a label value; a longer one is cut.",
        _integer(8, 4096),
    ),
    Setting(
        "TRUST_OTEL_CLIENT_NAMES",
        "",
        "Client names that may appear in `trust.client.name`, separated by commas; others are `_other`.",
        _names,
    ),
    Setting(
        "TRUST_OTEL_DOCUMENT_TYPES",
        "",
        "Document types that may appear in `trust.document.type`, separated by commas; empty for any that look like a "
        "type.",
        _names,
    ),
    Setting(
        "TRUST_OTEL_DB_SLOW_SECONDS",
        "0.5",
        "Database operations that take longer count as slow.",
        _seconds,
    ),
    Setting(
        "TRUST_OTEL_OFFENDER_THRESHOLD",
        "5",
        "Failed logins of an address within an hour in one process from which on it appears in "
        "`trust.security.auth.failures`; 3 where a balancer spreads each client over 10 replicas or more.",
        _integer(1, 255),
    ),
    Setting(
        "TRUST_OTEL_OFFENDER_CAPACITY",
        "1000",
        "Most addresses that one process shows in `trust.security.auth.failures` at a time.",
        _integer(10, 1000),
    ),
    Setting(
        "TRUST_OTEL_CERTIFICATES",
        None,
        "Certificates to watch: files, globs, folders, `https://host:port`, `tls+postgres://host:port`, "
        "`kubernetes://namespace`, CRLs, OCSP responders; separated by commas, each as it is or as `name=source`.",
        certificate_sources,
        secret=True,
    ),
    Setting(
        "TRUST_OTEL_CERTIFICATE_INTERVAL",
        "60",
        "Seconds between two looks at the certificates.",
        _seconds,
    ),
    Setting(
        "TRUST_OTEL_CERTIFICATE_PASSWORD_FILE",
        None,
        "File with the password of the PKCS#12 files among the certificates.",
        path,
        secret=True,
    ),
    Setting(
        "TRUST_OTEL_DEPENDENCIES",
        None,
        "What the service needs, checked in the background: `vault=https://...,db=postgresql://...,"
        "cache=redis://...,peer=grpc://...`; `name:type=url` where the type is not plain.",
        dependencies,
        secret=True,
    ),
    Setting("TRUST_OTEL_DEPENDENCY_INTERVAL", "15", "Seconds between two checks of a dependency.", _seconds),
    Setting("TRUST_OTEL_DEPENDENCY_TIMEOUT", "5", "Seconds that a check of a dependency may take.", _seconds),
    Setting(
        "TRUST_OTEL_TRUSTED_PROXIES",
        "",
        "Addresses and networks of proxies whose `Forwarded` or `X-Forwarded-For` is believed, separated by commas.",
        networks,
    ),
    Setting(
        "TRUST_OTEL_GEOIP_DATABASE",
        None,
        "Database in MaxMind's format that gives the country of an address; read again when it is replaced.",
        path,
        secret=True,
    ),
    Setting(
        "TRUST_OTEL_REPUTATION_FEEDS",
        "",
        "Lists of bad addresses, as `name=path` separated by commas: plain lists, CSV or STIX 2.1.",
        named_paths,
        secret=True,
    ),
    Setting(
        "TRUST_OTEL_DETECTORS",
        ",".join(DETECTORS),
        "Detectors of suspicious activity that are on, separated by commas; `none` turns all off.",
        detectors,
    ),
    Setting(
        "TRUST_OTEL_CLIENT_ADDRESS",
        "full",
        "How the address of an offender appears: `full`, `truncated` (/24 and /48), `hashed` (keyed) or `off`.",
        _one_of(*CLIENT_ADDRESS_FORMS),
    ),
    Setting(
        "TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE",
        None,
        "File with the key of the hash (32 bytes or more); without it, each process has one of its own.",
        path,
        secret=True,
    ),
    Setting(
        "TRUST_OTEL_SLA_FILE",
        None,
        "TOML file with service level agreements that are judged as measurements are recorded.",
        path,
        secret=True,
    ),
    Setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        None,
        "Attributes of every metric, span and log record, as `key=value` separated by commas.",
        resource_attributes,
        secret=True,
        usable=usable_resource_attributes,
    ),
    Setting(
        "TRUST_OTEL_SHUTDOWN_TIMEOUT",
        "5",
        "Seconds that the last export of metrics, spans and log records together may take when the process ends; "
        "what is not exported by then is lost, and the log says so.",
        _seconds,
    ),
    Setting("OTEL_SDK_DISABLED", "false", "Turn all telemetry off.", _boolean),
    Setting(
        "OTEL_METRICS_EXPORTER",
        "otlp",
        "`otlp`, `prometheus` (in-process endpoint), `console`, `none`, or several separated by commas.",
        _exporters("metrics"),
    ),
    Setting("OTEL_TRACES_EXPORTER", "none", "Where spans go; `otlp` turns them on.", _exporters("traces")),
    Setting("OTEL_LOGS_EXPORTER", "none", "Where log records go; `otlp` turns them on.", _exporters("logs")),
    *_otlp("ENDPOINT", "Address of the Collector, such as http://localhost:4318", ", path included", _address),
    *_otlp("HEADERS", "Headers of each export, as `name=value` separated by commas", "", headers, usable_headers),
    *_otlp("CERTIFICATE", "File of the authority's certificate that the Collector's is checked with", "", path),
    *_otlp("CLIENT_CERTIFICATE", "File of the certificate that the service shows to the Collector", "", path),
    *_otlp("CLIENT_KEY", "File of the key of that certificate", "", path),
    Setting("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "`http/protobuf` or `grpc`.", _protocol),
    Setting("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", None, "Protocol for metrics only.", _protocol),
    Setting("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", None, "Protocol for spans only.", _protocol),
    Setting("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", None, "Protocol for log records only.", _protocol),
    Setting(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "cumulative",
        "`cumulative`, which Prometheus needs, `delta` or `lowmemory`.",
        _one_of("cumulative", "delta", "lowmemory"),
    ),
    Setting("OTEL_METRIC_EXPORT_INTERVAL", "15000", "Milliseconds between two exports.", _milliseconds),
    Setting("OTEL_METRIC_EXPORT_TIMEOUT", "30000", "Milliseconds that an export may take.", _milliseconds),
    Setting("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost", "Address of the in-process endpoint.", str),
    Setting("OTEL_EXPORTER_PROMETHEUS_PORT", "9464", "Port of the in-process endpoint.", _port),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


def names() -> frozenset[str]:
    """Every variable of the table."""
    return frozenset(_BY_NAME)


def check(environment: Mapping[str, str], settings: Iterable[Setting] = SETTINGS) -> list[Problem]:
    """Find every bad value in an environment, in the order of the table."""
    known = tuple(settings)
    found = (_problem(setting, environment.get(setting.name)) for setting in known)
    return [problem for problem in found if problem] + _unfit_addresses(environment, known)


def _unfit_addresses(environment: Mapping[str, str], settings: Iterable[Setting]) -> list[Problem]:
    """Addresses that do not suit their protocol."""
    protocols = [environment.get(f"OTEL_EXPORTER_OTLP_{which}PROTOCOL") for which in ("METRICS_", "")]
    grpc = any(protocol and protocol.strip().lower() == "grpc" for protocol in protocols)
    problems = []
    for setting in settings:
        text = environment.get(setting.name)
        if setting.parse is not _address or not text or _problem(setting, text):
            continue
        if not grpc and "://" not in text:
            problems.append(Problem(setting, text, "begin it with http://, or set the protocol to grpc"))
        elif grpc and "@" in text:
            remedy = "gRPC takes no user and password in an address: send them by OTEL_EXPORTER_OTLP_HEADERS"
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


def value(name: str, environment: Mapping[str, str] = environ) -> Any:
    """The parsed value of a setting; its default (or `None`) when it is unset, empty or bad."""
    setting = _BY_NAME[name]
    text = environment.get(name)
    if text and not _problem(setting, text):
        return setting.parse(text)
    return None if setting.default is None else setting.parse(setting.default)


def limits(environment: Mapping[str, str] = environ) -> Limits:
    """The bounds that an environment sets."""
    return Limits(
        label_sets=value("TRUST_OTEL_CARDINALITY_LIMIT", environment),
        attribute_length=value("TRUST_OTEL_ATTRIBUTE_LENGTH", environment),
        client_names=value("TRUST_OTEL_CLIENT_NAMES", environment),
        document_types=value("TRUST_OTEL_DOCUMENT_TYPES", environment),
        offender_threshold=value("TRUST_OTEL_OFFENDER_THRESHOLD", environment),
        offender_capacity=value("TRUST_OTEL_OFFENDER_CAPACITY", environment),
        detectors=value("TRUST_OTEL_DETECTORS", environment),
        client_address_form=value("TRUST_OTEL_CLIENT_ADDRESS", environment),
        client_address_key_file=value("TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE", environment),
        slow_seconds=value("TRUST_OTEL_DB_SLOW_SECONDS", environment),
    )


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Variables that begin like ours and are none of ours: most likely a slip of the pen."""
    return sorted(name for name in environment if name.startswith("TRUST_OTEL_") and name not in _known_names())


@lru_cache(maxsize=1)
def _known_names() -> frozenset[str]:
    # The local stack has variables of its own, which only the command line reads.
    stack = (
        "COLLECTOR_BINARY",
        "PROMETHEUS_BINARY",
        "PROMTOOL_BINARY",
        "ALERTMANAGER_BINARY",
        "AMTOOL_BINARY",
        "NODE_EXPORTER_BINARY",
        "POSTGRES_EXPORTER_BINARY",
        "REDIS_EXPORTER_BINARY",
        "PROMTOOL_2_42_BINARY",
    )
    incidents = ("DATABASE", "LISTEN", "TOKEN_FILE", "OPERATOR_TOKEN_FILE", "ALERTMANAGER", "URL")
    others = (*stack, "STACK_DIRECTORY", *(f"INCIDENTS_{name}" for name in incidents))
    return frozenset(_BY_NAME) | {f"TRUST_OTEL_{name}" for name in others}
