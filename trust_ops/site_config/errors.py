"""Errors in variables and settings. Every message names the variable or setting and a fix, never a secret."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from pydantic_core import ErrorDetails

_REMEDIES: Final = {
    "string_type": "use text; put it in quotes",
    "float_type": "use a number",
    "float_parsing": "use a number",
    "int_type": "use a whole number",
    "bool_type": "use true or false",
    "tuple_type": "use a list, such as [one, two]",
    "list_type": "use a list, such as [one, two]",
    "dict_type": "use settings with names, `name: value`",
    "mapping_type": "use settings with names, `name: value`",
    "model_type": "use settings with names, `name: value`",
    "too_short": "list at least one",
    "finite_number": "use a number",
}
"""By type of pydantic's error, where its own message uses words of JSON."""


@dataclass(frozen=True)
class Problem:
    """One problem and how to fix it."""

    subject: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.remedy}"


class RenderError(Exception):
    """All problems at once; nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def suggestion(name: str, known: Collection[str]) -> str:
    """`did you mean ...?` with the most similar name, or all known names if none is similar."""
    similar = get_close_matches(name, known, 1)
    return f"did you mean {similar[0]}?" if similar else f"use one of {', '.join(known)}"


def remedy_of(error: ErrorDetails) -> str:
    """The remedy of an error of pydantic."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"use {context['expected']}".replace("'", "")
    if kind == "greater_than_equal":
        return f"use a number that is at least {context['ge']:g}"
    return _REMEDIES.get(kind) or error["msg"]
