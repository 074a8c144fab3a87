"""Errors of Node.js and npm when the preview is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.preview_building import never_built, programs  # noqa: F401 - a fixture
from tools.preview import BuildFailed, building

pytestmark = pytest.mark.usefixtures("never_built")


def test_an_old_node_is_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path, node="echo v18.20.4", npm="exit 0"))
    with pytest.raises(BuildFailed, match=r"v18\.20\.4.*needs 20"):
        building.built(print)


def test_npm_error_is_shown_with_a_suggested_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = "echo 'npm error code ENOTFOUND' >&2; exit 1"
    monkeypatch.setenv("PATH", programs(tmp_path, node="echo v20.1.0", npm=npm))
    progress: list[str] = []
    with pytest.raises(BuildFailed, match=r"(?s)npm ci.*ENOTFOUND.*registry"):
        building.built(progress.append)
    assert "Downloading" in progress[0]
