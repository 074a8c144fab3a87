"""A TCP proxy on loopback whose connections can be cut."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from threading import Thread
from types import TracebackType

from trust_ops.stack.ports import LOOPBACK, free_ports

_CHUNK = 65536


class TcpProxy:
    """Forwards connections to a loopback port within a block.

    While it is cut, connections are closed and new ones refused, as by a rejecting firewall.
    """

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._targets: tuple[int, ...] = ()
        self._cut = False
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.StreamWriter] = set()
        self._thread = Thread(target=self._run, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        """The URL to connect to."""
        return f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> TcpProxy:
        self._server = self._loop.run_until_complete(asyncio.start_server(self._pass_on, LOOPBACK, self.port))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def set_target(self, *ports: int) -> None:
        """Set the port to forward new connections to; of several, one that answers, as a Kubernetes Service does."""
        self._targets = ports

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._close_all)

    def restore(self) -> None:
        """Forward connections again."""
        self._cut = False

    def _run(self) -> None:
        self._loop.run_forever()
        self._server.close()
        self._close_all()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _close_all(self) -> None:
        for writer in self._connections:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.close()
            return
        found = await self._connect()
        if found is None:
            writer.close()
            return
        far_reader, far_writer = found
        ends = {writer, far_writer}
        self._connections |= ends
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            self._connections -= ends

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in random.sample(self._targets, len(self._targets)):
            with suppress(OSError):
                return await asyncio.open_connection(LOOPBACK, port)
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
