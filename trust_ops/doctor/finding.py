"""What one check of `trust-otel doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error", "skipped"]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        step: The step of the chain, such as `endpoint`, `collector` or `rules`.
        name: What was checked in the step, without credentials.
        status: `ok`; `warning`: data may be missing or late; `error`: data or alerts are missing; `skipped`: not
            checked.
        seen: What was seen.
        remedy: What to do; every warning and error has one.
    """

    step: str
    name: str
    status: Status
    seen: str
    remedy: str | None = None

    def __post_init__(self) -> None:
        if self.status in ("warning", "error") and not self.remedy:
            raise ValueError(f"{self.step} {self.name}: no remedy")


def outcome(step: str, name: str, problem: str | None, remedy: str, seen: str = "valid") -> Finding:
    """An error with the remedy if there is a problem, otherwise `ok`."""
    if problem is None:
        return Finding(step, name, "ok", seen)
    return Finding(step, name, "error", problem, remedy)
