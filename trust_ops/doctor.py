"""Checks the settings and everything they refer to, as the service would, and reports problems with a suggested fix."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from time import monotonic
from typing import Any, Final

from trust_ops.variables import unknown_names
from trust_otel import distro, ineffective_settings, settings
from trust_otel.log_safe import error_location
from trust_otel.settings import Settings

_ENDPOINT_SECONDS: Final = 5.0
"""Timeout for each endpoint."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        subject: What was checked: `setting`, `distro`, `endpoint`, `web config`, `certificates`, `dependency`,
            `trust list`, `ct feed`, `geoip`, `reputation`, `sla`, `business metrics` or `client address`.
        name: Which one, without credentials.
        problem: What is wrong and how to fix it; `None` when the check passed.
        detail: Additional information for the reader.
    """

    subject: str
    name: str
    problem: str | None
    detail: str = ""


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Run the checks one by one, yielding each result at once; network checks take up to their timeout."""
    for check in _CHECKS:
        yield from check(environment)


def _settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    problems = settings.check(environment)
    for problem in problems:
        yield Finding("setting", problem.name, str(problem))
    for unknown in unknown_names(environment):
        yield Finding("setting", unknown.name, str(unknown))
    for line in ineffective_settings.warnings(environment, distro.DEFAULTS):
        yield Finding("setting", "effect", line)
    if not problems:
        named = [setting.name for setting in settings.SETTINGS if environment.get(setting.name)]
        yield Finding("setting", "all", None, f"{len(named)} set")


def _conflicts(environment: Mapping[str, str]) -> Iterator[Finding]:
    lines = distro.conflicts(environment)
    for line in lines:
        yield Finding("distro", "conflict", line)
    if not lines:
        yield Finding("distro", distro.DISTRO_NAME, None, "the only one")


def _endpoints(environment: Mapping[str, str]) -> Iterator[Finding]:
    wanted = Settings.from_environment(environment)
    if environment.get("OTEL_CONFIG_FILE") or wanted.sdk_disabled:
        return
    from trust_otel.export import otlp

    prepared = dict(environment)
    distro.apply_defaults(prepared, settings.check(environment))
    for signal in otlp.SIGNALS:
        for exporter in wanted.exporters_of(signal):
            if exporter in otlp.EXPORTERS:
                began = monotonic()
                problem = _endpoint_problem(signal, exporter, prepared)
                yield Finding("endpoint", signal, problem, f"accepted, {(monotonic() - began) * 1000:.0f} ms")


def _endpoint_problem(signal: str, exporter: str, environment: Mapping[str, str]) -> str | None:
    from trust_otel.export import otlp

    before = dict(os.environ)
    try:
        # The SDK's exporters read their settings from os.environ.
        os.environ.clear()
        os.environ.update(environment)
        return otlp.send_empty_export(signal, exporter, _ENDPOINT_SECONDS)
    except Exception as error:  # a setting that only the SDK reads
        return f"the exporter cannot be created: {error_location(error)}"
    finally:
        os.environ.clear()
        os.environ.update(before)


def _certificates(environment: Mapping[str, str]) -> Iterator[Finding]:
    wanted = Settings.from_environment(environment)
    if not wanted.certificates:
        return
    from trust_otel.monitors.certificates import check_sources, summary

    for report in check_sources(wanted):
        detail = f"{report.certificates} certificates"
        if report.soonest_not_after is not None:
            detail += f", the first expires {_date(report.soonest_not_after)}"
        if report.ignored:
            detail += f"; ignored: {summary(report.ignored)}"
        yield Finding("certificates", report.name, report.problem, detail)


def _dependencies(environment: Mapping[str, str]) -> Iterator[Finding]:
    wanted = Settings.from_environment(environment)
    if not wanted.dependencies:
        return
    from trust_otel.monitors.dependencies import check

    for dependency in wanted.dependencies:
        result = check(dependency, wanted.dependency_timeout)
        problem = None if result.up else f"down: {result.error_type}"
        yield Finding("dependency", dependency.name, problem, f"{dependency.type}, {result.seconds * 1000:.0f} ms")


