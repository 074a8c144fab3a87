"""Ctrl+C while the launcher loads telemetry, before the program starts."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

Launcher = tuple[list[str], dict[str, str]]

_MODULE = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
raise SystemExit("was not interrupted")
"""
_GROUPS: dict[str, dict[str, str]] = {
    "opentelemetry_instrumentor": {},
    "opentelemetry_resource_detector": {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "interrupted"},
}
"""Kinds of extensions, each with the variables that make telemetry load one."""


@pytest.fixture(params=_GROUPS)
def environment(request: pytest.FixtureRequest, launcher: Launcher, tmp_path: Path) -> dict[str, str]:
    """An environment in which telemetry is interrupted when it loads an extension of this group."""
    (tmp_path / "interrupted.py").write_text(_MODULE)
    info = tmp_path / "interrupted-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: interrupted\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{request.param}]\ninterrupted = interrupted:nothing\n")
    return {
        **launcher[1],
        "PYTHONPATH": str(tmp_path),
        "OTEL_METRICS_EXPORTER": "console",
        **_GROUPS[request.param],
    }


def test_process_ends_by_the_signal(launcher: Launcher, environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [*launcher[0], "-c", "print('started')"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGINT, ended.stderr
    assert ended.stderr == ""
    assert "started" not in ended.stdout


def test_program_that_sets_up_telemetry_itself_gets_the_exception(
    launcher: Launcher, environment: dict[str, str]
) -> None:
    program = """
from opentelemetry.instrumentation.auto_instrumentation import initialize
try:
    initialize()
except KeyboardInterrupt:
    print("interrupted")
"""
    ended = subprocess.run(
        [*launcher[0][1:], "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "interrupted" in ended.stdout
