"""Private folders and files, independent of the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from trust_ops.private_files import (
    ForeignFolderError,
    changeable_by_others,
    open_private,
    private_folder,
    readable_by_others,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], autouse=True)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_created_folder_and_parents_are_private(tmp_path: Path) -> None:
    private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


def test_existing_folder_is_restricted_and_its_parent_is_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    for each in (folder.parent, folder):
        each.chmod(0o777)
    private_folder(folder)
    assert (mode(folder.parent), mode(folder)) == (0o777, 0o700)
    folder.chmod(0o500)
    private_folder(folder)
    assert mode(folder) == 0o500


def test_folder_with_mode_755_is_not_writable_by_others(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o777)
    private_folder(tmp_path / "a", 0o755)
    assert mode(tmp_path / "a") == 0o755


def test_folder_of_another_user_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ForeignFolderError, match="belongs to another user"):
        private_folder(tmp_path)


def test_file_is_private_and_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w", opener=open_private) as file:
        file.write("x")
    assert mode(tmp_path / "file") & 0o077 == 0
    target = tmp_path / "target"
    target.write_text("original")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        open_private(tmp_path / "link", os.O_WRONLY | os.O_TRUNC)
    assert target.read_text() == "original"


def test_readable_and_changeable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    seen = []
    for permissions in (0o600, 0o644, 0o646):
        file.chmod(permissions)
        seen.append((readable_by_others(file), changeable_by_others(file)))
    assert seen == [(False, False), (True, False), (True, True)]
    if os.getuid() != 0:
        file.chmod(0o600)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert changeable_by_others(file)
