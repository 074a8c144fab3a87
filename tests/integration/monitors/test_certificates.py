"""The certificate monitor in a launched service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.monitors.certificates.authority import Authority, pem, write


def test_cryptography_is_loaded_only_with_the_setting(launched: Any, authority: Authority, tmp_path: Path) -> None:
    file = write(tmp_path / "ca.pem", pem(authority.certificate))
    program = """
import sys, threading
print("cryptography" in sys.modules, "trust-otel-certificates" in [thread.name for thread in threading.enumerate()])
"""
    assert launched(program, OTEL_METRICS_EXPORTER="none").stdout == "False False\n"
    result = launched(program, OTEL_METRICS_EXPORTER="none", TRUST_OTEL_CERTIFICATES=str(file))
    assert result.stdout == "True True\n", result.stderr
