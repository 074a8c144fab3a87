"""Building the preview, and the errors when it cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.preview import BuildFailed, building


@pytest.fixture(autouse=True)
def _never_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(building, "_BUILT_FROM", tmp_path / "nothing")
    monkeypatch.setattr(building, "_INSTALLED", tmp_path / "nothing")


def _programs(folder: Path, **scripts: str) -> str:
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(("programs", "missing"), [({}, "node"), ({"node": "echo v20.1.0"}, "npm")])
def test_missing_node_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: dict[str, str], missing: str
) -> None:
    monkeypatch.setenv("PATH", _programs(tmp_path, **programs))
    with pytest.raises(BuildFailed, match=rf"{missing} is not installed.*Node\.js 20"):
        building.built(print)


def test_an_up_to_date_build_is_reused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "nothing").write_text(building._digest())
    assert building.built(print) == building.DIST
