"""What is compared: each variant runs in an environment of its own, started as its documentation says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.installation import ROOT, installed
from trust_ops.stack.ports import free_ports

_ENVIRONMENTS = ROOT / ".venv-bench"
_PROJECT = ROOT / "benchmarks/environments"

# An export during a round would distort it, so none is due before the end; the last one goes to a local receiver.
_COMMON = {
    "OTEL_SERVICE_NAME": "benchmarks",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
    "OTEL_LOGS_EXPORTER": "none",
    # Otherwise each process has dictionaries of another layout.
    "PYTHONHASHSEED": "0",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    # Those of Elastic's distribution for clouds ask addresses outside of this machine.
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel",
}
_METRICS = {"OTEL_TRACES_EXPORTER": "none", "OTEL_TRACES_SAMPLER": "always_off"}
_METRICS_AND_TRACES = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "always_on"}
_NATIVE = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true"}
_SLA_AND_FEED = {
    "TRUST_OTEL_SLA_FILE": str(_PROJECT / "sla.toml"),
    "TRUST_OTEL_REPUTATION_FEEDS": f"addresses={_PROJECT / 'feed.txt'}",
}
_ENDPOINT = {"OTEL_METRICS_EXPORTER": "prometheus", "TRUST_OTEL_CARDINALITY_LIMIT": "20000"}


@dataclass(frozen=True)
class Variant:
    """A way to run the measured program.

    Attributes:
        environment: Group of `benchmarks/environments/pyproject.toml` that is installed for it.
        launched: Whether it is started with `opentelemetry-instrument`.
        settings: Environment variables.
    """

    environment: str
    launched: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """The interpreter, with its launcher."""
        binaries = installed(_PROJECT, self.environment, _ENVIRONMENTS)
        return [*([str(binaries / "opentelemetry-instrument")] if self.launched else []), str(binaries / "python")]

    def process_environment(self, endpoint: str) -> dict[str, str]:
        """All environment variables of its processes; `endpoint` is the receiver of exports."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        addresses = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_ports(1)[0]),
        }
        return {**kept, **_COMMON, **addresses, **self.settings}


def _trust_otel(*settings: Mapping[str, str]) -> Variant:
    # A service that names its clients in calls also lists them.
    joined = {"TRUST_OTEL_CLIENT_NAMES": "acme"}
    for more in settings:
        joined |= more
    return Variant("trust-otel", launched=True, settings=joined)


VARIANTS: Mapping[str, Variant] = {
    "bare": Variant("libraries"),
    "trust-otel": _trust_otel(_METRICS),
    "trust-otel, SLA and feed": _trust_otel(_METRICS, _SLA_AND_FEED),
    "trust-otel, traces": _trust_otel(_METRICS_AND_TRACES),
    "trust-otel, endpoint": _trust_otel(_METRICS, _ENDPOINT),
    "FastAPI": Variant("fastapi", settings={**_METRICS, **_NATIVE}),
    "FastAPI, traces": Variant("fastapi", settings={**_METRICS_AND_TRACES, **_NATIVE}),
    "contrib": Variant("contrib", launched=True, settings=_METRICS),
    "contrib, traces": Variant("contrib", launched=True, settings=_METRICS_AND_TRACES),
    "Elastic": Variant("elastic", launched=True, settings=_METRICS),
    "Elastic, traces": Variant("elastic", launched=True, settings=_METRICS_AND_TRACES),
    "Splunk": Variant("splunk", launched=True, settings=_METRICS),
    "Splunk, traces": Variant("splunk", launched=True, settings=_METRICS_AND_TRACES),
    "Logfire": Variant("logfire", settings=_METRICS),
    "Logfire, traces": Variant("logfire", settings=_METRICS_AND_TRACES),
    "prometheus-fastapi-instrumentator": Variant("prometheus"),
    "starlette-exporter": Variant("prometheus"),
    "prometheus_client": Variant("prometheus"),
    "py-grpc-prometheus": Variant("prometheus"),
}


def locked() -> list[tuple[str, str]]:
    """Name and version of each package that is pinned."""
    text = (_PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    return sorted(set(re.findall(r'"([\w-]+)(?:\[\w+\])?==([^"]+)"', text)))
