"""Lookups are imported only where they are used."""

from __future__ import annotations

import subprocess
import sys


def test_core_does_not_import_the_lookups() -> None:
    program = (
        "import sys, trust_otel; trust_otel.get_metrics(); "
        "sys.exit(bool({'maxminddb', 'trust_otel.security.geo', 'trust_otel.security.reputation'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
