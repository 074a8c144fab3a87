"""Runs promtool."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from tools.checks.promql import duration
from tools.checks.rules import Rule

# Go's regular expressions allow a backslash only before punctuation.
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")

_FAILURES = ("got:", ", err: ")


class PromtoolError(RuntimeError):
    """promtool failed; the text is its output."""


def passes(promtool: Path, test_file: Path, group: str | None = None) -> bool:
    """Whether the unit tests of the file pass, or only those of the groups named `group`.

    Raises:
        PromtoolError: The tests could not be run.
    """
    # promtool supports --run since 2.55.
    chosen = () if group is None else ("--run", f"^{_PUNCTUATION.sub(_escaped, group)}$")
    done = _run(promtool, "test", "rules", *chosen, str(test_file))
    said = done.stdout + done.stderr
    # Differences and evaluation errors are test failures; any other error is an unreadable file.
    if done.returncode and not any(sign in said for sign in _FAILURES):
        raise PromtoolError(said)
    return done.returncode == 0


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match.group()}"


@functools.cache
def version(promtool: Path) -> str:
    """promtool's version, such as `3.12.0`. Raises PromtoolError."""
    said = _run(promtool, "--version")
    found = re.search(r"version (\S+)", said.stdout + said.stderr)
    if found is None:
        raise PromtoolError(said.stdout + said.stderr)
    return found[1]


def unit_test_failures(promtool: Path, test_file: Path) -> str:
    """Findings of `promtool test rules`; empty if the unit tests pass."""
    done = _run(promtool, "test", "rules", str(test_file))
    return done.stdout + done.stderr if done.returncode else ""


def complaints(promtool: Path, rule_files: Iterable[Path]) -> str:
    """Findings of `promtool check rules` with all lints."""
    done = _run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *map(str, rule_files))
    return done.stdout + done.stderr if done.returncode else ""


def _run(promtool: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(promtool), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603


def write_rules(rules: Iterable[Rule], file: Path) -> None:
    """Write the rules to a rule file, in their groups."""
    groups = [
        {
            "name": name,
            **({} if interval is None else {"interval": duration(interval)}),
            "rules": [_as_yaml(rule) for rule in members],
        }
        for (name, interval), members in groupby(rules, key=lambda rule: (rule.group, rule.interval))
    ]
    file.write_text(yaml.safe_dump({"groups": groups}, sort_keys=False), encoding="utf-8")


def _as_yaml(rule: Rule) -> Mapping[str, Any]:
    written: dict[str, Any] = {"alert" if rule.is_alert else "record": rule.name, "expr": rule.source}
    if rule.wait:
        written["for"] = duration(rule.wait)
    if rule.keep_firing:
        written["keep_firing_for"] = duration(rule.keep_firing)
    if rule.labels:
        written["labels"] = dict(rule.labels)
    if rule.annotations:
        written["annotations"] = dict(rule.annotations)
    return written
