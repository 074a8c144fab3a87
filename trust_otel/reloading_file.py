"""What was last read well from a file that somebody may replace, or break, while the service runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from trust_otel.watched_file import WatchedFile

_Value = TypeVar("_Value")


class LastGood(Generic[_Value]):
    """Reads a file when it has changed; what cannot be read leaves the last good value in place.

    Only one thread may read; any may look at `value`.

    Args:
        path: The file.
        read: Makes the value of the open file; a `ValueError` says what is wrong with it and what helps.
        before: The value until it is read for the first time.

    Attributes:
        value: What was last read well.
    """

    def __init__(self, path: str, read: Callable[[BinaryIO], _Value], before: _Value) -> None:
        self.value = before
        self.path = path
        self._file = WatchedFile(path)
        self._read = read
        self._problem: str | None = None
        # Set while it is read: a child that was forked in the middle has to read anew.
        self._unread = True

    def read_if_changed(self, *, anyway: bool = False) -> bool:
        """Read the file if it has changed since it was last read.

        Args:
            anyway: Read it also when it has not.

        Returns:
            Whether there is a new value.

        Raises:
            ValueError: The file cannot be used; said again at each call until it can.
        """
        try:
            if self._file.changed() or anyway or self._unread:
                self._unread = True
                self.value = self._opened()
                self._problem, self._unread = None, False
                return True
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ValueError(
                f"the file cannot be read ({reason}); check the path, and that the service may read it"
            ) from error
        except IncompleteError:
            raise
        except ValueError as error:
            self._problem, self._unread = str(error), False
        if self._problem:
            raise ValueError(self._problem)
        return False

    def _opened(self) -> _Value:
        # A pipe would be waited for without end.
        if not stat.S_ISREG(Path(self.path).stat().st_mode):
            raise ValueError("this is no file; name one")
        with open(self.path, "rb") as file:
            return self._read(file)


class IncompleteError(ValueError):
    """The file is still being written: it has to be read again, even if it does not change."""


def size(file: BinaryIO, most: int) -> int:
    """Bytes of an open file.

    Raises:
        ValueError: They are more than allowed.
    """
    length = os.fstat(file.fileno()).st_size
    if length > most:
        raise ValueError(f"the file has {length} bytes, more than the {most} that are read")
    return length
