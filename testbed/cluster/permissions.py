"""What a node needs of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_PROGRAMS: Final = ("unshare", "nsenter", "ip", "sysctl", "tar", "apt-get", "dpkg-deb", "go")


def missing() -> str | None:
    """What is missing, for a message; None if nothing is."""
    if os.geteuid():
        return "it needs root"
    lacking = [program for program in _PROGRAMS if shutil.which(program) is None]
    if lacking:
        return f"{', '.join(lacking)} not found"
    if "bookworm" not in Path("/etc/os-release").read_text():
        return "it takes programs from the packages of Debian 12"
    probe = ["unshare", "--mount", "--net", "--pid", "--fork", "ip", "link", "add", "probe", "type", "bridge"]
    done = subprocess.run(probe, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        return f"namespaces with a network bridge are not permitted ({done.stderr.strip()})"
    if not os.access("/sys/fs/cgroup/memory", os.W_OK):
        return "there is no writable cgroup v1 hierarchy"
    return None
