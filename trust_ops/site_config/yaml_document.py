"""Parses YAML strictly, and keeps the line of every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]
"""The keys and list positions that lead to a value."""

# The core schema of YAML 1.2, as editors read it: `no` and `18:00` are text, unlike in YAML 1.1.
_NULL: Final = re.compile(r"~|null|Null|NULL|")
_BOOLEAN: Final = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

# Longer ones are left as text, which is then refused where a number is needed.
_MAX_DIGITS: Final = 300


@dataclass(frozen=True)
class YamlProblem:
    """What is wrong at a line, which is None if it is unknown, and in a value."""

    line: int | None
    path: Path
    remedy: str


class YamlError(Exception):
    """All problems of a text."""

    def __init__(self, problems: list[YamlProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.remedy for problem in problems))


@dataclass(frozen=True)
class YamlDocument:
    """A parsed document.

    Attributes:
        content: Mappings, lists and scalars; every key is text. None if the document is empty.
        lines: The line of each value, from 1; for an entry of a mapping the line of its key.
    """

    content: Any
    lines: Mapping[Path, int]


def parse(text: str) -> YamlDocument:
    """Parse one document.

    Raises YamlError: with the first syntax error, or with all aliases, tags, duplicate keys, keys that are no text, and
    halves of surrogate pairs.
    """
    try:
        problems = list(_unsupported(text))
        root = None if problems else yaml.compose(text, Loader=yaml.BaseLoader)
        reader = _Reader(problems)
        content = None if root is None else reader.value(root, ())
    except yaml.YAMLError as error:
        raise YamlError([_syntax_error(error)]) from error
    except RecursionError as error:
        raise YamlError([YamlProblem(None, (), "it is nested too deeply")]) from error
    if problems:
        raise YamlError(problems)
    return YamlDocument(content, reader.lines)


def _unsupported(text: str) -> Iterator[YamlProblem]:
    """Aliases could repeat a value any number of times, tags change its type, and surrogates cannot be written."""
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            yield YamlProblem(line, (), f"the alias *{event.anchor} is not supported; write the value again")
        elif (tag := getattr(event, "tag", None)) is not None:
            yield YamlProblem(line, (), f"the tag {tag} is not supported; remove it")
        elif half := _SURROGATE.search(getattr(event, "value", "")):
            yield YamlProblem(line, (), f"\\u{ord(half[0]):04x} is no character; write the character itself")


def _syntax_error(error: yaml.YAMLError) -> YamlProblem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if isinstance(error, yaml.composer.ComposerError):
        what = "it contains several documents; remove the line `---` between them"
    elif "\\t" in what:
        what = "indent with spaces, not with tabs"
    return YamlProblem(mark.line + 1 if mark else None, (), f"it is not valid YAML: {what}")


class _Reader:
    def __init__(self, problems: list[YamlProblem]) -> None:
        self.lines: dict[Path, int] = {}
        self._problems = problems

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - there is no other kind of node
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problems.append(YamlProblem(_line(key), path, "a key must be text"))
                continue
            inner = (*path, key.value)
            if key.value in found:
                remedy = f"it is already set on line {self.lines[inner]}; remove one"
                self._problems.append(YamlProblem(_line(key), inner, remedy))
                continue
            self.lines[inner] = _line(key)
            found[key.value] = self.value(value, inner)
        return found


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: yaml.ScalarNode) -> str | float | bool | None:
    text = str(node.value)
    if node.style is not None or len(text) > _MAX_DIGITS:
        return text
    if _NULL.fullmatch(text):
        return None
    boolean = _BOOLEAN.fullmatch(text)
    if boolean:
        return boolean[1] is not None
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
