"""Scenarios: command line options, requirements and clean-up."""

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


def test_help_describes_every_scenario() -> None:
    shown = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert [name for name, scenario in SCENARIOS.items() if f"{name} {scenario.help}" not in shown] == []


def test_unknown_scenario_is_rejected_with_the_known_names() -> None:
    result = CliRunner().invoke(main, ["--admin-token", "x", "--scenario", "earthquake"])
    assert result.exit_code == 2
    assert "vault-sealed" in result.output


def test_vault_is_unsealed_after_the_scenario(service: TrustService) -> None:
    report = _run(service, "vault-sealed")
    assert (report.unanswered, report.unexpected) == (0, {})
    assert _vault_status(service) == 200


def test_vault_sealed_scenario_requires_a_vault_url(service: TrustService) -> None:
    with pytest.raises(LoadGeneratorError, match="--vault-url"):
        _run(service, "vault-sealed", vault_url=None)


def test_wrong_vault_token_is_reported_and_vault_stays_unsealed(service: TrustService) -> None:
    with pytest.raises(LoadGeneratorError, match="403"):
        _run(service, "vault-sealed", vault_token="guess")
    assert _vault_status(service) == 200


def test_operations_succeed_during_the_audit_gap_scenario(service: TrustService) -> None:
    report = _run(service, "audit-gap")
    assert (report.operations, report.unanswered, report.unexpected) == (15, 0, {})


def test_signer_certificate_is_renewed_after_the_expiry_scenario(service: TrustService, tmp_path: Path) -> None:
    from cryptography import x509

    _run(service, "expiry")
    (path,) = service.log.parent.rglob("document-signer.pem")
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime.days == 365
