"""Which rules depend on each other, and which of them a file of unit tests (promtool) needs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tools.checks.alert_test_coverage import read_test_groups
from tools.checks.promql import Expression, Selector, parse, walk
from tools.checks.promtool import write_rules
from tools.checks.rules import Rule
from tools.checks.templates import Template


def groups_in_any_order(test_file: Path, rules: Sequence[Rule]) -> set[str]:
    """The rule groups with an undefined evaluation order: those not in `group_eval_order`."""
    groups = {rule.group for rule in needed_rules(test_file, rules)}
    given = yaml.safe_load(test_file.read_text(encoding="utf-8")).get("group_eval_order", ())
    return groups - set(given) if len(groups) > 1 else set()


def readers(record: Rule, rules: Sequence[Rule]) -> list[Rule]:
    """The alerts that read a recording rule, directly or through others."""
    return [alert for alert in rules if alert.is_alert and record.name in _read(_queries(alert), rules)]


def needed_rules(test_file: Path, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that the test file tests, and the recording rules that they read."""
    groups = read_test_groups(test_file)
    names = {each.alert for group in groups for each in group.expectations}
    queries = [parse(query) for group in groups for query in group.queries]

    def read_by(alerts: set[str]) -> set[str]:
        expressions = [query for rule in rules if rule.is_alert and rule.name in alerts for query in _queries(rule)]
        return _read([*expressions, *queries], rules)

    read = read_by(names)
    if "ALERTS" in read:
        names = {rule.name for rule in rules if rule.is_alert}
        read = read_by(names)
    return [rule for rule in rules if rule.name in (names if rule.is_alert else read)]


def _queries(alert: Rule) -> list[Expression]:
    """The expression of an alert, and those in its templates."""
    texts = (query for template in alert.annotations.values() for query in Template(template).queries)
    return [alert.expression(), *map(parse, texts)]


def _read(expressions: Iterable[Expression], rules: Sequence[Rule]) -> set[str]:
    """The names that the expressions read, also through recording rules."""
    found: set[str] = set()
    waiting = list(expressions)
    while waiting:
        new = {part.name for part in walk(waiting.pop()) if isinstance(part, Selector)} - found
        found |= new
        waiting += [rule.expression() for rule in rules if not rule.is_alert and rule.name in new]
    return found


@contextmanager
def with_only(rules: Sequence[Rule], test_file: Path) -> Iterator[Path]:
    """A copy of the test file in a folder where its `rule_files` contain these rules."""
    with tempfile.TemporaryDirectory(prefix="trust-otel-rules-") as name:
        # Two levels, because test files refer to `../rules.yml`.
        folder = Path(name, "rules", "tests")
        folder.mkdir(parents=True)
        copy = Path(shutil.copy(test_file, folder))
        for rule_file in yaml.safe_load(test_file.read_text(encoding="utf-8"))["rule_files"]:
            path = (folder / rule_file).resolve()
            path.parent.mkdir(exist_ok=True)
            write_rules([rule for rule in rules if rule.file == path.name], path)
        yield copy
