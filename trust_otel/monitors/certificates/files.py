"""Certificates in files: single files, globs and folders."""

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

MAX_BYTES: Final = 10 * 1024 * 1024
_MAX_FILES: Final = 20_000
_MAX_CERTIFICATES: Final = 50_000

# Opening a pipe or terminal must not block or make it the controlling terminal. Not every system has these flags.
_FLAGS: Final = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


class PasswordFile:
    """The password of PKCS#12 files. The file is read whenever a PKCS#12 file is parsed.

    Args:
        path: Value of TRUST_OTEL_CERTIFICATE_PASSWORD_FILE.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path

    def __call__(self) -> bytes | None:
        """The password without the line end.

        Raises:
            UnreadableError: The file cannot be read.
        """
        if self._path is None:
            return None
        try:
            return read_file(self._path, max_bytes=4096).rstrip(b"\r\n")
        except (OSError, UnreadableError) as error:
            raise UnreadableError(f"TRUST_OTEL_CERTIFICATE_PASSWORD_FILE: {os_reason(error)}") from error


@dataclass(frozen=True)
class _File:
    """A file to read.

    Attributes:
        path: Its path.
        name: Name of its certificates.
        required: Whether it must contain a certificate.
    """

    path: str
    name: str
    required: bool


@dataclass(frozen=True)
class _Cached:
    """The content of a file, and its device, inode, size and modification time; `None` if it could not be read."""

    signature: tuple[int, int, int, int] | None
    content: Content


class FileSource:
    """A file, a glob (`*`, `?`, `[...]`, `**`) or a folder, without subfolders.

    A single file and the matches of a glob must contain a certificate. In a folder, keys and other files are ignored,
    unless they have the suffix of a certificate and unknown content. Folders and globs skip names that start with a
    dot, and further links to a file; `**` does not follow links to folders. A file is read again if its inode, size or
    modification time has changed.

    Args:
        location: The path or glob.
        name: Name of the certificates, or the prefix of the names if there are several files.
        password: Returns the password of PKCS#12 files.
    """

    def __init__(self, location: str, name: str | None, password: Password) -> None:
        self._location = location
        self._name = name
        self._password = password
        self._cache: dict[str, _Cached] = {}

    def read(self) -> list[Item]:
        """The current files."""
        items: list[Item] = []
        cache: dict[str, _Cached] = {}
        seen: set[tuple[int, int]] = set()
        certificates = 0
        for file in self._files():
            read = self._read_file(file)
            if read.signature and read.content.problem is None:
                cache[file.path] = read
            if self._vanished(file, read) or (read.signature and read.signature[:2] in seen):
                continue
            if read.signature:
                seen.add(read.signature[:2])
            items.append(Item(file.path, file.name, read.content))
            certificates += len(read.content.certificates)
            if certificates > _MAX_CERTIFICATES:
                raise UnreadableError(f"contains more than {_MAX_CERTIFICATES} certificates")
        self._cache = cache
        return items

    def _vanished(self, file: _File, read: _Cached) -> bool:
        """Whether the file was removed after the folder was listed."""
        return read.signature is None and file.path != self._location and not os.path.lexists(file.path)

    def _files(self) -> list[_File]:
        literal = os.path.lexists(self._location)
        if has_magic(self._location) and not literal:
            return self._named(*_globbed(self._location), required=True)
        if os.path.isdir(self._location):
            return self._named(self._location, _listed(self._location), required=False)
        return [_File(self._location, self._name or without_suffix(PurePath(self._location).name), required=True)]

    def _named(self, root: str, paths: Iterable[str], *, required: bool) -> list[_File]:
        found = list(islice(paths, _MAX_FILES + 1))
        if len(found) > _MAX_FILES:
            raise UnreadableError(f"contains more than {_MAX_FILES} files; use a folder or glob with fewer")
        relative = {path: os.path.relpath(path, root) for path in sorted(found, key=_links_last)}
        return [
            _File(path, f"{self._name}/{name}" if self._name else name, required)
            for path, name in zip(relative, _without_suffixes(relative.values()), strict=True)
        ]

    def _read_file(self, file: _File) -> _Cached:
        try:
            status = os.stat(file.path)
            signature = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            cached = self._cache.get(file.path)
            if cached is not None and cached.signature == signature:
                return cached
            if not (file.required or stat.S_ISREG(status.st_mode)):
                return _Cached(signature, Content(other="not a regular file"))
            content = parse(read_file(file.path), self._password)
        except (OSError, ValueError, UnreadableError) as error:
            reason = os_reason(error)
            return _Cached(None, Content(problem=reason) if _expected(file) else Content(other=reason))
        if content.empty and content.problem is None:
            content = _without_certificate(file, content.other)
        return _Cached(signature, content)


def read_file(path: str, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: The file cannot be read.
        UnreadableError: It is not a regular file, or it is too large.
    """
    # Checked before opening, because opening a device can have side effects, and again in case the file was replaced.
    _refuse_special(os.stat(path))
    with open(os.open(path, _FLAGS), "rb") as file:
        _refuse_special(os.fstat(file.fileno()))
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise UnreadableError(f"is larger than {max_bytes} bytes")
    return data


def os_reason(error: Exception) -> str:
    """Why a file cannot be read, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _refuse_special(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("is not a regular file")


def _without_certificate(file: _File, other: str | None) -> Content:
    if file.required and other is not None:
        return Content(problem=f"contains no certificate, but {other}")
    if other is None and _expected(file):
        return Content(problem="contains no certificate")
    return Content(other=other or "no certificate")


def _expected(file: _File) -> bool:
    """Whether unreadable or unknown content is a problem. Keys may be unreadable, and other files are ignored."""
    name = PurePath(file.path).name
    return file.required or (without_suffix(name) != name and "key" not in name.lower())


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
    except OSError:  # a symbolic link loop
        return False


def _globbed(pattern: str) -> tuple[str, Iterator[str]]:
    """The fixed folder at the start of a glob, and the matching files."""
    parts = PurePath(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if has_magic(part))
    root = Path(*parts[:fixed])
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UnreadableError(f"{root}: {os_reason(error)}") from error
    # `**` alone matches only folders.
    pattern_parts = (*parts[fixed:], "*") if parts[-1] == "**" else parts[fixed:]
    return str(root), _matching(root, pattern_parts)


def _matching(root: Path, parts: tuple[str, ...]) -> Iterator[str]:
    hidden_wanted = any(part.startswith(".") for part in parts)
    try:
        # Not `glob.glob`, whose `**` follows symbolic links, even in loops.
        for path in root.glob(os.path.join(*parts)):
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if (hidden_wanted or not hidden) and not path.is_dir():
                yield str(path)
    except (OSError, RuntimeError, ValueError, NotImplementedError) as error:
        raise UnreadableError(os_reason(error)) from error


def _links_last(path: str) -> tuple[bool, str]:
    return os.path.islink(path), path


def _without_suffixes(paths: Iterable[str]) -> list[str]:
    """The paths without suffixes, except where two files differ only in the suffix."""
    whole = list(paths)
    short = [without_suffix(path) for path in whole]
    occurrences = Counter(short)
    return [name if occurrences[name] == 1 else path for name, path in zip(short, whole, strict=True)]
