"""Errors in the variables. Every message names the variable and a fix, never a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
