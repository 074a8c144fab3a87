"""Changes of rules that the unit tests do not detect, cached in `verdicts.json`.

Finding them takes minutes, because promtool runs the unit tests for each change. The key of an entry is a hash of its
inputs, so it is computed again after a change. `python -m tests.contract.verdicts` updates the file.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.progress import track

from tests.contract.rule_files import RULES, UNIT_TESTS, identifier, promtool
from tools.checks.mutations import fingerprint, survivors
from tools.checks.rule_dependencies import readers
from tools.checks.rules import Rule

_FILE = Path(__file__).with_name("verdicts.json")
_AT_A_TIME = 2

TESTED = [rule for rule in RULES if rule.is_alert or readers(rule, RULES)]
"""Alerts, and recording rules that an alert reads."""


def unit_tests(alert: Rule) -> Path:
    """The file with the unit tests of an alert."""
    file = UNIT_TESTS / f"{alert.name}.yml"
    assert file.exists(), f"{alert.name} has no unit tests"
    return file


def unnoticed_changes(rule: Rule) -> list[str]:
    """The changes of one of `TESTED` that the unit tests do not detect."""
    kept = _kept().get(_key(rule))
    return _find(rule) if kept is None else kept


def _files(rule: Rule) -> list[Path]:
    alerts = [rule] if rule.is_alert else readers(rule, RULES)
    return sorted({unit_tests(alert) for alert in alerts})


def _key(rule: Rule) -> str:
    return f"{identifier(rule)} {fingerprint(rule, RULES, _files(rule), promtool())[:16]}"


def _find(rule: Rule) -> list[str]:
    return sorted(mutant.change for mutant in survivors(rule, RULES, _files(rule), promtool()))


def _kept() -> dict[str, list[str]]:
    kept: dict[str, list[str]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return kept


def main() -> None:
    """Compute missing entries, and remove outdated ones."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = track(pool.map(unnoticed_changes, TESTED), total=len(TESTED), description="rules")
        verdicts = {_key(rule): changes for rule, changes in zip(TESTED, found, strict=True)}
    _FILE.write_text(json.dumps(dict(sorted(verdicts.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
