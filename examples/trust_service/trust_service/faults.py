"""Injected faults, to try dashboards and alerts. Every fault ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from .authority import Authority
from .database import Database
from .documents import Registers
from .revocations import Publisher
from .signatures import Signer
from .timestamping import TimestampingAuthority

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
    "revocation-list-late",
    "revocation-list-stale",
    "revocation-list-unpublished",
    "revocation-status-stale",
    "revocation-unknown",
    "signer-broken",
    "streams-broken",
    "timestamping-broken",
]

# They change what is published, at once.
_PUBLISHED: frozenset[Fault] = frozenset(
    {
        "revocation-list-late",
        "revocation-list-stale",
        "revocation-list-unpublished",
        "revocation-status-stale",
    }
)
# Of the hour for which a revocation list and an OCSP response are valid.
_ALMOST_STALE, _STALE = timedelta(minutes=57), timedelta(minutes=61)
# Longer than the SLA of a document.
_SLOW_REGISTERS = 0.8
# Longer than the threshold of any alert.
_SLOW_ANSWERS = 3.0


class BrokenError(RuntimeError):
    """An injected error."""


@dataclass
class Conduct:
    """Injected delays and errors.

    Attributes:
        answer_seconds: Delay of HTTP requests.
        answers_broken: Whether HTTP requests fail.
        call_seconds: Delay of gRPC calls.
        calls_broken: Whether unary gRPC calls fail.
        streams_broken: Whether gRPC streams fail.
    """

    answer_seconds: float = 0
    answers_broken: bool = False
    call_seconds: float = 0
    calls_broken: bool = False
    streams_broken: bool = False

    async def answer(self) -> None:
        """Delay or fail an HTTP request.

        Raises:
            BrokenError: HTTP requests fail.
        """
        await _befall(self.answer_seconds, self.answers_broken)

    async def call(self, *, stream: bool) -> None:
        """Delay or fail a gRPC call.

        Raises:
            BrokenError: Such calls fail.
        """
        await _befall(self.call_seconds, self.streams_broken if stream else self.calls_broken)


async def _befall(seconds: float, broken: bool) -> None:
    if seconds:
        await asyncio.sleep(seconds)
    if broken:
        raise BrokenError


class Faults:
    """Starts and ends faults. Starting an active fault extends it."""

    def __init__(
        self,
        conduct: Conduct,
        database: Database,
        registers: Registers,
        authority: Authority,
        publisher: Publisher,
        signer: Signer,
        timestamping: TimestampingAuthority,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._states: dict[Fault, tuple[object, str, object]] = {
            "answers-broken": (conduct, "answers_broken", True),
            "answers-slow": (conduct, "answer_seconds", _SLOW_ANSWERS),
            "audit-lost": (database, "keeps_audit_log", False),
            "calls-broken": (conduct, "calls_broken", True),
            "calls-slow": (conduct, "call_seconds", _SLOW_ANSWERS),
            "pki-unreachable": (authority, "reachable", False),
            "registers-slow": (registers, "seconds_to_answer", _SLOW_REGISTERS),
            "revocation-list-late": (authority, "list_age", _ALMOST_STALE),
            "revocation-list-stale": (authority, "list_age", _STALE),
            "revocation-list-unpublished": (publisher, "publishes_list", False),
            "revocation-status-stale": (authority, "status_age", _STALE),
            "revocation-unknown": (authority, "knows_revoked", False),
            "signer-broken": (signer, "usable", False),
            "timestamping-broken": (timestamping, "usable", False),
            "streams-broken": (conduct, "streams_broken", True),
        }
        self._under_way: dict[Fault, asyncio.Task[None]] = {}

    async def begin(self, fault: Fault, seconds: float) -> None:
        await self.lift(fault)
        happening = self._happening(fault)
        self._under_way[fault] = asyncio.create_task(happening(seconds))

    async def lift(self, fault: Fault) -> None:
        """End a fault early, if it is active."""
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
                if fault in _PUBLISHED:
                    await self._publisher.publish()
                await asyncio.sleep(seconds)
            finally:
                setattr(part, attribute, usual)
                if fault in _PUBLISHED:
                    await self._publisher.publish()

        return happen
