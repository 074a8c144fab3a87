import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from trust_ops.stack import Stack
from trust_ops.stack.commands import stack
from trust_ops.stack.recipes import binaries


@pytest.fixture(autouse=True)
def _temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRUST_OTEL_STACK_DIRECTORY", raising=False)


def test_status_without_a_stack(tmp_path: Path) -> None:
    result = CliRunner().invoke(stack, ["status"])
    assert result.exit_code == 1
    assert result.output == (
        f"There is no stack in {tmp_path}/.trust-otel/stack. Start one with `trust-otel stack up`.\n"
    )


def test_status_as_json(tmp_path: Path, fake_binaries: dict[str, str]) -> None:
    folder = tmp_path / "run"
    with Stack(folder, environ=fake_binaries) as running:
        addresses = running.up()
        result = CliRunner().invoke(stack, ["status", "--json", "--directory", str(folder)])
        assert result.exit_code == 0
        answer = json.loads(result.output)
        assert answer["healthy"] is True
        assert answer["addresses"]["otlp_http"] == addresses.otlp_http
        assert [component["name"] for component in answer["components"]] == ["prometheus", "collector"]
        running.kill("collector")
        assert CliRunner().invoke(stack, ["status", "--directory", str(folder)]).exit_code == 1


def test_up_detached_then_up_then_down(
    tmp_path: Path, fake_binaries: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fake_binaries.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRUST_OTEL_STACK_DIRECTORY", str(tmp_path / "from-variable"))
    try:
        first = CliRunner().invoke(stack, ["up", "--detach"])
        assert first.exit_code == 0
        assert "otlp_http " in first.stdout
        again = CliRunner().invoke(stack, ["up"])
        assert again.stdout == first.stdout
        assert "the stack keeps running" in again.stderr
        assert CliRunner().invoke(stack, ["status"]).exit_code == 0
    finally:
        assert CliRunner().invoke(stack, ["down"]).exit_code == 0
    assert CliRunner().invoke(stack, ["status"]).exit_code == 1


def test_an_unavailable_executable_does_not_prevent_other_builds(
    tmp_path: Path, fake_binaries: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = fake_binaries.pop("TRUST_OTEL_NODE_EXPORTER_BINARY")
    for name, value in {**fake_binaries, "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(stack, ["build"])
    assert result.exit_code == 1
    assert [line.split() for line in result.stdout.splitlines()] == [
        [name, missing] for name in binaries() if name != "node_exporter"
    ]
    assert "Error: node_exporter 1.12.1 was not found, and Go is not installed to build it." in result.stderr


def test_an_error_is_text_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUST_OTEL_PROMETHEUS_BINARY", "/no/prometheus")
    result = CliRunner().invoke(stack, ["up", "--detach"])
    assert result.exit_code == 1
    assert "Error: TRUST_OTEL_PROMETHEUS_BINARY is set to /no/prometheus" in result.stderr
    assert "Traceback" not in result.output


def test_help_names_every_command() -> None:
    output = CliRunner().invoke(stack, ["--help"]).output
    assert all(name in output for name in ("up", "status", "down", "build"))
