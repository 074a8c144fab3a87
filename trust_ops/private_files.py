"""Directories and files that other users of the machine can neither read nor change, whatever the umask."""

from __future__ import annotations

import os
import stat
from pathlib import Path

# Windows has no O_NOFOLLOW; there, permissions are inherited from the directory.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class ForeignFolderError(OSError):
    """The directory belongs to another user, who could read and replace its content."""


def private_folder(path: Path, mode: int = 0o700) -> None:
    """Create a directory with at most this mode; missing parents get the same, and a more permissive one is restricted.

    Raises:
        ForeignFolderError: It belongs to another user.
        OSError: It cannot be created.
    """
    if not path.parent.exists():
        private_folder(path.parent, mode)
    path.mkdir(mode=mode, exist_ok=True)
    if os.name != "posix":
        return
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid():
            raise ForeignFolderError(f"{path} belongs to another user (uid {found.st_uid}): use another directory")
        if stat.S_IMODE(found.st_mode) & ~mode:
            os.fchmod(folder, stat.S_IMODE(found.st_mode) & mode)
    finally:
        os.close(folder)


def open_private(path: str | Path, flags: int, mode: int = 0o600) -> int:
    """A file descriptor as from `os.open`; only the owner can access a new file, symbolic links are not followed."""
    return os.open(path, flags | _NO_FOLLOW, mode & 0o600)


def changeable_by_others(path: Path) -> bool:
    """Whether a user other than root and this one could have written the file."""
    if os.name != "posix":
        return False
    found = path.stat()
    return found.st_uid not in (0, os.geteuid()) or bool(found.st_mode & stat.S_IWOTH)


def readable_by_others(path: Path) -> bool:
    """Whether every user can read the file."""
    return os.name == "posix" and bool(path.stat().st_mode & stat.S_IROTH)
