"""What was never measured is not shown as 0, OK or green, and what was measured as 0 is shown as 0."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

import pytest

from tests.support import preview_fixture as fixture
from tests.support.dashboards import Answer, Asked, queries
from tools.checks.absence import colour_without_data
from trust_ops.stack.files import project_file

_QUERIES = queries()
_SHOWN_SECONDS = 1800
_WAIT_SECONDS = 60
_STEP = fixture.STEP
_INSTANCE = (
    'deployment_environment_name="test",service_namespace="trust",service_name="pki",service_instance_id="pki-0"'
    ',job="trust/pki",instance="pki-0"'
)
_RULES = [project_file(f"monitoring/prometheus/trust-service-{name}.yml") for name in ("recording", "alerts")]

# What a service that records nothing but that it runs has, and the rules that are evaluated.
_OF_A_HEARTBEAT = {
    "operational 1A": "no alert fires for the service",
    "operational 1B": "the service has an instance",
    "operational 9A": "the watchdog fires",
    "monitoring 6A": "the heartbeat has a series",
    "monitoring 20A": "the heartbeat has an age",
    "monitoring 21A": "the watchdog fires",
}

# Counters that were raised an hour ago, and not since.
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
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A Prometheus that has nothing."""
    with fixture.prometheus_of(tmp_path_factory.mktemp("empty"), "") as url, Asked(url) as asked:
        yield asked


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A Prometheus that knows of a service that it runs, and nothing else."""
    with (
        fixture.prometheus_of(tmp_path_factory.mktemp("heard"), _history({}), _RULES) as url,
        Asked(url) as asked,
    ):
        yield asked


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A Prometheus of a service that records everything about security, and in which nothing happens."""
    history = _history(_QUIET)
    with fixture.prometheus_of(tmp_path_factory.mktemp("quiet"), history, _RULES) as url, Asked(url) as asked:
        yield asked


def _history(counters: Mapping[str, str]) -> str:
    now = int(time.time()) // _STEP * _STEP
    times = range(now - 3600, now + _STEP, _STEP)
    lines = ["# TYPE trust_otel_instance_up gauge"]
    lines += [f'trust_otel_instance_up{{{_INSTANCE},service_version="1"}} 1 {each}' for each in times]
    for name, labels in counters.items():
        lines.append(f"# TYPE {name} counter")
        lines += [f"{name}_total{{{_INSTANCE},{labels}}} 7 {each}" for each in times]
    return "\n".join([*lines, "# EOF", ""])


def _values(answer: Answer) -> list[float]:
    assert answer.error == ""
    return [value for series in answer.series for value in series.values if not math.isnan(value)]


def test_without_data_no_panel_shows_a_number(empty: Asked) -> None:
    shown = {query.key: _values(empty.ask(query, _SHOWN_SECONDS)) for query in _QUERIES}
    assert {key: values for key, values in shown.items() if values} == {}


def test_without_data_no_number_has_a_good_colour() -> None:
    single = [query for query in _QUERIES if query.kind in ("stat", "gauge", "bargauge")]
    assert single
    assert {query.key for query in single if "green" in colour_without_data(query.field)} == set()


def test_a_service_that_records_nothing_has_no_zeros(heard: Asked) -> None:
    _until_recorded(heard, "service:trust_otel_instances:count")
    shown = {query.key: _values(heard.ask(query, _SHOWN_SECONDS)) for query in _QUERIES}
    assert {key: values[-1] for key, values in shown.items() if values and key not in _OF_A_HEARTBEAT} == {}


def test_a_dash_stands_for_events_that_are_not_measured(heard: Asked) -> None:
    (query,) = [each for each in _QUERIES if each.key == "security 1A"]
    series = heard.ask(query, _SHOWN_SECONDS).series
    assert {each.labels["event"] for each in series} >= {"Failed login", "Failed compliance check"}
    assert all(math.isnan(each.last) for each in series)


@pytest.mark.parametrize("key", _ZERO)
def test_what_is_measured_and_did_not_happen_is_zero(quiet: Asked, key: str) -> None:
    _until_recorded(quiet, "service_instance:trust_audit_unrecorded_operations:count")
    (query,) = [each for each in _QUERIES if each.key == key]
    values = _values(quiet.ask(query, _SHOWN_SECONDS))
    assert values
    assert values[-1] == 0
    assert not query.is_red(0)


def _until_recorded(asked: Asked, name: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not (asked.at(name).series and asked.at('ALERTS{alertname="TrustWatchdog",alertstate="firing"}').series):
        assert time.monotonic() < deadline, f"{name} is not recorded"
        time.sleep(0.5)
