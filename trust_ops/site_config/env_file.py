"""Parses a file of variables exactly as `kubectl create secret generic --from-env-file` does.

So the Secret in the cluster and the rendered files have the same values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trust_ops.site_config.errors import Problem, RenderError

_BOM = "\ufeff"
_NAME = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*")


@dataclass(frozen=True)
class EnvFile:
    """The variables of a file, and warnings about likely mistakes."""

    values: Mapping[str, str]
    warnings: tuple[str, ...]


def parse(text: str, environment: Mapping[str, str]) -> EnvFile:
    """Parse the variables of a file: one `NAME=value` per line.

    Everything after the first `=` is the value, including quotes, trailing spaces and `#`. Blank lines and lines that
    start with `#` are ignored. A line with only a name takes the value from `environment`.

    Raises RenderError with the numbers of the lines that kubectl would reject.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    warnings: list[str] = []
    for number, line in enumerate(text.removeprefix(_BOM).split("\n"), start=1):
        content = line.removesuffix("\r").lstrip()
        if not content or content.startswith("#"):
            continue
        name, separator, value = content.partition("=")
        problem = _name_problem(name, values)
        if problem:
            problems.append(Problem(f"line {number}", problem))
            continue
        values[name] = value if separator else environment.get(name, "")
        if _quoted(values[name]):
            warnings.append(f"line {number}: the quotes are part of the value of {name}, as in kubectl; remove them")
    if problems:
        raise RenderError(problems)
    return EnvFile(values, tuple(warnings))


def _name_problem(name: str, seen: Mapping[str, str]) -> str | None:
    if not _NAME.fullmatch(name):
        return "write NAME=value, without `export` and without spaces before the `=`"
    if name in seen:
        return f"{name} is defined twice; remove one"
    return None


def _quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
