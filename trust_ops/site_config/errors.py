"""Errors in variables and settings. Every message names the variable or setting and a fix, never a secret."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


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
