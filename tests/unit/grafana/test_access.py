"""Grafana matches the file after `access`, whatever its state before and wherever a run was interrupted."""

from __future__ import annotations

import json
import ssl
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.fake_grafana import (
    ACCESS_FILE,
    AS_THE_FILE_SAYS,
    FRESH,
    OF_A_VIEWER,
    PASSWORD,
    WRITES,
    FakeGrafana,
    listening,
    token,
)
from tests.unit.grafana.conftest import Run


def test_the_file_is_applied_once(grafana: FakeGrafana, run: Run) -> None:
    first = run("access")
    assert first.exit_code == 0, first.output
    assert grafana.content() == AS_THE_FILE_SAYS
    assert "folder Security: everyone with role Viewer may no longer view" in first.output
    assert len(grafana.writes) == WRITES
    assert run("access").output == "no changes\n"
    assert len(grafana.writes) == WRITES


def test_a_dry_run_reports_the_changes_without_making_them(grafana: FakeGrafana, run: Run) -> None:
    before = grafana.content()
    said = run("access", "--dry-run").output.replace("would change: ", "")
    assert grafana.content() == before
    assert not grafana.writes
    assert said == run("access").output


def test_only_differences_are_applied(grafana: FakeGrafana, run: Run) -> None:
    run("access")
    grafana.writes.clear()
    reader = next(number for number, account in grafana.accounts.items() if account["name"] == "dashboards-reader")
    grafana.accounts[reader]["role"] = "Admin"
    grafana.folders["trust-security"].append({"userId": 2, "permission": 4})
    output = run("access").output
    assert output.splitlines() == [
        "service account dashboards-reader: role Admin becomes Viewer",
        "folder Security: user ann may no longer administer",
    ]
    assert grafana.writes == [f"PATCH /api/serviceaccounts/{reader}", "POST /api/folders/trust-security/permissions"]
    assert grafana.content() == AS_THE_FILE_SAYS


def test_other_teams_and_folders_are_not_changed(grafana: FakeGrafana, run: Run) -> None:
    grafana.teams.update({number: f"other-{number}" for number in range(1, 8)})
    grafana.accounts[8] = {"name": "other", "role": "Admin", "isDisabled": True}
    grafana.folders["other"] = [dict(item) for item in FRESH]
    run("access")
    assert len(grafana.teams) == 11
    assert grafana.accounts[8]["role"] == "Admin"
    assert grafana.folders["other"] == list(FRESH)


def test_a_permission_on_one_dashboard_does_not_evade_the_file(grafana: FakeGrafana, run: Run) -> None:
    run("access")
    grafana.dashboards["trust-service-security"][1].append({"role": "Viewer", "permission": 1})
    finding = "dashboard Security: the file says that everyone with role Viewer may no longer view"
    assert finding in run("access", "--review").output
    assert run("access").output == "dashboard Security: everyone with role Viewer may no longer view\n"
    assert grafana.content() == AS_THE_FILE_SAYS


def test_a_missing_dashboard_is_an_error(grafana: FakeGrafana, run: Run) -> None:
    del grafana.dashboards["trust-service-business"]
    assert "no dashboard 'trust-service-business' (Business)" in run("access").output
    assert not grafana.writes


def test_a_missing_folder_prevents_all_changes(grafana: FakeGrafana, run: Run) -> None:
    del grafana.folders["trust-business"]
    result = run("access")
    assert result.exit_code == 1
    assert "no folder 'trust-business' (Business)" in result.output
    assert "provisioning/dashboards/trust-service.yml" in result.output
    assert not grafana.writes


def test_authentication_with_the_administrators_password(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    result = run("access", GRAFANA_TOKEN_FILE=None, GRAFANA_ADMIN_PASSWORD_FILE=str(path))
    assert result.exit_code == 0, result.output
    assert grafana.content() == AS_THE_FILE_SAYS


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "check GRAFANA_TOKEN_FILE"),
        (403, "administrator permissions in the organisation"),
        (409, "run the command again"),
        (412, "run the command again"),
        (500, "Grafana responded with 500 (it says why)"),
    ],
)
def test_an_error_of_grafana_is_shown_with_a_fix(grafana: FakeGrafana, run: Run, status: int, remedy: str) -> None:
    grafana.refuse = lambda method, path: (status, {"message": "it says why"}) if method == "POST" else None
    result = run("access")
    assert result.exit_code == 1
    assert f"Grafana responded with {status} (it says why) to POST /api/teams" in result.output
    assert remedy in result.output


def test_wrong_and_insufficient_credentials_are_distinguished(run: Run, token_file: Path) -> None:
    token_file.write_text("glsa_wrong_0")
    assert "401" in run("access").output
    token_file.write_text(OF_A_VIEWER.removeprefix("Bearer "))
    refused = run("access").output
    assert "403" in refused
    assert "glsa" not in refused


def test_a_response_without_json_is_not_grafana(grafana: FakeGrafana, run: Run) -> None:
    grafana.refuse = lambda method, path: (200, "<html>Sign in</html>")
    assert "is not Grafana: the response is not JSON" in run("access").output


def test_only_a_certificate_of_the_given_authority_is_trusted(tmp_path: Path, run: Run) -> None:
    grafana = FakeGrafana()
    certificate = tmp_path / "grafana.pem"
    certificate.write_bytes(_self_signed())
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(certificate)
    with listening(grafana, encryption) as url:
        refused = run("access", GRAFANA_URL=url)
        assert refused.exit_code == 1
        assert "CERTIFICATE_VERIFY_FAILED" in refused.output
        assert "GRAFANA_CA_FILE" in refused.output
        assert run("access", GRAFANA_URL=url, GRAFANA_CA_FILE=str(certificate)).exit_code == 0
    assert grafana.content() == AS_THE_FILE_SAYS


