"""Which distro, configurator and instrumentors the launcher loads, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts
from opentelemetry.util._importlib_metadata import EntryPoint, entry_points

from trust_ops.doctor.finding import Finding
from trust_otel import distro
from trust_otel.disabled_instrumentations import REPLACED, VARIABLE, is_disabled
from trust_otel.export.wanted import logs_wanted, spans_wanted

_DISTRO: Final = "distro"
_CONFIGURATOR: Final = "configurator"
_INSTRUMENTOR: Final = "instrumentor"
NEEDED_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "trust_business_metrics": ("TRUST_OTEL_BUSINESS_METRICS_FILE",),
    "trust_certificates": ("TRUST_OTEL_CERTIFICATES",),
    "trust_clock": ("TRUST_OTEL_TIME_SERVERS",),
    "trust_ct_feed": ("TRUST_OTEL_CT_FEED",),
    "trust_dependencies": ("TRUST_OTEL_DEPENDENCIES",),
    "trust_key_policy": ("TRUST_OTEL_KEY_POLICY_FILE",),
    "trust_lists": ("TRUST_OTEL_TRUST_LISTS",),
    "trust_security": ("TRUST_OTEL_GEOIP_DATABASE", "TRUST_OTEL_REPUTATION_FEEDS"),
    "trust_sla": ("TRUST_OTEL_SLA_FILE",),
}
"""Instrumentors that load only if one of their settings is set."""
_REPLACED: Final = {part: whole for whole, parts in REPLACED.items() for part in parts}


def check(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The distro and configurator that are loaded, and each instrumentor."""
    distros = [entry.name for entry in entry_points(group="opentelemetry_distro")]
    yield chosen(_DISTRO, distro.DISTRO_NAME, distros, environment.get("OTEL_PYTHON_DISTRO"), "OTEL_PYTHON_DISTRO")
    configurators = [entry.name for entry in entry_points(group="opentelemetry_configurator")]
    named = environment.get("OTEL_PYTHON_CONFIGURATOR") or distro.CONFIGURATOR_NAME
    yield chosen(_CONFIGURATOR, distro.CONFIGURATOR_NAME, configurators, named, "OTEL_PYTHON_CONFIGURATOR")
    if environment.get("FASTAPI_OTEL_AUTO_CONFIGURE", "").lower() == "true":
        seen = "FastAPI exports all telemetry a second time"
        yield Finding(_DISTRO, "conflict", "error", seen, "unset FASTAPI_OTEL_AUTO_CONFIGURE")
    seen_before: set[str] = set()
    for entry in entry_points(group="opentelemetry_instrumentor"):
        if entry.name not in seen_before:
            seen_before.add(entry.name)
            yield instrumentor(entry.name, environment, _unmet(entry))


def chosen(step: str, ours: str, installed: Iterable[str], named: str | None, variable: str) -> Finding:
    """Which of the installed distros or configurators is loaded.

    Args:
        step: `distro` or `configurator`.
        ours: The name of trust-otel's.
        installed: The names of all, in the order of installation.
        named: The one that the variable names, if any.
        variable: The variable.
    """
    others = [name for name in installed if name != ours]
    if named == ours:
        return Finding(step, ours, "ok", f"loaded: {variable} names it, or its default does" if others else "loaded")
    if named is not None:
        seen = f"not loaded: {variable} names another one, so trust-otel measures nothing"
        return Finding(step, ours, "error", seen, f"set {variable}={ours}, or unset it")
    if others:
        seen = f"also installed: {', '.join(others)}; the order of installation decides which one is loaded"
        return Finding(step, ours, "error", seen, f"set {variable}={ours}")
    return Finding(step, ours, "ok", "loaded: the only one")


def instrumentor(name: str, environment: Mapping[str, str], unmet: str | None) -> Finding:
    """Whether an instrumentor is loaded.

    Args:
        name: Its entry point.
        environment: The environment variables.
        unmet: The library or version that it needs and that is not installed.
    """
    logs = logs_wanted(environment)
    if is_disabled(name, environment):
        if name == "logging" and logs:
            seen = f"disabled by {VARIABLE}, so log records are not exported although OTEL_LOGS_EXPORTER is set"
            return Finding(_INSTRUMENTOR, name, "warning", seen, f"remove logging from {VARIABLE}")
        return Finding(_INSTRUMENTOR, name, "skipped", f"disabled by {VARIABLE}")
    needed = NEEDED_SETTINGS.get(name, ())
    if needed and not any(map(environment.get, needed)):
        return Finding(_INSTRUMENTOR, name, "skipped", f"{' and '.join(needed)} not set")
    if unmet is not None:
        if "currently installed version" in unmet:
            seen = f"not loaded, another version of its library is installed: {unmet}"
            return Finding(_INSTRUMENTOR, name, "warning", seen, "install a version that the instrumentor names")
        return Finding(_INSTRUMENTOR, name, "skipped", f"its library is not installed: {unmet}")
    if name in _REPLACED and not spans_wanted(environment):
        return Finding(
            _INSTRUMENTOR, name, "skipped", f"{_REPLACED[name]} replaces it; it adds spans only, which are off"
        )
    if name == "logging" and not logs:
        return Finding(_INSTRUMENTOR, name, "skipped", "log records are off: OTEL_LOGS_EXPORTER")
    foreign = not name.startswith("trust_") and name not in {*_REPLACED, "logging", "system_metrics"}
    return Finding(_INSTRUMENTOR, name, "ok", "loaded, OpenTelemetry's own" if foreign else "loaded")


def _unmet(entry: EntryPoint) -> str | None:
    conflict = get_dist_dependency_conflicts(entry.dist) if entry.dist is not None else None
    return None if conflict is None else str(conflict)