def _trust_lists(environment: Mapping[str, str]) -> Iterator[Finding]:
    wanted = Settings.from_environment(environment)
    if not wanted.trust_lists:
        return
    from trust_otel.monitors.trust_lists import check_lists

    for name, result in check_lists(wanted):
        problem = result.problem or (f"the signature is invalid: {result.reason}" if result.reason else None)
        detail = f"signature {result.signature}".replace("_", " ")
        if result.content is not None:
            detail += f", {result.content.anchors} certificates"
            if result.content.next_update is not None:
                detail += f", next update {_date(result.content.next_update)}"
        yield Finding("trust list", name, problem, detail)


def _ct_feed(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).ct_feed
    if not path:
        return
    from trust_otel.monitors.ct_feed import read_entries
    from trust_otel.reloading_file import ReloadingFile

    feed: ReloadingFile[Mapping[bytes, Mapping[str, Any]]] = ReloadingFile(path, read_entries, {})
    problem = _problem_of(feed.read_if_changed)
    yield Finding("ct feed", "TRUST_OTEL_CT_FEED", problem, f"{len(feed.value)} certificates")


def _geoip(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).geoip_database
    if not path:
        return
    from trust_otel.security.geo import Countries

    countries = Countries(path)
    problem = _problem_of(countries.read_if_changed)
    countries.close()
    yield Finding("geoip", "TRUST_OTEL_GEOIP_DATABASE", problem)


def _reputation(environment: Mapping[str, str]) -> Iterator[Finding]:
    paths = Settings.from_environment(environment).reputation_feeds
    if not paths:
        return
    from trust_otel.security.reputation import Feeds

    feeds = Feeds(paths)
    problems = dict(feeds.read_if_changed())
    for name, size in feeds.sizes().items():
        yield Finding("reputation", name, problems.get(name), f"{size} networks")


def _slas(environment: Mapping[str, str]) -> Iterator[Finding]:
    settings = Settings.from_environment(environment)
    path, body_sizes = settings.sla_file, settings.http_body_sizes
    if not path:
        return
    from trust_otel.metrics.sla import read_slas

    yield Finding("sla", "TRUST_OTEL_SLA_FILE", _problem_of(lambda: read_slas(path, body_sizes=body_sizes)))


def _business_metrics(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).business_metrics_file
    if not path:
        return
    from trust_otel.metrics.kpi import read_kpis

    yield Finding("business metrics", "TRUST_OTEL_BUSINESS_METRICS_FILE", _problem_of(lambda: read_kpis(path)))


def _key_policies(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).key_policy_file
    if not path:
        return
    from trust_otel.metrics.key_policy import read_key_policies

    yield Finding("key policies", "TRUST_OTEL_KEY_POLICY_FILE", _problem_of(lambda: read_key_policies(path)))


def _client_address(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).client_address_key_file
    if not path:
        return
    from trust_otel.security.client_address import read_key

    yield Finding("client address", "TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE", _problem_of(lambda: read_key(path)))


def _web_config(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).prometheus_web_config
    if not path:
        return
    from trust_otel.export.prometheus.web_config import SETTING, WebConfig

    yield Finding("web config", SETTING, _problem_of(lambda: WebConfig(path)))


_CHECKS: tuple[Callable[[Mapping[str, str]], Iterator[Finding]], ...] = (
    _settings,
    _conflicts,
    _endpoints,
    _certificates,
    _dependencies,
    _trust_lists,
    _ct_feed,
    _geoip,
    _reputation,
    _slas,
    _business_metrics,
    _key_policies,
    _client_address,
    _web_config,
)


def _problem_of(read: Callable[[], Any]) -> str | None:
    try:
        read()
    except OSError as error:
        # str(error) contains the path, and the setting may hold a secret by mistake.
        return error.strerror or type(error).__name__
    except ValueError as error:
        return str(error)
    return None


def _date(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, timezone.utc).date().isoformat()
