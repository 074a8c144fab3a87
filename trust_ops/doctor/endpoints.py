"""The OTLP endpoints of the service: sends an empty export to each, as the service would."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Final

from trust_ops.doctor.finding import Finding, outcome
from trust_otel import distro, settings
from trust_otel.log_safe import error_location
from trust_otel.settings import Settings

STEP: Final = "endpoint"
_SECONDS: Final = 5.0
"""Timeout for each endpoint."""

_REMEDIES: Final = (
    ("refused", "start the Collector, or correct the host and port of OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("cannot be resolved", "correct the host of OTEL_EXPORTER_OTLP_ENDPOINT, or its DNS entry"),
    ("no response in time", "check the port of OTEL_EXPORTER_OTLP_ENDPOINT, the firewall, and that the Collector runs"),
    ("redirect", "set OTEL_EXPORTER_OTLP_ENDPOINT to the Collector itself, not to a proxy or login page"),
    ("login page", "set OTEL_EXPORTER_OTLP_ENDPOINT to the Collector itself, not to a proxy or login page"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "set the token of the endpoint in OTEL_EXPORTER_OTLP_HEADERS"),
    ("404", "remove /v1/... from OTEL_EXPORTER_OTLP_ENDPOINT, and give the Collector a pipeline for the signal"),
    ("UNIMPLEMENTED", "give the Collector a pipeline for the signal, or turn the signal's exporter off"),
    ("does not speak TLS", "use http:// in OTEL_EXPORTER_OTLP_ENDPOINT, or turn TLS on in the Collector"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "use OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf with port 4318, grpc with 4317"),
    ("not trusted", "set OTEL_EXPORTER_OTLP_CERTIFICATE to the PEM file of the endpoint's authority"),
    ("TLS: ", "renew the endpoint's certificate, or use the host name that it was issued for"),
    ("429", "raise the Collector's limits, or export less often"),
    ("503", "see the log of the Collector: it is overloaded, or its queue is full"),
)
"""Remedies by a part of what was seen; the first that matches applies."""


def check(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each enabled signal's endpoint accepts an export; skipped if the settings leave the SDK out."""
    wanted = Settings.from_environment(environment)
    if environment.get("OTEL_CONFIG_FILE") or wanted.sdk_disabled:
        why = "OTEL_SDK_DISABLED is set" if wanted.sdk_disabled else "OTEL_CONFIG_FILE declares the exporters"
        yield Finding(STEP, "all", "skipped", f"not checked: {why}")
        return
    from trust_otel.export import otlp

    prepared = dict(environment)
    distro.apply_defaults(prepared, settings.check(environment))
    for signal in otlp.SIGNALS:
        exporters = [name for name in wanted.exporters_of(signal) if name in otlp.EXPORTERS]
        for exporter in exporters:
            began = monotonic()
            problem = _problem(signal, exporter, prepared)
            seen = f"accepted, {(monotonic() - began) * 1000:.0f} ms"
            yield outcome(STEP, signal, problem, remedy_for(problem or ""), seen)


def remedy_for(problem: str) -> str:
    """What to do about an export that was not accepted."""
    found = (remedy for part, remedy in _REMEDIES if part in problem)
    return next(found, "check OTEL_EXPORTER_OTLP_ENDPOINT and the log of the endpoint")


def _problem(signal: str, exporter: str, environment: Mapping[str, str]) -> str | None:
    from trust_otel.export import otlp

    before = dict(os.environ)
    try:
        # The SDK's exporters read their settings from os.environ.
        os.environ.clear()
        os.environ.update(environment)
        return otlp.send_empty_export(signal, exporter, _SECONDS)
    except Exception as error:  # a setting that only the SDK reads
        return f"the exporter cannot be created: {error_location(error)}"
    finally:
        os.environ.clear()
        os.environ.update(before)
