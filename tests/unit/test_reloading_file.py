"""ReloadingFile: detection of changes, and the value after a failed read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trust_otel.reloading_file import IncompleteFileError, ReloadingFile, open_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "value.txt"
    path.write_text("one")
    return path


class Reader:
    """Reads a text, counts the reads and rejects the text `bad`."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, path: Path) -> str:
        self.reads += 1
        text = path.read_text()
        if text == "bad":
            raise ValueError("the text is bad; write a good one")
        return text


@pytest.fixture
def read() -> Reader:
    return Reader()


@pytest.fixture
def file(path: Path, read: Reader) -> ReloadingFile[str]:
    return ReloadingFile(path, read, "initial")


class TestChanges:
    def test_value_is_initial_until_the_first_read(self, file: ReloadingFile[str], read: Reader) -> None:
        assert (file.value, read.reads) == ("initial", 0)
        assert file.read_if_changed()
        assert (file.value, read.reads) == ("one", 1)

    def test_unchanged_file_is_not_read_again(self, file: ReloadingFile[str], read: Reader) -> None:
        assert [file.read_if_changed(), file.read_if_changed()] == [True, False]
        assert read.reads == 1

    def test_force_reads_an_unchanged_file(self, file: ReloadingFile[str], read: Reader) -> None:
        file.read_if_changed()
        assert file.read_if_changed(force=True)
        assert read.reads == 2

    def test_file_with_different_size_is_read(self, file: ReloadingFile[str], path: Path) -> None:
        file.read_if_changed()
        path.write_text("three")
        assert file.read_if_changed()
        assert file.value == "three"

    def test_file_with_same_size_and_different_modification_time_is_read(
        self, file: ReloadingFile[str], path: Path
    ) -> None:
        file.read_if_changed()
        os.utime(path, ns=(0, 1))
        assert file.read_if_changed()

    def test_replaced_file_with_same_size_and_modification_time_is_read(
        self, file: ReloadingFile[str], path: Path
    ) -> None:
        file.read_if_changed()
        other = path.with_name("other")
        other.write_text("two")
        status = path.stat()
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(path)
        assert file.read_if_changed()
        assert file.value == "two"

    def test_kubernetes_volume_update_by_symbolic_link_is_read(self, tmp_path: Path, read: Reader) -> None:
        for version in ("one", "two"):
            (tmp_path / version).mkdir()
            (tmp_path / version / "value.txt").write_text(version)
        (tmp_path / "data").symlink_to("one")
        file = ReloadingFile(tmp_path / "data" / "value.txt", read, "")
        file.read_if_changed()
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").replace(tmp_path / "data")
        assert file.read_if_changed()
        assert file.value == "two"


class TestFailures:
    def test_invalid_content_keeps_the_last_value_and_is_read_once(
        self, file: ReloadingFile[str], path: Path, read: Reader
    ) -> None:
        file.read_if_changed()
        path.write_text("bad")
        for _ in range(3):
            with pytest.raises(ValueError, match="the text is bad; write a good one"):
                file.read_if_changed()
        assert (file.value, read.reads) == ("one", 2)
        path.write_text("good")
        assert file.read_if_changed()
        assert file.value == "good"

    def test_invalid_content_at_the_first_read_keeps_the_initial_value(
        self, file: ReloadingFile[str], path: Path
    ) -> None:
        path.write_text("bad")
        with pytest.raises(ValueError, match="the text is bad"):
            file.read_if_changed()
        assert file.value == "initial"

    def test_missing_file_keeps_the_last_value_and_is_read_when_restored(
        self, file: ReloadingFile[str], path: Path
    ) -> None:
        file.read_if_changed()
        moved = path.rename(path.with_name("moved"))
        for _ in range(2):
            with pytest.raises(ValueError, match=r"cannot be read \(No such file or directory\); check the path"):
                file.read_if_changed()
        assert file.value == "one"
        moved.rename(path)
        assert file.read_if_changed()

    def test_read_without_permission_is_retried_for_an_unchanged_file(self, path: Path) -> None:
        denied = True

        def read(path: Path) -> str:
            if denied:
                raise PermissionError(13, "Permission denied")
            return path.read_text()

        file = ReloadingFile(path, read, "initial")
        with pytest.raises(ValueError, match=r"\(Permission denied\)"):
            file.read_if_changed()
        denied = False
        assert file.read_if_changed()

    def test_incomplete_file_is_retried_if_unchanged(self, path: Path) -> None:
        complete = False

        def read(path: Path) -> str:
            if not complete:
                raise IncompleteFileError("the last line has no end")
            return path.read_text()

        file = ReloadingFile(path, read, "initial")
        for _ in range(2):
            with pytest.raises(IncompleteFileError, match="the last line has no end"):
                file.read_if_changed()
        complete = True
        assert file.read_if_changed()
        assert file.value == "one"

    def test_interrupted_read_is_retried(self, path: Path) -> None:
        """For example in a child process forked while another thread was reading."""
        interrupted = True

        def read(path: Path) -> str:
            if interrupted:
                raise KeyboardInterrupt
            return path.read_text()

        file = ReloadingFile(path, read, "initial")
        with pytest.raises(KeyboardInterrupt):
            file.read_if_changed()
        interrupted = False
        assert file.read_if_changed()


class TestOpenFile:
    def test_file_over_the_size_limit_is_rejected(self, path: Path) -> None:
        with open_file(path, 3) as file:
            assert file.read() == b"one"
        with pytest.raises(ValueError, match="has 3 bytes; at most 2 are allowed"), open_file(path, 2):
            pass

    def test_only_regular_files_are_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
            with pytest.raises(ValueError, match="not a regular file"), open_file(path, 3):
                pass
