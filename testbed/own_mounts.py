"""Runs programs with file systems that nobody else sees."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import Final

UNSHARE: Final = ("unshare", "--user", "--map-root-user", "--mount")
"""The beginning of a command line: what follows runs with mounts of its own."""


@cache
def permitted() -> bool:
    """Whether this system permits it."""
    mount = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and not subprocess.run(mount, capture_output=True).returncode  # noqa: S603
