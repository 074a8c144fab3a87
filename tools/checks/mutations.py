"""Mutation tests of rules: changes that the unit tests must detect."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from tools.checks.alert_test_coverage import read_test_groups
from tools.checks.alerts import SEVERITIES
from tools.checks.promql import (
    COMPARISONS,
    SET_OPERATORS,
    Binary,
    Call,
    Expression,
    Number,
    Range,
    Selector,
    Subquery,
    constant,
    text,
    variants,
    walk,
)
from tools.checks.promtool import passes, version
from tools.checks.rule_dependencies import needed_rules, with_only
from tools.checks.rules import Rule

_INVERTED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}
_PROCESSES = 2
# The modules that create and test mutants.
_CODE = ("alert_test_coverage.py", "mutations.py", "promql.py", "promtool.py", "rule_dependencies.py", "rules.py")


class FailingTestsError(RuntimeError):
    """The unit tests fail on the unchanged rules."""


@dataclass(frozen=True)
class Mutant:
    """A rule with one change, described by `change`."""

    rule: Rule
    change: str


def mutants(rule: Rule) -> list[Mutant]:
    """The mutants of a rule: thresholds and ranges doubled or halved, comparisons inverted, operands dropped, …"""
    expression = rule.expression()
    guards = {part.right for part in walk(expression) if isinstance(part, Binary) and part.operator == "/"}
    found = [
        Mutant(replace(rule, source=text(variant.whole)), f"{text(variant.part)}  ->  {text(variant.changed)}")
        for variant in variants(expression, lambda part: _changes(part, part in guards))
        # Dashboards need `or … * 0`; no alert depends on it.
        if rule.is_alert or not (variant.part == expression and _defaults_to_zero(variant.part, variant.changed))
    ]
    if rule.wait:
        found.append(Mutant(replace(rule, wait=0), "without for"))
        found.append(Mutant(replace(rule, wait=2 * rule.wait), "for doubled"))
    if rule.keep_firing:
        found.append(Mutant(replace(rule, keep_firing=0), "without keep_firing_for"))
    for name in ("severity", "escalation_level"):
        if name in rule.labels:
            other = next(severity for severity in SEVERITIES if severity != rule.labels[name])
            found.append(Mutant(replace(rule, labels={**rule.labels, name: other}), f"{name}: {other}"))
    return found


def _defaults_to_zero(part: Expression, changed: Expression) -> bool:
    """Whether `a or b * 0` became `a`."""
    if not isinstance(part, Binary) or part.operator != "or" or changed != part.left:
        return False
    return isinstance(part.right, Binary) and part.right.operator == "*" and constant(part.right.right) == 0


def _changes(part: Expression, guards_division: bool) -> Iterator[Expression]:
    match part:
        case Binary(operator=operator) if operator in COMPARISONS:
            yield replace(part, operator=_INVERTED[operator])
            # The 0 in `a / (b > 0)` is not a threshold.
            if not guards_division:
                yield from (replace(part, left=side) for side in _scaled(part.left))
                yield from (replace(part, right=side) for side in _scaled(part.right))
        case Binary(operator=operator) if operator in SET_OPERATORS:
            yield from (part.left, part.right) if operator == "or" else (part.left,)
        case Call(function="histogram_quantile"):
            yield from (replace(part, arguments=(share, part.arguments[1])) for share in _scaled(part.arguments[0]))
        case Range() | Subquery():
            yield from (replace(part, seconds=part.seconds * factor) for factor in (2, 0.5))
        case Selector():
            for position in range(len(part.matchers)):
                yield replace(part, matchers=part.matchers[:position] + part.matchers[position + 1 :])
            if part.offset:
                yield replace(part, offset=2 * part.offset)


def _scaled(side: Expression) -> Iterator[Expression]:
    """One side of a comparison with each of its numbers doubled and halved; 0 becomes 1."""
    value = constant(side)
    if value is not None:
        yield from (Number(changed) for changed in ((1.0,) if value == 0 else (value * 2, value / 2)))
    elif isinstance(side, Binary) and side.operator in ("+", "-", "*", "/") and constant(side.right) != 0:
        yield from (replace(side, left=changed) for changed in _scaled(side.left))
        yield from (replace(side, right=changed) for changed in _scaled(side.right))


def survivors(rule: Rule, rules: Sequence[Rule], test_files: Sequence[Path], promtool: Path) -> list[Mutant]:
    """The mutants of a rule that no unit test detects.

    Args:
        rule: One of the rules.
        rules: All rules.
        test_files: Unit tests of the alert, or of the alerts that read the recording rule, with named groups.
        promtool: Executable of version 2.55 or newer.

    Raises:
        PromtoolError: promtool could not read a mutant or the tests.
        FailingTestsError: The tests fail on the unchanged rules.
    """
    needed = {file: needed_rules(file, rules) for file in test_files}
    for file, every in needed.items():
        if not _passes_unchanged(file, tuple(every), promtool):
            raise FailingTestsError(f"{file.name} fails on the unchanged rules")
    # Short test groups first: they detect most mutants.
    groups = sorted(
        ((group, file) for file in test_files for group in read_test_groups(file)),
        key=lambda pair: pair[0].end,
    )

    def survives(mutant: Mutant) -> bool:
        for group, file in groups:
            with with_only([mutant.rule if each == rule else each for each in needed[file]], file) as copy:
                if not passes(promtool, copy, group.name):
                    return False
        return True

    changed = mutants(rule)
    with ThreadPoolExecutor(_PROCESSES) as pool:
        return [mutant for mutant, alive in zip(changed, pool.map(survives, changed), strict=True) if alive]


def fingerprint(rule: Rule, rules: Sequence[Rule], test_files: Sequence[Path], promtool: Path) -> str:
    """A hash of all inputs of `survivors`: rules, test files, promtool's version and the code of the mutation tests."""
    parts: list[object] = [
        version(promtool),
        *(Path(__file__).with_name(name).read_text() for name in _CODE),
        rule.source,
    ]
    for file in test_files:
        parts += [file.read_text(encoding="utf-8"), *map(_content, needed_rules(file, rules))]
    return sha256(json.dumps([*parts, *_content(rule)]).encode()).hexdigest()


def _content(rule: Rule) -> tuple[object, ...]:
    """The parts of a rule that promtool reads."""
    return (
        rule.file,
        rule.group,
        rule.interval,
        rule.name,
        rule.source,
        rule.wait,
        rule.keep_firing,
        [
            sorted(rule.labels.items()),
            sorted(rule.annotations.items()),
        ],
    )


@functools.cache
def _passes_unchanged(test_file: Path, rules: tuple[Rule, ...], promtool: Path) -> bool:
    with with_only(rules, test_file) as copy:
        return passes(promtool, copy)
