"""Runs programs that mount file systems of their own."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

import pytest

_UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


@cache
def own_mounts() -> tuple[str, ...]:
    """The beginning of a command line: what follows runs with mounts that nobody else sees.

    Skips the test where the system does not permit that.
    """
    mount = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("user namespaces with mounts are not permitted here")
    return _UNSHARE
