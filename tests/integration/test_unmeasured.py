"""Missing data is not shown as 0, OK or green, and a measured 0 is shown as 0."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support import preview_fixture as fixture
from tests.support.dashboards import Answer, PanelQueries, queries
from tools.checks.absence import colour_without_data
from trust_ops.stack.files import project_file
from trust_otel.setting_lists import DETECTORS

_QUERIES = queries()
_SHOWN_SECONDS = 1800
_WAIT_SECONDS = 60
_STEP = fixture.STEP
_INSTANCE = (
    'deployment_environment_name="production",service_namespace="trust",service_name="pki",service_instance_id="pki-0"'
    ',job="trust/pki",instance="pki-0"'
)
_RULES = [project_file(f"monitoring/prometheus/trust-service-{name}.yml") for name in ("recording", "alerts")]

# Panels with data for a service that only exports its heartbeat, and for the rules themselves.
_OF_A_HEARTBEAT = {
    "operational 1A": "no alert fires for the service",
    "operational 1B": "the service has an instance",
    "operational 9A": "the watchdog fires",
    "operational 36A": "the heartbeat has an age",
    "security 34A": "the service reports",
    "monitoring 6A": "the heartbeat has a series",
    "monitoring 20A": "the heartbeat has an age",
    "monitoring 20B": "the heartbeat has a time",
    "monitoring 21A": "the watchdog fires",
}

# Counters that did not increase in the last hour.
_QUIET: Mapping[str, str] = {
    "trust_auth_attempts": 'trust_auth_method="password",trust_outcome="success"',
    "trust_auth_mfa_challenges": 'trust_auth_mfa_method="totp",trust_outcome="success"',
    "trust_authz_decisions": 'trust_authz_decision="grant",trust_authz_resource_type="key"',
    "trust_security_incidents": 'trust_security_incident_type="path_scanning",trust_severity="critical"',
    "trust_security_rate_limited": 'trust_rate_limit_name="login"',
    "trust_audit_operations": 'trust_audit_action="issue"',
    "trust_audit_events": 'trust_audit_action="issue",trust_outcome="success"',
    "trust_compliance_checks": (
        'trust_compliance_framework="eidas",trust_compliance_control="a",trust_outcome="success"'
    ),
}
_ZERO = ("security 20A", *(f"security {number}A" for number in range(21, 26)), "security 8C", "security 10A")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelQueries]:
    """A Prometheus without data."""
    with fixture.prometheus_with(tmp_path_factory.mktemp("empty"), "") as url, PanelQueries(url) as asked:
        yield asked


@pytest.fixture(scope="module")
def heartbeat_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelQueries]:
    """A Prometheus with the heartbeat of a service, and no other data."""
    with (
        fixture.prometheus_with(tmp_path_factory.mktemp("heartbeat_only"), _history({}), _RULES) as url,
        PanelQueries(url) as asked,
    ):
        yield asked


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelQueries]:
    """A Prometheus with all security metrics of a service, without events."""
    history = _history(_QUIET)
    with fixture.prometheus_with(tmp_path_factory.mktemp("quiet"), history, _RULES) as url, PanelQueries(url) as asked:
        yield asked


def _history(counters: Mapping[str, str], detectors: Collection[str] = ()) -> str:
    now = int(time.time()) // _STEP * _STEP
    times = range(now - 3600, now + _STEP, _STEP)
    lines = ["# TYPE trust_otel_instance_up gauge"]
    lines += [f'trust_otel_instance_up{{{_INSTANCE},service_version="1"}} 1 {each}' for each in times]
    lines += ["# TYPE trust_security_detector_enabled gauge"] if detectors else []
    for kind in detectors:
        labels = f'{_INSTANCE},trust_security_incident_type="{kind}"'
        lines += [f"trust_security_detector_enabled{{{labels}}} 1 {each}" for each in times]
    for name, labels in counters.items():
        lines.append(f"# TYPE {name} counter")
        lines += [f"{name}_total{{{_INSTANCE},{labels}}} 7 {each}" for each in times]
    return "\n".join([*lines, "# EOF", ""])


def _values(answer: Answer) -> list[float]:
    assert answer.error == ""
    return [value for series in answer.series for value in series.values if not math.isnan(value)]


def test_without_data_no_panel_shows_a_number(empty: PanelQueries) -> None:
    shown = {query.key: _values(empty.ask(query, _SHOWN_SECONDS)) for query in _QUERIES}
    assert {key: values for key, values in shown.items() if values} == {}


def test_without_data_no_number_has_a_good_colour() -> None:
    single = [query for query in _QUERIES if query.kind in ("stat", "gauge", "bargauge")]
    assert single
    assert {query.key for query in single if "green" in colour_without_data(query.field)} == set()


def test_a_service_that_records_nothing_has_no_zeros(heartbeat_only: PanelQueries) -> None:
    _until_recorded(heartbeat_only, "service:trust_otel_instances:count")
    shown = {query.key: _values(heartbeat_only.ask(query, _SHOWN_SECONDS)) for query in _QUERIES}
    assert {key: values[-1] for key, values in shown.items() if values and key not in _OF_A_HEARTBEAT} == {}


def test_events_that_are_not_measured_are_a_dash(heartbeat_only: PanelQueries) -> None:
    (query,) = [each for each in _QUERIES if each.key == "security 1A"]
    series = heartbeat_only.ask(query, _SHOWN_SECONDS).series
    assert {each.labels["event"] for each in series} >= {"Failed login", "Failed compliance check"}
    assert all(math.isnan(each.last) for each in series)


@pytest.mark.parametrize("key", _ZERO)
def test_measured_metrics_without_events_are_zero(quiet: PanelQueries, key: str) -> None:
    _until_recorded(quiet, "service_instance:trust_audit_unrecorded_operations:count")
    (query,) = [each for each in _QUERIES if each.key == key]
    values = _values(quiet.ask(query, _SHOWN_SECONDS))
    assert values
    assert values[-1] == 0
    assert not query.is_red(0)


@pytest.mark.parametrize(
    ("detectors", "shown"),
    [((), []), (("path_scanning",), []), (("password_spraying",), [0]), (DETECTORS, [0])],
    ids=["none", "of other events", "one", "all"],
)
def test_critical_incidents_are_measured_only_by_an_enabled_detector(
    tmp_path: Path, detectors: Collection[str], shown: list[float]
) -> None:
    history = _history({name: _QUIET[name] for name in ("trust_auth_attempts",)}, detectors)
    (query,) = [each for each in _QUERIES if each.key == "security 21A"]
    with fixture.prometheus_with(tmp_path, history) as url, PanelQueries(url) as asked:
        assert _values(asked.ask(query, _SHOWN_SECONDS))[-1:] == shown


def _until_recorded(asked: PanelQueries, name: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not (asked.at(name).series and asked.at('ALERTS{alertname="TrustWatchdog",alertstate="firing"}').series):
        assert time.monotonic() < deadline, f"{name} is not recorded"
        time.sleep(0.5)
