"""The unit tests of the alerts pass with the stack's Prometheus and with the oldest supported version."""

import subprocess
from pathlib import Path

import pytest

from tests.contract.rule_files import UNIT_TESTS, promtool


@pytest.mark.parametrize("version", ["promtool", "promtool_2_42"])
@pytest.mark.parametrize("file", sorted(UNIT_TESTS.glob("*.yml")), ids=lambda file: file.stem)
def test_the_unit_tests_of_an_alert_pass(file: Path, version: str) -> None:
    command = [str(promtool(version)), "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
