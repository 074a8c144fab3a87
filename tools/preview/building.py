"""The web application of the preview, built with Node.js when it is missing or older than its sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).parent
DIST: Final = HOME / "dist"

_NODE_MAJOR = 20
_PACKAGES = HOME / "node_modules"
_INSTALLED = _PACKAGES / ".package-lock.json"
_LOCK = HOME / "package-lock.json"
_SOURCES = (_LOCK, HOME / "build.mjs", HOME / "src")
_BUILT_FROM = DIST / "sources.sha256"

Progress = Callable[[str], None]


class BuildFailed(Exception):  # noqa: N818 - not a programming error
    """The preview cannot be built here; the text gives the reason and a remedy."""


def built(on_progress: Progress) -> Path:
    """The folder of the application, which is built if necessary. Raises BuildFailed."""
    with _alone():
        digest = _digest()
        if _BUILT_FROM.is_file() and _BUILT_FROM.read_text() == digest:
            return DIST
        _install(on_progress)
        _run(["npm", "run", "--silent", "build"], "Building the preview (a few seconds)", on_progress)
        _BUILT_FROM.write_text(digest)
    return DIST


def install(on_progress: Progress) -> None:
    """Download the packages of package-lock.json, unless they are installed. Raises BuildFailed."""
    with _alone():
        _install(on_progress)


@contextmanager
def _alone() -> Iterator[None]:
    """A lock against concurrent builds."""
    with (HOME / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(on_progress: Progress) -> None:
    _check_node()
    if _INSTALLED.is_file() and _INSTALLED.stat().st_mtime >= _LOCK.stat().st_mtime:
        return
    what = "Downloading Grafana's UI library with npm (about a minute and 650 MB, once)"
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], what, on_progress)
    # npm does not set the time of the installation on the file.
    os.utime(_INSTALLED)


def _check_node() -> None:
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            raise BuildFailed(
                f"{command} is not installed. The preview needs Node.js {_NODE_MAJOR} or later with npm: "
                "`apt install nodejs npm`, `brew install node`, or https://nodejs.org/."
            )
    asked = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)  # noqa: S607
    version = asked.stdout.strip()
    major = version.removeprefix("v").split(".")[0]
    if not major.isdigit() or int(major) < _NODE_MAJOR:
        raise BuildFailed(f"Node.js is {version or 'broken'}, and the preview needs {_NODE_MAJOR} or later.")


def _run(command: Sequence[str], what: str, on_progress: Progress) -> None:
    on_progress(f"{what} ...")
    began = time.monotonic()
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise BuildFailed(
            f"`{' '.join(command)}` failed in {HOME}:\n{said}\n"
            "Check that https://registry.npmjs.org/ (or the registry in .npmrc) is reachable and that 1 GB is free on "
            "the disk. If a download was interrupted, delete node_modules there and try again."
        )
    on_progress(f"... done in {time.monotonic() - began:.0f} s.")


def _digest() -> str:
    digest = hashlib.sha256()
    for source in _SOURCES:
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if path.is_file():
                digest.update(f"{path.relative_to(HOME)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
