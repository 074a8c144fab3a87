"""What can be wrong with the variables. Every text names the variable and the remedy, never a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    subject: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.remedy}"


class RenderError(Exception):
    """Everything that is wrong, at once; nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