def _self_signed() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "grafana")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + made.public_bytes(Encoding.PEM)


def test_an_unreachable_grafana_is_an_error(run: Run) -> None:
    result = run("access", GRAFANA_URL="http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "no response from http://127.0.0.1:9" in result.output


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://grafana.example.com", "would send the credentials unencrypted"),
        ("http://127.0.0.1.example.com", "would send the credentials unencrypted"),
        ("https://ann:secret@grafana.example.com", "contains credentials"),
        ("grafana.example.com", "is not a URL of Grafana"),
        ("https://grafana.example.com:port", "is not a URL of Grafana"),
    ],
)
def test_urls_that_would_expose_credentials_are_rejected(run: Run, address: str, reason: str) -> None:
    result = run("access", GRAFANA_URL=address)
    assert result.exit_code == 1
    assert reason in result.output
    assert "secret@" not in result.output


def test_credentials_are_needed_and_name_their_setting(run: Run, token_file: Path, tmp_path: Path) -> None:
    assert "no credentials: set GRAFANA_TOKEN_FILE" in run("access", GRAFANA_TOKEN_FILE=None).output
    assert "GRAFANA_TOKEN_FILE" in run("access", GRAFANA_TOKEN_FILE=str(tmp_path / "none")).output
    token_file.write_text("\n")
    assert "is empty" in run("access").output
    token_file.write_text("one\ntwo\n")
    assert "more than one line" in run("access").output
    token_file.write_text("glsa")
    assert "GRAFANA_CA_FILE" in run("access", GRAFANA_CA_FILE=str(token_file)).output


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("edit: [platform]", "edit: [plattform]"), "team 'plattform' is not declared"),
        (("view: [security]", "view: [platform]"), "in view and in edit"),
        (("{role: Viewer}", "{role: Admin}"), "role 'Admin' is not one of"),
        (("dashboards-reader: view", "dashboards-reader: admin"), "use view or edit"),
        (("dashboards-reader: view", "somebody: view"), "service account 'somebody' is not declared"),
        (("uid: trust-security", "uid: trust-operations"), "duplicate uid"),
        (("title: Security", "titel: Security"), "title is missing"),
        (("teams: [", "teams: [platform, "), "a duplicate name"),
        (("teams: [", "teams: [["), "cannot be read"),
    ],
)
def test_an_invalid_file_changes_nothing(
    grafana: FakeGrafana, run: Run, tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    text = ACCESS_FILE.read_text()
    assert change[0] in text
    path = tmp_path / "access.yml"
    path.write_text(text.replace(*change, 1))
    result = run("access", "--file", str(path))
    assert result.exit_code == 1
    assert reason in result.output
    assert not grafana.writes


def test_a_review_shows_access_without_findings(grafana: FakeGrafana, run: Run) -> None:
    run("access")
    grafana.members = {number: ["ann"] for number in grafana.teams}
    grafana.writes.clear()
    result = run("access", "--review", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["administrators"] == ["admin"]
    assert found["people"] == {"ann": "Viewer"}
    assert found["teams"]["security"] == ["ann"]
    assert found["places"]["folder Security"] == {"team security": "edit", "team compliance": "view"}
    assert found["findings"] == []
    assert "none: matches the file" in run("access", "--review").output
    assert not grafana.writes


def test_a_review_lists_differences_from_the_file(grafana: FakeGrafana, run: Run) -> None:
    run("access")
    grafana.accounts[7] = {"name": "forgotten", "role": "Admin", "isDisabled": False}
    grafana.tokens[7] = [token(1, "old", None), token(2, "ended", "2025-01-01T00:00:00Z", expired=True)]
    grafana.folders["trust-business"].append({"role": "Viewer", "permission": 1})
    result = run("access", "--review")
    assert result.exit_code == 1
    for finding in (
        "team platform has no members",
        "folder Business: the file says that everyone with role Viewer may no longer view",
        "service account forgotten (role Admin) is not in the file",
        "service account forgotten: token old never expires",
        "forgotten: role Admin, tokens: old without expiry",
    ):
        assert finding in result.output, result.output
    assert "ended" not in result.output


def test_contradicting_options_are_rejected(run: Run) -> None:
    assert run("access", "--review", "--dry-run").exit_code == 2
    assert run("access", "--json").exit_code == 2


def test_an_administrator_does_not_count_as_a_team_member(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    by_password = {"GRAFANA_TOKEN_FILE": None, "GRAFANA_ADMIN_PASSWORD_FILE": str(path)}
    run("access", **by_password)
    assert all(members == ["admin"] for members in grafana.members.values())
    assert "team platform has no members other than administrators" in run("access", "--review", **by_password).output


def test_a_server_without_the_role_none_is_explained(grafana: FakeGrafana, run: Run) -> None:
    grafana.knows_role_none = False
    assert "the role None needs Grafana 10.2 or later" in run("access").output


def test_a_team_deleted_concurrently_is_explained(grafana: FakeGrafana, run: Run) -> None:
    grafana.refuse = lambda method, path: (
        (500, {"message": "Failed to create permission"}) if (method, path[:13]) == ("POST", "/api/folders/") else None
    )
    assert "deleted meanwhile; run the command again" in run("access").output
