"""What the settings refer to: files, feeds and dependencies, read as the service reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from trust_ops.doctor.finding import Finding, outcome
from trust_otel.settings import Settings


def check(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Read every source, one by one; network checks take up to their timeout."""
    for each in _CHECKS:
        yield from each(environment)


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
        yield outcome("certificates", report.name, report.problem, _remedy("TRUST_OTEL_CERTIFICATES"), detail)


def _dependencies(environment: Mapping[str, str]) -> Iterator[Finding]:
    wanted = Settings.from_environment(environment)
    if not wanted.dependencies:
        return
    from trust_otel.monitors.dependencies import check

    for dependency in wanted.dependencies:
        result = check(dependency, wanted.dependency_timeout)
        problem = None if result.up else f"down: {result.error_type}"
        seen = f"{dependency.type}, {result.seconds * 1000:.0f} ms"
        remedy = "check the dependency, its network and certificates, and TRUST_OTEL_DEPENDENCIES"
        yield outcome("dependency", dependency.name, problem, remedy, seen)


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
        remedy = "check TRUST_OTEL_TRUST_LISTS and TRUST_OTEL_TRUST_LIST_SIGNERS, and the publisher of the list"
        yield outcome("trust list", name, problem, remedy, detail)


def _ct_feed(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).ct_feed
    if not path:
        return
    from trust_otel.monitors.ct_feed import read_entries
    from trust_otel.reloading_file import ReloadingFile

    feed: ReloadingFile[Mapping[bytes, Mapping[str, Any]]] = ReloadingFile(path, read_entries, {})
    problem = _problem_of(feed.read_if_changed)
    name = "TRUST_OTEL_CT_FEED"
    yield outcome("ct feed", name, problem, _remedy(name), f"{len(feed.value)} certificates")


def _geoip(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).geoip_database
    if not path:
        return
    from trust_otel.security.geo import Countries

    countries = Countries(path)
    problem = _problem_of(countries.read_if_changed)
    countries.close()
    yield outcome("geoip", "TRUST_OTEL_GEOIP_DATABASE", problem, _remedy("TRUST_OTEL_GEOIP_DATABASE"))


def _reputation(environment: Mapping[str, str]) -> Iterator[Finding]:
    paths = Settings.from_environment(environment).reputation_feeds
    if not paths:
        return
    from trust_otel.security.reputation import Feeds

    feeds = Feeds(paths)
    problems = dict(feeds.read_if_changed())
    for name, size in feeds.sizes().items():
        remedy = _remedy("TRUST_OTEL_REPUTATION_FEEDS")
        yield outcome("reputation", name, problems.get(name), remedy, f"{size} networks")


def _slas(environment: Mapping[str, str]) -> Iterator[Finding]:
    settings = Settings.from_environment(environment)
    path, body_sizes = settings.sla_file, settings.http_body_sizes
    if not path:
        return
    from trust_otel.metrics.sla import read_slas

    name = "TRUST_OTEL_SLA_FILE"
    yield outcome("sla", name, _problem_of(lambda: read_slas(path, body_sizes=body_sizes)), _remedy(name))


def _business_metrics(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).business_metrics_file
    if not path:
        return
    from trust_otel.metrics.kpi import read_kpis

    name = "TRUST_OTEL_BUSINESS_METRICS_FILE"
    yield outcome("business metrics", name, _problem_of(lambda: read_kpis(path)), _remedy(name))


def _key_policies(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).key_policy_file
    if not path:
        return
    from trust_otel.metrics.key_policy import read_key_policies

    name = "TRUST_OTEL_KEY_POLICY_FILE"
    yield outcome("key policies", name, _problem_of(lambda: read_key_policies(path)), _remedy(name))


def _client_address(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).client_address_key_file
    if not path:
        return
    from trust_otel.security.client_address import read_key

    name = "TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE"
    yield outcome("client address", name, _problem_of(lambda: read_key(path)), _remedy(name))


def _web_config(environment: Mapping[str, str]) -> Iterator[Finding]:
    path = Settings.from_environment(environment).prometheus_web_config
    if not path:
        return
    from trust_otel.export.prometheus.web_config import SETTING, WebConfig

    yield outcome("web config", SETTING, _problem_of(lambda: WebConfig(path)), _remedy(SETTING))


_CHECKS: tuple[Callable[[Mapping[str, str]], Iterator[Finding]], ...] = (
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


def _remedy(setting: str) -> str:
    return f"correct the file or source that {setting} names, and make it readable for the service"


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
