"""The traffic of the demo."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from examples.demo.service import TrustService
from testbed.load_generator import LoadConfig, LoadReport, Progress, generate_load


class Traffic:
    """Generates load for a duration or until Ctrl-C."""

    def __init__(self, service: TrustService, seconds: float, rate: float, seed: int) -> None:
        self.operations = 0
        self._config = LoadConfig(
            url=service.url,
            admin_token=service.admin_token,
            grpc_target=service.grpc_target,
            rate=rate,
            duration_seconds=seconds,
            seed=seed,
            calm=True,
        )

    async def run(self, tick: Callable[[], None]) -> LoadReport:
        """Generate load, and call `tick` once a second.

        Raises:
            LoadGeneratorError: The service does not respond.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        load = asyncio.create_task(generate_load(self._config, self._on_progress, stop))
        try:
            while not load.done():
                # In a thread: reading Prometheus must not delay the traffic.
                await asyncio.to_thread(tick)
                await asyncio.wait({load}, timeout=1)
            return load.result()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _on_progress(self, progress: Progress) -> None:
        self.operations = progress.ended
