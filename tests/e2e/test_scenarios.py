"""Each scenario of the load generator has its effect on the metrics in Prometheus, during and after the scenario."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.service import TrustService
from testbed.load_generator.scenarios import SCENARIOS
from testbed.load_generator.scenarios.attack import GUESSING_ADDRESS
from tests.support.running import eventually
from tests.support.services import start_load, telemetry
from trust_ops.stack import Addresses, PrometheusClient
from trust_otel.setting_lists import DETECTORS


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, addresses: Addresses) -> Iterator[TrustService]:
    with TrustService(tmp_path_factory.mktemp("service"), telemetry(addresses)) as running:
        yield running


class ScenarioRunner:
    """Runs a scenario, and queries Prometheus meanwhile."""

    def __init__(self, service: TrustService, prometheus: PrometheusClient) -> None:
        self._service = service
        self._prometheus = prometheus

    def run(self, scenario: str, seconds: float, during: dict[str, float] | None = None) -> None:
        """Every query of `during` must have its value at some time during the scenario."""
        asyncio.run(self._run(scenario, seconds, dict(during or {})))

    async def _run(self, scenario: str, seconds: float, missing: dict[str, float]) -> None:
        running = asyncio.ensure_future(start_load(self._service, seconds, rate=5, scenario=scenario))
        while not running.done():
            for query, expected in list(missing.items()):
                if await asyncio.to_thread(self._prometheus.value, query) == expected:
                    del missing[query]
            await asyncio.sleep(0.3)
        report = running.result()
        assert missing == {}
        assert scenario in ("database-down", "pool-exhausted") or (report.unanswered, report.unexpected) == (0, {})

    def eventually(self, query: str, expected: float) -> None:
        eventually(lambda: self._prometheus.value(query), expected)

    def value(self, query: str) -> float:
        return self._prometheus.value(query) or 0


@pytest.fixture
def scenarios(service: TrustService, prometheus: PrometheusClient) -> ScenarioRunner:
    return ScenarioRunner(service, prometheus)


def test_every_scenario_has_a_test_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in SCENARIOS if f'scenarios.run("{name}"' not in text] == []


def test_an_attack_raises_every_kind_of_incident_and_names_the_address(scenarios: ScenarioRunner) -> None:
    incidents = "sum(increase(trust_security_incidents_total{trust_security_incident_type=%r}[2m])) > bool 0"
    scenarios.run("attack", 45)
    for detector in DETECTORS:
        scenarios.eventually((incidents % detector).replace("'", '"'), 1)
    guessed = f'sum(increase(trust_security_auth_failures_total{{client_address="{GUESSING_ADDRESS}"}}[2m])) > bool 10'
    scenarios.eventually(guessed, 1)
    matches = 'sum(increase(trust_security_threat_matches_total{trust_threat_feed="scanners"}[2m])) > bool 0'
    scenarios.eventually(matches, 1)
    limited = 'sum(increase(trust_security_rate_limited_total{trust_rate_limit_name="login"}[2m])) > bool 0'
    scenarios.eventually(limited, 1)


def test_an_expiring_certificate_expires_and_is_renewed(scenarios: ScenarioRunner) -> None:
    not_after = 'trust_certificate_not_after_seconds{trust_certificate_name="document-signer"}'
    expired = 'sum(trust_certificate_inventory{trust_certificate_status="expired"})'
    scenarios.run("expiry", 20, during={f"sum({not_after}) - time() < bool 10": 1, expired: 1})
    scenarios.eventually(expired, 0)
    assert scenarios.value(not_after) - time.time() > 300 * 86_400


def test_a_sealed_vault_is_down_with_its_reason(scenarios: ScenarioRunner) -> None:
    up = 'sum(trust_dependency_up{trust_dependency_name="vault",trust_dependency_type="vault"})'
    sealed = 'sum(trust_dependency_check_duration_seconds_count{error_type="sealed"}) > bool 0'
    scenarios.eventually(up, 1)
    scenarios.run("vault-sealed", 15, during={up: 0, sealed: 1})
    scenarios.eventually(up, 1)


def test_an_exhausted_pool_has_pending_requests_and_timeouts(scenarios: ScenarioRunner) -> None:
    pending = "sum(db_client_connection_pending_requests) > bool 0"
    scenarios.run("pool-exhausted", 15, during={pending: 1})
    scenarios.eventually("sum(increase(db_client_connection_timeouts_total[2m])) > bool 0", 1)
    scenarios.eventually("sum(db_client_connection_pending_requests)", 0)


def test_a_database_that_refuses_connections_is_down_and_comes_back(scenarios: ScenarioRunner) -> None:
    up = 'sum(trust_dependency_up{trust_dependency_name="database"})'
    failed = 'sum(increase(db_client_connection_create_time_seconds_count{error_type!=""}[1m])) > bool 0'
    scenarios.eventually(up, 1)
    scenarios.run("database-down", 20, during={up: 0, failed: 1})
    scenarios.eventually(up, 1)


def test_a_lost_audit_record_is_a_gap_between_operations_and_events(scenarios: ScenarioRunner) -> None:
    gap = "sum(trust_audit_operations_total) - sum(trust_audit_events_total)"
    before = scenarios.value(gap)
    scenarios.run("audit-gap", 15)
    scenarios.eventually(f"{gap} > bool {before}", 1)


def test_slow_registers_violate_the_sla(scenarios: ScenarioRunner) -> None:
    missed = 'sum(trust_sla_events_total{trust_sla_name="document_processing",trust_outcome="failure"})'
    before = scenarios.value(missed)
    scenarios.run("sla-violation", 15)
    scenarios.eventually(f"{missed} > bool {before}", 1)


def test_a_day_without_documents_brings_no_revenue(scenarios: ScenarioRunner) -> None:
    revenue = "sum(rate(trust_revenue_amount_total[4s])) > bool 0"
    scenarios.run("revenue-drop", 15, during={revenue: 0})
