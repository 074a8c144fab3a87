"""A value read from a file, reloaded when the file changes. If a reload fails, the last valid value stays in use."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

_Value = TypeVar("_Value")


class IncompleteFileError(ValueError):
    """The file is still being written. It is read again at the next call, even if it has not changed."""


class ReloadingFile(Generic[_Value]):
    """Reads a file when it changes and keeps the last valid value.

    A change is a different inode, size or modification time, so a file that was replaced is noticed as well.
    `read_if_changed` must not be called by two threads at once; `value` may be read by any thread at any time.

    Args:
        path: The file. It is not read before the first `read_if_changed`.
        read: Reads the value. A `ValueError` means that the content is invalid; its message names the problem and a
            fix. An invalid file is not read again before it changes.
        initial: The value until the first successful read.

    Attributes:
        value: The value of the last successful read.
    """

    def __init__(self, path: str | Path, read: Callable[[Path], _Value], initial: _Value) -> None:
        self.value = initial
        self._path = Path(path)
        self._read = read
        self._signature: tuple[int, int, int] | None = None
        self._problem: str | None = None
        # True during a read: a child process that was forked during the read has to read the file itself.
        self._pending = True

    def read_if_changed(self, *, force: bool = False) -> bool:
        """Read the file if it has changed since the last read.

        Args:
            force: Read it even if it has not changed.

        Returns:
            Whether there is a new value.

        Raises:
            ValueError: The file cannot be read or is invalid. Raised at each call until a read succeeds.
        """
        try:
            if self._changed() or force or self._pending:
                self._pending = True
                self.value = self._read(self._path)
                self._problem, self._pending = None, False
                return True
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ValueError(f"the file cannot be read ({reason}); check the path and the permissions") from error
        except IncompleteFileError:
            raise
        except ValueError as error:
            self._problem, self._pending = str(error), False
        if self._problem:
            raise ValueError(self._problem)
        return False

    def _changed(self) -> bool:
        before, self._signature = self._signature, None
        status = self._path.stat()
        self._signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        return self._signature != before


@contextmanager
def open_file(path: str | Path, max_bytes: int) -> Iterator[BinaryIO]:
    """Open a regular file of limited size for reading.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is not a regular file, or it is larger than `max_bytes`.
    """
    # Checked before opening: opening a pipe blocks.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("this is not a regular file; set the path of a file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ValueError(f"the file has {size} bytes; at most {max_bytes} are allowed")
        yield file
