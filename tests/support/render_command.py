"""Runs `trust-otel render` in a directory of its own."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from trust_ops.cli import main
from trust_ops.site_config.variables import BY_NAME


def env_file(folder: Path, environment: dict[str, str]) -> Path:
    """A file of variables in the folder."""
    path = folder / "env"
    path.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    return path


def run(*arguments: str | Path, **options: Any) -> Result:
    """Run the command; `options` are those of click's runner."""
    return CliRunner().invoke(main, ["render", *map(str, arguments)], **options)


@pytest.fixture
def empty_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and an environment without the variables of alerting."""
    monkeypatch.chdir(tmp_path)
    for name in BY_NAME:
        monkeypatch.delenv(name, raising=False)
