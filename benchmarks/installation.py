"""Installs programs in environments of their own, from a lock file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


class NotAvailableError(Exception):
    """Something cannot be installed or started here."""


@cache
def installed(project: Path, group: str, environments: Path) -> Path:
    """The folder of executables of an environment; installs it first.

    Args:
        project: Folder with a pyproject.toml and its uv.lock.
        group: Dependency group that is installed.
        environments: Folder in which each group has an environment.

    Raises:
        NotAvailableError: It cannot be installed.
    """
    uv = shutil.which("uv", path=f"{ROOT / '.venv-uv/bin'}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise NotAvailableError("uv is not installed; `make .venv/ready` installs it")
    folder = environments / group
    if not folder.exists():
        sys.stderr.write(f"Installing the environment {group} ...\n")
    done = subprocess.run(  # noqa: S603 - our own command
        [
            *(uv, "sync", "--quiet", "--frozen", "--project", str(project), "--python", sys.executable),
            *("--compile-bytecode", "--only-group", group),
        ],
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise NotAvailableError(done.stderr.strip().rpartition("\n")[2] or "cannot be installed")
    return folder / "bin"
