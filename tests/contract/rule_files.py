"""The rule files of the project, read once."""

import functools
import os
from pathlib import Path

from tools.checks.rules import Rule, read_rules, with_rules
from tools.checks.vocabulary import Vocabulary, declared
from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries

FOLDER = Path(__file__).parents[2] / "monitoring" / "prometheus"
FILES = tuple(FOLDER / f"trust-service-{name}.yml" for name in ("recording", "slo", "alerts"))
"""The published files."""
UNIT_TESTS = FOLDER / "tests"

_RECORDING, _SLO, _ALERTS = FILES
# Objectives that page, which the published ones do not.
RULES = read_rules((_RECORDING, UNIT_TESTS / "slo" / _SLO.name, _ALERTS))
ALERTS = tuple(rule for rule in RULES if rule.is_alert)


@functools.cache
def vocabulary() -> Vocabulary:
    return with_rules(declared(), RULES)


def promtool(name: str = "promtool") -> Path:
    return find(binaries()[name], os.environ, print)


def identifier(rule: Rule) -> str:
    """A stable name of a rule for test parameters."""
    which = rule.labels.get("severity") or rule.labels.get("escalation_level") or rule.labels.get("slo")
    return rule.name if which is None or "{{" in which else f"{rule.name}-{which}"
