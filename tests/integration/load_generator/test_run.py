"""Load on a running service: expected totals compared with the database of the service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.service import TrustService
from testbed.load_generator import LoadConfig, LoadGeneratorError, LoadReport, generate_load, send_fuzzed_requests


def _service(folder: Path) -> TrustService:
    database = f"sqlite+aiosqlite:///{folder / 'trust.db'}"
    return TrustService(folder, {"OTEL_METRICS_EXPORTER": "none", "TRUST_SERVICE_DATABASE_URL": database})


def _config(service: TrustService, **changes: object) -> LoadConfig:
    settings: dict[str, object] = {
        "url": service.url,
        "admin_token": service.admin_token,
        "grpc_target": service.grpc_target,
        "rate": 40,
        "duration_seconds": 5,
        "seed": 3,
    }
    return LoadConfig(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustService]:
    with _service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadReport, sqlite3.Connection]:
    folder = tmp_path_factory.mktemp("traffic")
    with _service(folder) as service:
        report = asyncio.run(generate_load(_config(service)))
    return report, sqlite3.connect(folder / "trust.db")


Traffic = tuple[LoadReport, sqlite3.Connection]


def _sum(report: LoadReport, *parts: str) -> float:
    return sum(value for selector, value in report.expected_totals.items() if all(part in selector for part in parts))


def test_every_operation_gets_the_expected_response(traffic: Traffic) -> None:
    report, _ = traffic
    assert (report.operations, report.skipped) == (200, 0)
    assert (report.unanswered, report.unexpected, report.uncertain) == (0, {}, [])


def test_expected_audit_events_match_the_audit_log(traffic: Traffic) -> None:
    report, database = traffic
    rows = database.execute("SELECT action, success, count(*) FROM audit_events GROUP BY 1, 2").fetchall()
    outcome = {0: "failure", 1: "success"}
    expected = {
        f'sum(trust_audit_events_total{{trust_audit_action="{action}",trust_outcome="{outcome[success]}"}})': number
        for action, success, number in rows
    }
    assert {k: v for k, v in report.expected_totals.items() if "trust_audit_events_total" in k} == expected
    assert len(expected) >= 9


def test_expected_certificate_operations_match_issued_and_revoked_certificates(traffic: Traffic) -> None:
    report, database = traffic
    operations = "trust_certificate_operation_duration_seconds_count"
    for kind, issued in database.execute("SELECT certificate_type, count(*) FROM certificates GROUP BY 1"):
        of_kind = (operations, f'trust_certificate_type="{kind}"', 'trust_outcome="success"')
        assert _sum(report, *of_kind, '"issuance"') + _sum(report, *of_kind, '"renewal"') == issued
    ((revoked,),) = database.execute("SELECT count(*) FROM certificates WHERE revoked_at IS NOT NULL")
    assert _sum(report, operations, '"revocation"', 'trust_outcome="success"') == revoked > 0


def test_expected_amounts_match_the_documents(traffic: Traffic) -> None:
    report, database = traffic
    rows = database.execute(
        "SELECT currency, country, client, sum(price), sum(fee), sum(cost) FROM documents"
        " WHERE digest IS NOT NULL GROUP BY 1, 2, 3"
    ).fetchall()
    expected = {}
    for currency, country, client, *amounts in rows:
        labels = f'geo_country_iso_code="{country}",trust_client_name="{client}",trust_currency="{currency}"'
        for family, amount in zip(("revenue", "fee", "cost"), amounts, strict=True):
            expected[f"sum(trust_{family}_amount_total{{{labels}}})"] = amount / 100
    amounts_by_family = {k: v for k, v in report.expected_totals.items() if "_amount_total" in k}
    refunds = {k: v for k, v in amounts_by_family.items() if "_refund_" in k}
    assert {k: v for k, v in amounts_by_family.items() if k not in refunds} == expected
    # A document that takes too long costs nothing, which the database does not show.
    assert refunds
    assert all(0 <= refund <= expected[k.replace("_refund_", "_revenue_")] for k, refund in refunds.items())


def test_expected_document_outcomes_match_the_documents(traffic: Traffic) -> None:
    report, database = traffic
    for outcome, condition in (("success", "digest IS NOT NULL"), ("failure", "digest IS NULL")):
        query = f"SELECT document_type, country, count(*) FROM documents WHERE {condition} GROUP BY 1, 2"
        for document_type, country, number in database.execute(query):
            labels = (f'"{document_type}"', f'"{country}"', f'trust_outcome="{outcome}"')
            assert _sum(report, "trust_document_processing_duration_seconds_count", *labels) == number


def test_all_grpc_methods_and_call_types_are_in_the_totals(traffic: Traffic) -> None:
    report, _ = traffic
    for method in ("Validate", "Sign", "ValidateBatch", "ListCertificates", "ValidateStream"):
        assert _sum(report, "rpc_server_call_duration_seconds_count", f'TrustService/{method}"', '"OK"') > 0


def test_totals_of_unanswered_requests_are_reported_as_uncertain(tmp_path: Path) -> None:
    async def run(service: TrustService) -> LoadReport:
        load = asyncio.create_task(generate_load(_config(service, duration_seconds=8)))
        await asyncio.sleep(6)
        await asyncio.to_thread(service.stop)
        return await load

    with _service(tmp_path) as service:
        report = asyncio.run(run(service))
    assert report.unanswered > 0
    assert report.uncertain
    assert set(report.uncertain) <= set(report.expected_totals)


def test_unreachable_service_is_reported_with_the_failed_request() -> None:
    config = LoadConfig(url="http://127.0.0.1:9", admin_token="token")
    with pytest.raises(LoadGeneratorError, match="PUT /admin/accounts"):
        asyncio.run(generate_load(config))


def test_wrong_admin_token_is_reported(service: TrustService) -> None:
    with pytest.raises(LoadGeneratorError, match="401"):
        asyncio.run(generate_load(_config(service, admin_token="wrong")))


def test_repeated_runs_on_one_service_get_expected_responses(service: TrustService) -> None:
    for _ in range(2):
        # With this seed, nobody exceeds the rate limit of logins shortly before the logins of the next run.
        report = asyncio.run(generate_load(_config(service, duration_seconds=2, seed=5)))
        assert (report.unanswered, report.unexpected) == (0, {})


def _command(service: TrustService, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from testbed.load_generator.command import main; main()"]
    return subprocess.Popen(
        [*command, "--url", service.url, "--rate", "20", "--json", *arguments],
        env={**os.environ, "TRUST_SERVICE_ADMIN_TOKEN": service.admin_token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_stops_the_command_and_prints_the_totals_so_far(service: TrustService) -> None:
    process = _command(service, "--duration", "10m")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(12)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    report = json.loads(output)
    assert report["operations"] > 0
    assert report["operations"] + report["skipped"] == 12_000
    assert report["expected_totals"]


def test_grpc_is_disabled_with_a_message_without_grpc_target(service: TrustService) -> None:
    output, errors = _command(service, "--duration", "2s").communicate(timeout=60)
    assert "gRPC is disabled" in errors
    report = json.loads(output)
    assert report["operations"] == 40
    assert not [selector for selector in report["expected_totals"] if "rpc" in selector]


def test_grpc_is_disabled_with_a_message_if_grpcio_cannot_be_imported(
    service: TrustService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grpc.py").write_text("raise RuntimeError('too old')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = _command(service, "--duration", "2s", "--grpc-target", service.grpc_target)
    output, errors = command.communicate(timeout=60)
    assert command.returncode == 0, errors
    assert "gRPC is disabled: too old" in errors
    assert json.loads(output)["operations"] == 40


def test_fuzzed_requests_have_the_given_number_and_are_repeatable(service: TrustService) -> None:
    first = asyncio.run(send_fuzzed_requests(service.url, 200, seed=5))
    assert first.total() == 200
    assert first == asyncio.run(send_fuzzed_requests(service.url, 200, seed=5))
