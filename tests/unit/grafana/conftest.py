"""A running fake Grafana, and the commands to run with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.fake_grafana import TOKEN, FakeGrafana, listening
from trust_ops.cli import main

Run = Callable[..., Result]


@pytest.fixture
def grafana() -> FakeGrafana:
    return FakeGrafana()


@pytest.fixture
def url(grafana: FakeGrafana) -> Iterator[str]:
    with listening(grafana) as address:
        yield address


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def run(url: str, token_file: Path) -> Run:
    """Run `trust-otel grafana ...` as an administrator, unless another environment is given."""

    def call(*arguments: str, **environment: str | None) -> Result:
        known = {"GRAFANA_URL": url, "GRAFANA_TOKEN_FILE": str(token_file)}
        return CliRunner().invoke(main, ["grafana", *arguments], env={**known, **environment}, catch_exceptions=False)

    return call
