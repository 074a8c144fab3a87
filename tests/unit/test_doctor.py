"""`trust-otel doctor` checks every configured source and prints no secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from testbed.trust_lists import new_signer, trusted_list
from trust_ops.cli import main
from trust_ops.doctor import Finding, examine
from trust_ops.doctor.configuration import interval
from trust_ops.doctor.loading import chosen, instrumentor
from trust_otel import settings

_NOT_AFTER = datetime(2091, 5, 1, tzinfo=timezone.utc)


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def _certificate() -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(_NOT_AFTER - timedelta(days=90)).not_valid_after(_NOT_AFTER)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def valid_settings(tmp_path: Path, server: str) -> dict[str, str]:
    """Settings for one valid source of every kind."""
    (tmp_path / "ca.pem").write_bytes(_certificate())
    (tmp_path / "feed.txt").write_text("203.0.113.0/24\n198.51.100.7\n")
    (tmp_path / "key").write_bytes(bytes(range(32)))
    (tmp_path / "key").chmod(0o400)
    (tmp_path / "sla.toml").write_text(
        '[sla.fast]\nmetric = "http.server.request.duration"\nthreshold = 1\nobjective = 0.9\n'
    )
    (tmp_path / "kpis.toml").write_text('[kpi.orders]\nkind = "counter"\n')
    (tmp_path / "keys.toml").write_text("[key.tsa]\nmax_uses_per_hour = 100\n")
    (tmp_path / "web.yml").write_text("http_server_config: {http2: false}\n")
    writer = MMDBWriter(database_type="Test-Country")
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "DE"}})
    writer.to_db_file(str(tmp_path / "countries.mmdb"))
    return {
        "TRUST_OTEL_CERTIFICATES": str(tmp_path / "ca.pem"),
        "TRUST_OTEL_DEPENDENCIES": f"register={server}/?token=secret",
        "TRUST_OTEL_REPUTATION_FEEDS": f"feed={tmp_path / 'feed.txt'}",
        "TRUST_OTEL_GEOIP_DATABASE": str(tmp_path / "countries.mmdb"),
        "TRUST_OTEL_SLA_FILE": str(tmp_path / "sla.toml"),
        "TRUST_OTEL_BUSINESS_METRICS_FILE": str(tmp_path / "kpis.toml"),
        "TRUST_OTEL_KEY_POLICY_FILE": str(tmp_path / "keys.toml"),
        "TRUST_OTEL_CLIENT_ADDRESS_KEY_FILE": str(tmp_path / "key"),
        "TRUST_OTEL_PROMETHEUS_WEB_CONFIG": str(tmp_path / "web.yml"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": server,
        "OTEL_PYTHON_DISTRO": "trust_distro",
    }


def _by_subject(environment: dict[str, str]) -> dict[str, Finding]:
    return {finding.step: finding for finding in examine(environment)}


def test_valid_sources_have_no_problem_and_are_described(valid_settings: dict[str, str]) -> None:
    found = _by_subject(valid_settings)
    assert [finding for finding in found.values() if finding.status in ("warning", "error")] == []
    assert found["certificates"].seen == "1 certificates, the first expires 2091-05-01"
    assert found["reputation"].seen == "2 networks"
    assert found["dependency"].seen.startswith("http, ")


def test_ignored_files_of_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(_certificate())
    (tmp_path / "README").write_text("text")
    finding = _by_subject({"TRUST_OTEL_CERTIFICATES": str(tmp_path)})["certificates"]
    assert finding.status == "ok"
    assert finding.seen.endswith(f"; ignored: {tmp_path}/README: no certificate")


def test_trust_lists_are_described(tmp_path: Path) -> None:
    signer, other = new_signer(), new_signer()
    issued = datetime(2026, 11, 1, tzinfo=timezone.utc)
    (tmp_path / "list").write_bytes(trusted_list(signer, [], issued=issued, next_update=issued + timedelta(days=30)))
    (tmp_path / "signer").write_bytes(signer.pem)
    (tmp_path / "other").write_bytes(other.pem)
    lists = {"TRUST_OTEL_TRUST_LISTS": f"eu=etsi+{tmp_path}/list"}
    assert _by_subject(lists)["trust list"].seen == "signature not verified, 0 certificates, next update 2026-12-01"
    signers = {"TRUST_OTEL_TRUST_LIST_SIGNERS": f"eu={tmp_path}/signer"}
    assert _by_subject({**lists, **signers})["trust list"].status == "ok"
    signers = {"TRUST_OTEL_TRUST_LIST_SIGNERS": f"eu={tmp_path}/other"}
    assert "the signature is invalid" in _by_subject({**lists, **signers})["trust list"].seen


def test_invalid_sources_are_reported_without_secrets(valid_settings: dict[str, str]) -> None:
    for name, value in valid_settings.items():
        path = Path(value.partition("=")[2] or value)
        if name.startswith("TRUST_OTEL_") and name != "TRUST_OTEL_DEPENDENCIES" and path.is_absolute():
            path.chmod(0o600)
            path.write_bytes(b"<html>not found</html>\n" * 3 if path.name != "key" else b"short")
    valid_settings["TRUST_OTEL_DEPENDENCIES"] = "db=postgresql://me:secret@127.0.0.1:1/x"
    valid_settings["TRUST_OTEL_DETECTORS"] = "everything"
    valid_settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://me:secret@127.0.0.1:1/?key=secret"
    found = list(examine(valid_settings))
    assert {finding.step for finding in found if finding.status == "error"} == {
        "setting",
        "endpoint",
        "certificates",
        "dependency",
        "geoip",
        "reputation",
        "sla",
        "business metrics",
        "key policies",
        "client address",
        "web config",
    }
    assert "secret" not in repr(found)


def test_sources_without_settings_are_not_checked() -> None:
    assert {finding.step for finding in examine({"OTEL_METRICS_EXPORTER": "none"})} == {
        "setting",
        "distro",
        "configurator",
        "instrumentor",
    }


def _run(environment: dict[str, str], *arguments: str) -> Result:
    unset = dict.fromkeys(settings.names())
    return CliRunner(env={**unset, **environment}).invoke(main, ["doctor", *arguments])


def test_exit_status_is_1_if_there_is_a_problem(valid_settings: dict[str, str]) -> None:
    assert _run(valid_settings).exit_code == 0
    failed = _run({**valid_settings, "TRUST_OTEL_SLA_FILE": "/nowhere/sla.toml"})
    assert failed.exit_code == 1
    assert "error   sla" in failed.output


def test_json_output_contains_every_finding(valid_settings: dict[str, str]) -> None:
    found = json.loads(_run(valid_settings, "--json").output)
    assert {finding["step"] for finding in found} >= {"certificates", "dependency", "geoip", "reputation", "sla"}
    assert all(set(finding) == {"step", "name", "status", "seen", "remedy"} for finding in found)


def test_the_distro_that_wins_is_explained() -> None:
    ours, variable = "trust_distro", "OTEL_PYTHON_DISTRO"
    assert chosen("distro", ours, [ours], None, variable).status == "ok"
    assert chosen("distro", ours, ["other", ours], ours, variable).status == "ok"
    assert chosen("distro", ours, ["other", ours], None, variable).remedy == "set OTEL_PYTHON_DISTRO=trust_distro"
    assert chosen("distro", ours, [ours], "other", variable).status == "error"


def test_skipped_instrumentors_have_a_reason() -> None:
    assert instrumentor("trust_http", {}, None).status == "ok"
    assert "trust_http replaces it" in instrumentor("fastapi", {}, None).seen
    disabled = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "logging", "OTEL_LOGS_EXPORTER": "otlp"}
    assert instrumentor("logging", disabled, None).status == "warning"
    feeds = {"TRUST_OTEL_REPUTATION_FEEDS": "scanners=/feed"}
    assert instrumentor("trust_security", feeds, None).status == "ok"
    unset = instrumentor("trust_security", {}, None)
    assert unset.seen == "TRUST_OTEL_GEOIP_DATABASE and TRUST_OTEL_REPUTATION_FEEDS not set"
    assert instrumentor("x", {}, "but no installed version was found").status == "skipped"
    assert instrumentor("x", {}, 'the currently installed version ("1") falls outside').status == "warning"


def test_an_interval_longer_than_the_rules_allow_is_a_warning() -> None:
    assert [each.status for each in interval({"OTEL_METRIC_EXPORT_INTERVAL": "60000"})] == ["warning"]
    assert list(interval({"OTEL_METRIC_EXPORT_INTERVAL": "15000"})) == []
