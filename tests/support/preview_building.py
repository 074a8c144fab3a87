"""Builds the preview without Node.js and npm."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.preview import building


@pytest.fixture
def never_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no earlier build."""
    monkeypatch.setattr(building, "_BUILT_FROM", tmp_path / "nothing")
    monkeypatch.setattr(building, "_INSTALLED", tmp_path / "nothing")


def programs(folder: Path, **scripts: str) -> str:
    """A directory for PATH with these shell scripts by name."""
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)
