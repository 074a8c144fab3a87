"""Certificates in files: named one by one, by a glob or by their folder."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import has_magic
from itertools import islice
from pathlib import Path, PurePath
from typing import Final

from trust_otel.monitors.certificates.content import Content, Item, UnreadableError
from trust_otel.monitors.certificates.formats import Password, parse
from trust_otel.monitors.certificates.names import without_suffix

MOST_BYTES: Final = 10 * 1024 * 1024
_MOST_FILES: Final = 20_000
_MOST_CERTIFICATES: Final = 50_000

# Opening a pipe or a terminal must neither wait nor take hold of it; not every system has these flags.
_FLAGS: Final = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


class PasswordFile:
    """The password of the PKCS#12 files, read when one of them is.

    Args:
        path: What TRUST_OTEL_CERTIFICATE_PASSWORD_FILE says.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path

    def __call__(self) -> bytes | None:
        """The password without the end of its line.

        Raises:
            UnreadableError: The file cannot be read.
        """
        if self._path is None:
            return None
        try:
            return read_file(self._path, most=4096).rstrip(b"\r\n")
        except (OSError, UnreadableError) as error:
            raise UnreadableError(f"TRUST_OTEL_CERTIFICATE_PASSWORD_FILE: {os_reason(error)}") from error


@dataclass(frozen=True)
class _File:
    """A file that is to be read.

    Attributes:
        path: Where it is.
        name: What its certificates are called.
        asked_for: Whether it must hold a certificate, rather than lie beside some.
    """

    path: str
    name: str
    asked_for: bool


@dataclass(frozen=True)
class _Read:
    """What a file held, and by what a change is known: device, inode, size and time; `None` when it is not readable."""

    signature: tuple[int, int, int, int] | None
    content: Content


class FileSource:
    """A file, a glob (`*`, `?`, `[...]`, `**`) or a folder, without its subfolders.

    What a glob finds is asked for, as a file that is named. In a folder, files that hold no certificate, such as keys,
    are left out in silence. Names that begin with a dot are left out by both, and so are further links to a file; a
    `**` does not follow links to folders. A file is read again when its inode, its size or its time of change differs.

    Args:
        location: The path or glob.
        name: Name of its certificates; of several files, the begin of their names.
        password: For PKCS#12.
    """

    def __init__(self, location: str, name: str | None, password: Password) -> None:
        self._location = location
        self._name = name
        self._password = password
        self._known: dict[str, _Read] = {}

    def read(self) -> list[Item]:
        """Everything that is there now."""
        items: list[Item] = []
        known: dict[str, _Read] = {}
        seen: set[tuple[int, int]] = set()
        certificates = 0
        for file in self._files():
            read = self._read_file(file)
            if read.signature and read.content.problem is None:
                known[file.path] = read
            if self._gone(file, read) or (read.signature and read.signature[:2] in seen):
                continue
            if read.signature:
                seen.add(read.signature[:2])
            items.append(Item(file.path, file.name, read.content))
            certificates += len(read.content.certificates)
            if certificates > _MOST_CERTIFICATES:
                raise UnreadableError(f"holds more than {_MOST_CERTIFICATES} certificates")
        self._known = known
        return items

    def _gone(self, file: _File, read: _Read) -> bool:
        """Whether it was removed after it had been listed."""
        return read.signature is None and file.path != self._location and not os.path.lexists(file.path)

    def _files(self) -> list[_File]:
        literal = os.path.lexists(self._location)
        if has_magic(self._location) and not literal:
            return self._named(*_globbed(self._location), asked_for=True)
        if os.path.isdir(self._location):
            return self._named(self._location, _listed(self._location), asked_for=False)
        return [_File(self._location, self._name or without_suffix(PurePath(self._location).name), asked_for=True)]

    def _named(self, root: str, paths: Iterable[str], *, asked_for: bool) -> list[_File]:
        found = list(islice(paths, _MOST_FILES + 1))
        if len(found) > _MOST_FILES:
            raise UnreadableError(f"holds more than {_MOST_FILES} files; name a folder or a glob with fewer")
        relative = {path: os.path.relpath(path, root) for path in sorted(found, key=_own_names_first)}
        return [
            _File(path, f"{self._name}/{name}" if self._name else name, asked_for)
            for path, name in zip(relative, _short(relative.values()), strict=True)
        ]

    def _read_file(self, file: _File) -> _Read:
        try:
            status = os.stat(file.path)
            signature = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            known = self._known.get(file.path)
            if known is not None and known.signature == signature:
                return known
            if not (file.asked_for or stat.S_ISREG(status.st_mode)):
                return _Read(signature, Content())
            content = parse(read_file(file.path), self._password)
        except (OSError, ValueError, UnreadableError) as error:
            return _Read(None, Content(problem=os_reason(error) if _expected(file) else None))
        if file.asked_for and content.empty and content.problem is None:
            content = Content(problem="holds no certificate")
        return _Read(signature, content)


def read_file(path: str, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: It cannot be read.
        UnreadableError: It is no regular file, or a larger one.
    """
    # Asked first: some devices do something when they are opened. Asked again: it may have been replaced since.
    _refuse_special(os.stat(path))
    with open(os.open(path, _FLAGS), "rb") as file:
        _refuse_special(os.fstat(file.fileno()))
        data = file.read(most + 1)
    if len(data) > most:
        raise UnreadableError(f"is larger than {most} bytes")
    return data


def os_reason(error: Exception) -> str:
    """Why a file cannot be read, without its path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _refuse_special(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("is no regular file")


def _expected(file: _File) -> bool:
    """Whether it is a problem that it cannot be read; a key is rightly hidden from us, and others are not ours."""
    name = PurePath(file.path).name
    return file.asked_for or (without_suffix(name) != name and "key" not in name.lower())


def _listed(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and not _is_folder(entry):
                    yield entry.path
    except OSError as error:
        raise UnreadableError(os_reason(error)) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _globbed(pattern: str) -> tuple[str, Iterator[str]]:
    """The folder where a glob begins, and the files that it finds."""
    parts = PurePath(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if has_magic(part))
    root = Path(*parts[:fixed])
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UnreadableError(f"{root}: {os_reason(error)}") from error
    # `**` alone finds folders only.
    wanted = (*parts[fixed:], "*") if parts[-1] == "**" else parts[fixed:]
    return str(root), _matching(root, wanted)


def _matching(root: Path, parts: tuple[str, ...]) -> Iterator[str]:
    hidden_wanted = any(part.startswith(".") for part in parts)
    try:
        # Not the module `glob`, whose `**` follows links, also in circles.
        for path in root.glob(os.path.join(*parts)):
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if (hidden_wanted or not hidden) and not path.is_dir():
                yield str(path)
    except (OSError, RuntimeError, ValueError, NotImplementedError) as error:
        raise UnreadableError(os_reason(error)) from error


def _own_names_first(path: str) -> tuple[bool, str]:
    return os.path.islink(path), path


def _short(paths: Iterable[str]) -> list[str]:
    """The paths without their suffixes, except where those tell two files apart."""
    whole = list(paths)
    short = [without_suffix(path) for path in whole]
    occurrences = Counter(short)
    return [name if occurrences[name] == 1 else path for name, path in zip(short, whole, strict=True)]
