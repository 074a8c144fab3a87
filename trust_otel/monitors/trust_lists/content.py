"""What is read of a list of trust anchors."""

from __future__ import annotations

from dataclasses import dataclass


class InvalidSignatureError(Exception):
    """The signature of a list is not valid. The message names the reason, without data from the list."""


@dataclass(frozen=True)
class ListContent:
    """The readable content of a list. Times are Unix times in seconds.

    Attributes:
        issue_date: When it was issued; `None` if it states none.
        next_update: When the next one will be issued at the latest; `None` if it states none.
        sequence_number: Its number; `None` if it has none.
        anchors: Number of different certificates in it.
    """

    issue_date: float | None
    next_update: float | None
    sequence_number: int | None
    anchors: int


@dataclass(frozen=True)
class ReadList:
    """The result of reading a list.

    Attributes:
        content: Its content; `None` if it cannot be read, or its signature is invalid.
        signature: `valid`, `invalid` or `not_verified`; `None` if it cannot be read.
        problem: What cannot be read, and a fix; `None` if there is no problem.
        reason: Why the signature is invalid; `None` if it is not.
    """

    content: ListContent | None = None
    signature: str | None = None
    problem: str | None = None
    reason: str | None = None
