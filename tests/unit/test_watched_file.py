"""A watched file tells every change once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trust_otel.watched_file import WatchedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "feed.txt"
    path.write_text("one")
    return path


def test_the_first_look_is_a_change_and_the_next_is_none(path: Path) -> None:
    watched = WatchedFile(path)
    assert [watched.changed(), watched.changed()] == [True, False]


def test_another_length_is_a_change(path: Path) -> None:
    watched = WatchedFile(path)
    watched.changed()
    path.write_text("three")
    assert watched.changed()


def test_the_same_length_at_another_time_is_a_change(path: Path) -> None:
    watched = WatchedFile(path)
    watched.changed()
    os.utime(path, ns=(0, 1))
    assert watched.changed()


def test_a_file_put_in_its_place_is_a_change_even_with_the_same_time_and_length(path: Path) -> None:
    watched = WatchedFile(path)
    watched.changed()
    other = path.with_name("other")
    other.write_text("two")
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert watched.changed()


def test_a_file_that_is_back_has_changed(path: Path) -> None:
    watched = WatchedFile(path)
    watched.changed()
    away = path.rename(path.with_name("away"))
    with pytest.raises(FileNotFoundError):
        watched.changed()
    away.rename(path)
    assert watched.changed()
