"""What may go wrong on purpose, so that dashboards and alerts can be seen at work. Every fault ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from .authority import Authority
from .database import Database
from .documents import Registers
from .signatures import Signer

Fault = Literal[
    "answers-broken",
    "answers-slow",
    "audit-lost",
    "calls-broken",
    "calls-slow",
    "database-unreachable",
    "pki-unreachable",
    "pool-exhausted",
    "registers-slow",
    "revocation-list-stale",
    "revocation-unknown",
    "signer-broken",
    "streams-broken",
]

# Longer than what the service promises for a document.
_SLOW_REGISTERS = 0.8
# Longer than any alert allows.
_SLOW_ANSWERS = 3.0


class BrokenError(RuntimeError):
    """What a fault makes the service do instead of its work."""


@dataclass
class Conduct:
    """How the service treats those who ask it for something.

    Attributes:
        answer_seconds: How long it lets people wait.
        answers_broken: Whether it fails them.
        call_seconds: How long it lets machines wait.
        calls_broken: Whether it fails them in calls without streams.
        streams_broken: Whether it fails them in streams.
    """

    answer_seconds: float = 0
    answers_broken: bool = False
    call_seconds: float = 0
    calls_broken: bool = False
    streams_broken: bool = False

    async def answer(self) -> None:
        """Befalls a request.

        Raises:
            BrokenError: Answers are broken.
        """
        await _befall(self.answer_seconds, self.answers_broken)

    async def call(self, *, stream: bool) -> None:
        """Befalls a call of a machine.

        Raises:
            BrokenError: Such calls are broken.
        """
        await _befall(self.call_seconds, self.streams_broken if stream else self.calls_broken)


async def _befall(seconds: float, broken: bool) -> None:
    if seconds:
        await asyncio.sleep(seconds)
    if broken:
        raise BrokenError


class Faults:
    """Begins and ends faults; one that goes on is prolonged when it is begun again."""

    def __init__(
        self, conduct: Conduct, database: Database, registers: Registers, authority: Authority, signer: Signer
    ) -> None:
        self._database = database
        self._states: dict[Fault, tuple[object, str, object]] = {
            "answers-broken": (conduct, "answers_broken", True),
            "answers-slow": (conduct, "answer_seconds", _SLOW_ANSWERS),
            "audit-lost": (database, "keeps_audit_log", False),
            "calls-broken": (conduct, "calls_broken", True),
            "calls-slow": (conduct, "call_seconds", _SLOW_ANSWERS),
            "pki-unreachable": (authority, "reachable", False),
            "registers-slow": (registers, "seconds_to_answer", _SLOW_REGISTERS),
            "revocation-list-stale": (authority, "list_lifetime", timedelta(minutes=-1)),
            "revocation-unknown": (authority, "knows_revoked", False),
            "signer-broken": (signer, "usable", False),
            "streams-broken": (conduct, "streams_broken", True),
        }
        self._under_way: dict[Fault, asyncio.Task[None]] = {}

    async def begin(self, fault: Fault, seconds: float) -> None:
        await self.lift(fault)
        happening = self._happening(fault)
        self._under_way[fault] = asyncio.create_task(happening(seconds))

    async def lift(self, fault: Fault) -> None:
        """End a fault early; does nothing when it does not go on."""
        task = self._under_way.pop(fault, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end(self) -> None:
        for fault in tuple(self._under_way):
            await self.lift(fault)

    def _happening(self, fault: Fault) -> Callable[[float], Coroutine[Any, Any, None]]:
        if fault == "database-unreachable":
            return self._database.refuse_connections
        if fault == "pool-exhausted":
            return self._database.hold_every_connection
        part, attribute, value = self._states[fault]

        async def happen(seconds: float) -> None:
            usual = getattr(part, attribute)
            setattr(part, attribute, value)
            try:
                await asyncio.sleep(seconds)
            finally:
                setattr(part, attribute, usual)

        return happen
