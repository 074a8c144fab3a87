"""Every variable that trust-otel reads: name, default, meaning, and how a value is checked.

The table serves the running service, `trust-otel settings` and the documentation. Variables of OpenTelemetry that stand
here keep their meaning; they are checked because a bad one would silently cost the service its metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from os import environ
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.util._importlib_metadata import entry_points

STRICT = "TRUST_OTEL_STRICT"

_SHOWN = 200
"""Most characters of a bad value that stand in the log."""

_USER_INFO = re.compile(r"//[^/@\s]*@")

_GRPC_SCHEMES = ("dns", "ipv4", "ipv6", "unix", "unix-abstract")


class BadValueError(ValueError):
    """A value that a setting does not take; the message says what it takes."""


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    Attributes:
        name: The variable.
        default: What holds when it is not set, written as it would be set; `None` for nothing.
        help: One sentence for the reader of the table.
        parse: Turns the text into the value.
    """

    name: str
    default: str | None
    help: str
    parse: Callable[[str], Any]

    @property
    def own(self) -> bool:
        """Whether trust-otel, not OpenTelemetry, defines the variable."""
        return self.name.startswith("TRUST_OTEL_")


@dataclass(frozen=True)
class Problem:
    """A bad value; `str(problem)` names variable, value and remedy."""

    name: str
    value: str
    remedy: str
    default: str | None

    def __str__(self) -> str:
        shown = self.value if len(self.value) <= _SHOWN else f"{self.value[:_SHOWN]}..."
        return f"{self.name}={without_password(shown)!r} is not usable: {self.remedy}"

    @property
    def consequence(self) -> str:
        """What holds instead."""
        return "leaving it unset" if self.default is None else f"using the default {self.default!r}"


@dataclass(frozen=True)
class Limits:
    """Bounds on what the recorded measurements may carry."""

    label_sets: int
    attribute_length: int
    client_names: frozenset[str]
    offender_threshold: int
    offender_capacity: int
    slow_seconds: float


def without_password(text: str) -> str:
    """The text with `***` in place of user and password of an address."""
    return _USER_INFO.sub("//***@", text)


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
        "TRUST_OTEL_DB_SLOW_SECONDS",
        "0.5",
        "Database operations that take longer count as slow.",
        _seconds,
    ),
    Setting(
        "TRUST_OTEL_OFFENDER_THRESHOLD",
        "5",
        "Failed logins from which on an address appears in `trust.security.auth.failures`.",
        _integer(1, 1_000_000),
    ),
    Setting(
        "TRUST_OTEL_OFFENDER_CAPACITY",
        "1000",
        "Most addresses that one process keeps in mind at a time.",
        _integer(10, 1000),
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
    Setting("OTEL_EXPORTER_OTLP_ENDPOINT", None, "Address of the Collector, such as http://localhost:4318.", _address),
    Setting("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", None, "Address for metrics only, path included.", _address),
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
    found = (_problem(setting, environment.get(setting.name)) for setting in settings)
    return [problem for problem in found if problem] + _without_scheme(environment, settings)


def _without_scheme(environment: Mapping[str, str], settings: Iterable[Setting]) -> list[Problem]:
    """Addresses in gRPC's form, without a scheme, that HTTP is to use."""
    protocols = [environment.get(f"OTEL_EXPORTER_OTLP_{which}PROTOCOL") for which in ("METRICS_", "")]
    if any(protocol and protocol.strip().lower() == "grpc" for protocol in protocols):
        return []
    addresses = (setting for setting in settings if setting.parse is _address)
    return [
        Problem(setting.name, text, f"set it to http://{text.strip()}, or the protocol to grpc", setting.default)
        for setting in addresses
        if (text := environment.get(setting.name)) and "://" not in text and not _problem(setting, text)
    ]


def _problem(setting: Setting, text: str | None) -> Problem | None:
    if not text:
        return None
    try:
        setting.parse(text)
    except BadValueError as bad:
        return Problem(setting.name, text, str(bad), setting.default)
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
        offender_threshold=value("TRUST_OTEL_OFFENDER_THRESHOLD", environment),
        offender_capacity=value("TRUST_OTEL_OFFENDER_CAPACITY", environment),
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
    )
    return frozenset(_BY_NAME) | {f"TRUST_OTEL_{name}" for name in (*stack, "STACK_DIRECTORY")}
