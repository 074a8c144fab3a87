"""The settings: invalid, unknown and ineffective ones, and where the values in force come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trust_ops.doctor.finding import Finding
from trust_ops.variables import unknown_names
from trust_otel import distro, ineffective_settings, settings

STEP: Final = "setting"


def check(environment: Mapping[str, str]) -> Iterator[Finding]:
    """One finding for each setting that is wrong, and one for each that is set."""
    problems = settings.check(environment)
    for problem in problems:
        yield Finding(STEP, problem.name, "error", str(problem), f"correct or unset {problem.name}")
    for unknown in unknown_names(environment):
        yield Finding(STEP, unknown.name, "error", str(unknown), f"correct the name, or unset {unknown.name}")
    for line in ineffective_settings.warnings(environment, distro.DEFAULTS):
        yield Finding(STEP, "effect", "warning", line, "unset the variable, or follow its row in standard-settings.md")
    wrong = {problem.name for problem in problems}
    named = [setting.name for setting in settings.SETTINGS if environment.get(setting.name)]
    # Without the values: some are secrets.
    for name in named:
        if name not in wrong:
            yield Finding(STEP, name, "ok", "set by the environment")
    yield from interval(environment)
    for name, value in distro.DEFAULTS.items():
        if not environment.get(name) and not environment.get("OTEL_CONFIG_FILE"):
            yield Finding(STEP, name, "ok", f"{value}, the default of trust-otel")


def interval(environment: Mapping[str, str]) -> Iterator[Finding]:
    """A warning if the service exports less often than the rules and dashboards expect."""
    name = "OTEL_METRIC_EXPORT_INTERVAL"
    text = environment.get(name, "")
    if text.isdecimal() and int(text) > int(distro.DEFAULTS[name]):
        seen = f"{text} ms is longer than the rules allow: their ranges need four points a minute"
        yield Finding(STEP, name, "warning", seen, f"set {name}={distro.DEFAULTS[name]} or less, or unset it")
