"""What may go wrong on purpose, so that dashboards and alerts can be seen at work. Every fault ends by itself."""

from __future__ import annotations

import asyncio
from typing import Literal

from .database import Database
from .documents import Registers

Fault = Literal["audit-lost", "pool-exhausted", "registers-slow"]

# Longer than what the service promises for a document.
_SLOW_SECONDS = 0.8


class Faults:
    def __init__(self, database: Database, registers: Registers) -> None:
        self._database = database
        self._registers = registers
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, fault: Fault, seconds: float) -> None:
        happen = {
            "audit-lost": self._lose_audit_events,
            "pool-exhausted": self._database.hold_every_connection,
            "registers-slow": self._slow_registers,
        }
        task = asyncio.create_task(happen[fault](seconds))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def end(self) -> None:
        under_way = tuple(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _lose_audit_events(self, seconds: float) -> None:
        self._database.keeps_audit_log = False
        try:
            await asyncio.sleep(seconds)
        finally:
            self._database.keeps_audit_log = True

    async def _slow_registers(self, seconds: float) -> None:
        self._registers.seconds_to_answer = _SLOW_SECONDS
        try:
            await asyncio.sleep(seconds)
        finally:
            self._registers.seconds_to_answer = 0
