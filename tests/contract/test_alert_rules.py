"""The unit tests of the alerts pass with the stack's Prometheus and with the oldest supported version."""

from pathlib import Path

import pytest

from tests.contract.rule_files import RULES, UNIT_TESTS, promtool
from tools.checks.promtool import unit_test_failures
from tools.checks.rule_dependencies import needed_rules, with_only


@pytest.mark.parametrize("version", ["promtool", "promtool_2_42"])
@pytest.mark.parametrize("file", sorted(UNIT_TESTS.glob("*.yml")), ids=lambda file: file.stem)
def test_the_unit_tests_of_an_alert_pass(file: Path, version: str) -> None:
    # Rules that the tests do not read only cost time.
    with with_only(needed_rules(file, RULES), file) as copy:
        assert unit_test_failures(promtool(version), copy) == ""
