"""Finds the executable of a component: explicit setting, PATH, cache, or a build or download."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from trust_ops.stack.building import Progress, build, cache_folder, cached, remedies, usable
from trust_ops.stack.errors import BinaryUnavailable
from trust_ops.stack.recipes import Binary

Version = tuple[int, int, int]

# The Redis exporter prints "Redis Metrics Exporter 1.45.0", all others "version".
_VERSION = re.compile(r"(?:version|Exporter) v?(\d+)\.(\d+)\.(\d+)")


def find(binary: Binary, environ: Mapping[str, str], on_progress: Progress) -> Path:
    """The executable to start.

    Raises BinaryUnavailable (or BuildError, a kind of it) with the remedies.
    """
    explicit = environ.get(binary.variable)
    if explicit:
        return _explicit(binary, Path(explicit))
    installed = _installed(binary, environ, on_progress)
    if installed is not None:
        return installed
    cache = cache_folder(environ)
    ready = cached(binary, cache)
    return ready if usable(ready) else build(binary, cache, environ, on_progress)


def compatible(found: Version, pinned: Version) -> bool:
    """Whether the version is not older than the pinned one, with the same major (below 1.0: minor) version."""
    parts = 2 if pinned[0] == 0 else 1
    return found[:parts] == pinned[:parts] and found >= pinned


def _explicit(binary: Binary, path: Path) -> Path:
    # An explicit choice: the version is not checked.
    # A library is loaded, not executed.
    needed = os.R_OK if path.suffix == ".so" else os.X_OK
    if path.is_file() and os.access(path, needed):
        return path.resolve()
    raise BinaryUnavailable(
        f"{binary.variable} is set to {path}, which is not an executable file.\n"
        f"Correct or unset it. Alternatives:\n{remedies(binary)}"
    )


def _installed(binary: Binary, environ: Mapping[str, str], on_progress: Progress) -> Path | None:
    pinned = _parse(f"version {binary.version}")
    for name in binary.on_path:
        where = shutil.which(name, path=environ.get("PATH"))
        if where is None:
            continue
        version = _version_of(where)
        if version is not None and pinned is not None and _acceptable(binary, version, pinned):
            return Path(where)
        version_text = ".".join(map(str, version)) if version else "unknown"
        on_progress(f"{binary.title}: ignoring {where}, version {version_text} instead of {binary.version}")
    return None


def _acceptable(binary: Binary, found: Version, pinned: Version) -> bool:
    return found == pinned if binary.exact else compatible(found, pinned)


def _version_of(executable: str) -> Version | None:
    try:
        answer = subprocess.run(  # noqa: S603 - found on the user's own PATH
            [executable, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _parse(answer.stdout + answer.stderr)


def _parse(text: str) -> Version | None:
    match = _VERSION.search(text)
    if match is None:
        return None
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)
