"""Tokens are readable only by their owner, never shown, and expire."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx
import pytest

from tests.support.fake_grafana import TOKEN, FakeGrafana, token
from tests.unit.grafana.conftest import Run
from trust_ops.grafana.client import Grafana
from trust_ops.grafana.errors import GrafanaError

ACCOUNT = "dashboards-reader"


@pytest.fixture
def grafana() -> FakeGrafana:
    return FakeGrafana(accounts={5: {"name": ACCOUNT, "role": "Viewer", "isDisabled": False}})


def test_a_token_is_written_and_not_shown(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out" / "reader"
    path.parent.mkdir()
    result = run("token", ACCOUNT, "--expires", "90d", "--output", str(path))
    assert result.exit_code == 0, result.output
    key = path.read_text()
    assert key.startswith("glsa_key-of-dashboards-reader-")
    assert key.strip() not in result.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["reader"]


def test_a_second_token_replaces_the_file_and_lists_the_first(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    grafana.tokens[5] = [token(1, "ended", "2025-01-01T00:00:00Z", expired=True)]
    path = tmp_path / "reader"
    run("token", ACCOUNT, "--expires", "1d", "--output", str(path))
    first = path.read_text()
    path.chmod(0o644)
    result = run("token", ACCOUNT, "--expires", "1d", "--output", str(path))
    assert path.read_text() != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.strip().removeprefix("glsa_key-of-") in result.output
    assert "ended" not in result.output


@pytest.mark.parametrize("lifetime", ["0d", "0s", "59s", "91d", "never", "-1d", ""])
def test_a_too_long_lifetime_is_rejected(grafana: FakeGrafana, run: Run, tmp_path: Path, lifetime: str) -> None:
    result = run("token", ACCOUNT, f"--expires={lifetime}", "--output", str(tmp_path / "reader"))
    assert result.exit_code == 2
    assert not grafana.writes


def test_a_token_needs_a_lifetime(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    assert run("token", ACCOUNT, "--output", str(tmp_path / "reader")).exit_code == 2
    assert not grafana.writes


def test_no_token_is_created_for_an_unwritable_file(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    result = run("token", ACCOUNT, "--expires", "1d", "--output", str(tmp_path / "none" / "reader"))
    assert result.exit_code == 1
    assert "cannot be written (No such file or directory)" in result.output
    assert not grafana.writes


def test_an_error_of_grafana_keeps_the_old_token(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "out" / "reader"
    path.parent.mkdir()
    path.write_text("old")
    grafana.refuse = lambda method, _: (400, {"message": "too long"}) if method == "POST" else None
    result = run("token", ACCOUNT, "--expires", "1d", "--output", str(path))
    assert result.exit_code == 1
    assert "400 (too long)" in result.output
    assert path.read_text() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["reader"]


def test_unknown_and_disabled_accounts_get_no_token(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    output = str(tmp_path / "reader")
    assert "`trust-otel grafana access` creates" in run("token", "x", "--expires", "1d", "--output", output).output
    grafana.accounts[5]["isDisabled"] = True
    assert "is disabled" in run("token", ACCOUNT, "--expires", "1d", "--output", output).output
    assert not grafana.writes


def test_no_token_is_made_without_expiry(url: str, grafana: FakeGrafana) -> None:
    # Without api_key_max_seconds_to_live, Grafana accepts it whatever the limit in days.
    grafana.token_max_seconds = None
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
        with pytest.raises(GrafanaError, match="invalid lifetime of 0 s"):
            Grafana(client).create_token(5, "forever", 0)
        assert not grafana.writes
        body = {"name": "forever", "secondsToLive": 0}
        assert client.post("/api/serviceaccounts/5/tokens", json=body).is_success
        assert Grafana(client).tokens(5)[0].expiration is None
        grafana.token_max_seconds = 60
        assert client.post("/api/serviceaccounts/5/tokens", json=body).status_code == 400


def test_an_error_that_is_a_bare_string_is_shown(grafana: FakeGrafana, run: Run, tmp_path: Path) -> None:
    grafana.token_day_limit = 30
    result = run("token", ACCOUNT, "--expires", "60d", "--output", str(tmp_path / "reader"))
    assert result.exit_code == 1
    assert "400 (The expiration date input exceeds the limit" in result.output
