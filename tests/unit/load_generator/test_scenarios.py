"""Scenarios from the command line: what needs what, and what stays right although something goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from examples.demo.service import TrustService
from testbed.load_generator import LoadConfig, LoadGeneratorError, LoadReport, generate_load
from testbed.load_generator.command import main
from testbed.load_generator.scenarios import SCENARIOS


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustService]:
    with TrustService(tmp_path_factory.mktemp("service"), {"OTEL_METRICS_EXPORTER": "none"}) as running:
        yield running


def _run(service: TrustService, scenario: str, **changes: str | None) -> LoadReport:
    vault: dict[str, Any] = {"vault_url": service.vault_url, "vault_token": service.vault_token, **changes}
    config = LoadConfig(
        url=service.url, admin_token=service.admin_token, rate=5, duration_seconds=3, scenario=scenario, **vault
    )
    return asyncio.run(generate_load(config))


def _vault_status(service: TrustService) -> int:
    return httpx.get(f"{service.vault_url}/v1/sys/health", trust_env=False).status_code


def test_the_help_describes_every_scenario() -> None:
    shown = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert [name for name, scenario in SCENARIOS.items() if f"{name} {scenario.help}" not in shown] == []


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    refused = CliRunner().invoke(main, ["--admin-token", "x", "--scenario", "earthquake"])
    assert refused.exit_code == 2
    assert "vault-sealed" in refused.output


def test_the_vault_is_unsealed_when_the_scenario_is_over(service: TrustService) -> None:
    report = _run(service, "vault-sealed")
    assert (report.unanswered, report.unexpected) == (0, {})
    assert _vault_status(service) == 200


def test_without_a_vault_nothing_can_be_sealed(service: TrustService) -> None:
    with pytest.raises(LoadGeneratorError, match="--vault-url"):
        _run(service, "vault-sealed", vault_url=None)


def test_a_wrong_vault_token_says_so(service: TrustService) -> None:
    with pytest.raises(LoadGeneratorError, match="403"):
        _run(service, "vault-sealed", vault_token="guess")
    assert _vault_status(service) == 200


def test_traffic_goes_on_while_audit_records_are_lost(service: TrustService) -> None:
    report = _run(service, "audit-gap")
    assert (report.operations, report.unanswered, report.unexpected) == (15, 0, {})


def test_the_signers_certificate_is_good_again_after_it_ran_out(service: TrustService, tmp_path: Path) -> None:
    from cryptography import x509

    _run(service, "expiry")
    (path,) = service.log.parent.rglob("document-signer.pem")
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime.days == 365
