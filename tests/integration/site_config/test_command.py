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
