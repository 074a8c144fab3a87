"""`trust-otel render --check` with the real amtool and promtool."""

from pathlib import Path

import pytest

from tests.support.render_command import empty_site, env_file, run  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("empty_site")


def test_the_result_is_checked(tmp_path: Path, required: dict[str, str]) -> None:
    result = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out", "--check")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("amtool and promtool accept what was rendered\n")


def test_errors_of_all_tools_are_shown(
    tmp_path: Path, required: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("amtool", "promtool"):
        false = tmp_path / name
        false.write_text(f"#!/bin/sh\necho it is wrong for {name}\nexit 1\n")
        false.chmod(0o755)
        monkeypatch.setenv(f"TRUST_OTEL_{name.upper()}_BINARY", str(false))
    result = run("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out", "--check")
    assert result.exit_code == 1
    for name in ("amtool", "promtool"):
        assert f"{name} rejects what was rendered:\nit is wrong for {name}\n" in result.stderr


@pytest.mark.parametrize(
    ("teams", "message"),
    [
        (
            "{platform: {edit: [operational, monitoring]}, security: {edit: [security]}, business: {edit: [business]}, "
            "compliance: {view: [security, business]}}",
            "teams.security: the team may not open the dashboard operational, to which alerts that it receives link: "
            "TrustVaultUnavailable; add operational to view\n",
        ),
        (
            "{platform: {edit: [monitoring]}, security: {edit: [security]}, business: {edit: [business]}, "
            "compliance: {}}",
            "teams.compliance: the team may not open the dashboard security, to which alerts that it receives link: "
            "TrustComplianceFailure; add security to view\n",
        ),
        ("{platform: {}, security: {}, business: {}, compliance: {}}", "TrustServiceDown, TrustServiceInstanceDown, "),
    ],
    ids=["security", "compliance", "nobody"],
)
def test_the_link_of_an_alert_that_its_team_may_not_open_is_an_error(
    tmp_path: Path, required: dict[str, str], teams: str, message: str
) -> None:
    site = tmp_path / "site.yml"
    site.write_text(f"teams: {teams}\n")
    arguments = ("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out", "--site", site)
    assert run(*arguments).exit_code == 0
    result = run(*arguments, "--check")
    assert result.exit_code == 1
    assert f"{site}: teams." in result.stderr
    assert message in result.stderr


def test_a_team_that_receives_alerts_and_is_not_listed_is_a_warning(tmp_path: Path, required: dict[str, str]) -> None:
    site = tmp_path / "site.yml"
    site.write_text("teams: {operators: {view: [operational, monitoring, security, business]}}\n")
    result = run(*("--env-file", env_file(tmp_path, required), "--output", tmp_path / "out", "--site", site), "--check")
    assert result.exit_code == 0, result.output
    assert f"{site}: teams: the team compliance receives alerts and is not listed" in result.stderr
    assert "to which they link: operational, pki, security\n" in result.stderr
