"""The service package does not import packages for operators, tests or development."""

from __future__ import annotations

import subprocess
import sys


def test_service_package_does_not_import_the_command_line() -> None:
    program = "import sys, trust_otel; print(sorted({'trust_ops', 'click', 'rich'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
