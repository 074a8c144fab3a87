"""The traffic of the demo, with something to look at meanwhile."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from examples.demo.service import TrustService
from testbed.load_generator import Progress, SimulationConfig, SimulationReport, run_simulation


class Simulation:
    """Drives the service until its time is over, or until Ctrl-C."""

    def __init__(self, service: TrustService, seconds: float, rate: float, seed: int) -> None:
        self.operations = 0
        self._config = SimulationConfig(
            url=service.url,
            admin_token=service.admin_token,
            grpc_target=service.grpc_target,
            rate=rate,
            duration_seconds=seconds,
            seed=seed,
        )

    async def run(self, tick: Callable[[], None]) -> SimulationReport:
        """Simulate, and call `tick` once a second.

        Raises:
            SimulationError: The service does not answer.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        simulation = asyncio.create_task(run_simulation(self._config, self._note, stop))
        try:
            while not simulation.done():
                # In a thread: reading Prometheus must not hold up the traffic.
                await asyncio.to_thread(tick)
                await asyncio.wait({simulation}, timeout=1)
            return simulation.result()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _note(self, progress: Progress) -> None:
        self.operations = progress.ended
