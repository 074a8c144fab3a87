"""Writes `trust_otel/constraints.txt`: the versions of OpenTelemetry's packages that are tested together.

Run by `make generate`. They are those of the older supported line, for which every instrumentation exists.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
FILE: Final = _ROOT / "trust_otel" / "constraints.txt"

_HEADER: Final = """\
# Versions of OpenTelemetry's packages that are tested together, for `pip install -c` and PIP_CONSTRAINT.
# Written by `make generate` from uv.lock.
"""
_LINE: Final = "sdk-1-45-1"


def uv() -> str:
    """The path of `uv`."""
    found = shutil.which("uv", path=f"{_ROOT / '.venv-uv/bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise FileNotFoundError("uv is missing: run `make .venv-uv/bin/uv`")
    return found


def content() -> str:
    """The content of the file according to `uv.lock`."""
    plain = ("--no-hashes", "--no-header", "--no-annotate", "--no-emit-workspace")
    command = [uv(), "export", "-q", "--frozen", *plain, "--no-default-groups", "--group", _LINE, "--all-extras"]
    exported = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return _HEADER + "".join(line for line in exported.splitlines(keepends=True) if line.startswith("opentelemetry-"))


if __name__ == "__main__":
    FILE.write_text(content(), encoding="utf-8")
