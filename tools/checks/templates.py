"""The labels, values and queries in an alert's templates."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLOCK = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')
_LABEL = re.compile(r"\$labels\.(\w+)")
_VARIABLE = re.compile(r"\$\w*")
_QUERY = re.compile(r'\bquery\s+("(?:[^"\\]|\\.)*"|`[^`]*`)')
_FORMATS = ("humanize", "humanize1024", "humanizeDuration", "humanizePercentage", "humanizeTimestamp", "printf")
_CONTROL = ("if", "else", "end", "with", "range")
_KNOWN_VARIABLES = ("$labels", "$value", "$externalURL", "$externalLabels")


class Template:
    """A template in Go's syntax, as Prometheus expands it in labels and annotations."""

    def __init__(self, content: str) -> None:
        """`content` is the complete text, including `{{ }}`."""
        self._blocks = [block.strip() for block in _BLOCK.findall(content)]

    @property
    def labels(self) -> frozenset[str]:
        """The labels that it uses."""
        return frozenset(name for block in self._blocks for name in _LABEL.findall(block))

    @property
    def reads_value(self) -> bool:
        """Whether it uses the value of the expression."""
        return any("$value" in block for block in self._blocks)

    @property
    def formats_of_value(self) -> list[tuple[str, ...]]:
        """The formatting functions of each use of the value."""
        return list(self._formats())

    def _formats(self) -> Iterator[tuple[str, ...]]:
        inside_with_value = False
        for block in self._blocks:
            words = re.findall(r"[\w$.]+", _TEXT.sub("", block))
            if words and words[0] in _CONTROL:
                inside_with_value = (inside_with_value and words[0] != "end") or words == ["with", "$value"]
            elif "$value" in words or (inside_with_value and "." in words):
                yield tuple(word for word in words if word in _FORMATS)

    @property
    def queries(self) -> list[str]:
        """The PromQL expressions in it."""
        return [_unquoted(text) for block in self._blocks for text in _QUERY.findall(block)]

    @property
    def unknown(self) -> list[str]:
        """Parts that the checks do not support."""
        found = []
        for block in self._blocks:
            code = _TEXT.sub("", block)
            found += [name for name in _VARIABLE.findall(code) if name not in _KNOWN_VARIABLES]
            if re.search(r"\bquery\b", code) and not _QUERY.search(block):
                found.append("a composed query")
            if re.search(r"\$labels(?!\.\w)", code):
                found.append("$labels as a whole")
        return found


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
