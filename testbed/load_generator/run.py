"""Runs operations at a constant rate, regardless of the service's speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from testbed.load_generator.errors import UnansweredError, UnexpectedAnswerError
from testbed.load_generator.expected_totals import ExpectedTotals
from testbed.load_generator.operations import ALL_OPERATIONS, PEOPLE_OPERATIONS, calm_operations
from testbed.load_generator.plan import plan
from testbed.load_generator.scenarios import SCENARIOS, Target
from testbed.load_generator.setup import set_up
from testbed.load_generator.state import Operation, State
from testbed.load_generator.web import Web

_PROGRESS_SECONDS = 0.5
# Tolerance for late timers.
_LATE_SECONDS = 1


@dataclass(frozen=True)
class SimulationConfig:
    """Options of the load generator.

    Attributes:
        url: Base URL of the service.
        admin_token: Token of its administration.
        grpc_target: Address of its gRPC interface; None leaves gRPC out.
        rate: Operations a second.
        duration_seconds: How long operations begin.
        seed: The same seed gives the same operations.
        concurrency: Most operations under way at a time.
        scenario: Name of what goes wrong meanwhile, in `SCENARIOS`; None for nothing.
        vault_url: The Vault that a scenario seals.
        vault_token: Its token and unseal key.
        calm: Leave out everything that an alert may rightly follow.
    """

    url: str
    admin_token: str
    grpc_target: str | None = None
    rate: float = 20
    duration_seconds: float = 60
    seed: int = 1
    concurrency: int = 64
    scenario: str | None = None
    vault_url: str | None = None
    vault_token: str | None = None
    calm: bool = False


@dataclass(frozen=True)
class Progress:
    """Progress of the load generator."""

    planned: int
    begun: int
    ended: int
    elapsed_seconds: float


@dataclass
class SimulationReport:
    """The report of the load generator.

    Attributes:
        operations: Operations that were begun.
        skipped: Operations for which the service was too slow or the simulation was stopped.
        unanswered: Requests that got no answer.
        unexpected: Answers that do not tell what the service did, and how often each came.
        duration_seconds: How long the operations took, without setting up.
        truth: PromQL selectors, and the value that each must have.
        uncertain: Selectors of `truth` that an unanswered request may have changed as well.
    """

    operations: int = 0
    skipped: int = 0
    unanswered: int = 0
    unexpected: dict[str, int] = field(default_factory=dict)
    duration_seconds: float = 0
    truth: dict[str, float] = field(default_factory=dict)
    uncertain: list[str] = field(default_factory=list)


async def run_simulation(
    config: SimulationConfig,
    on_progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> SimulationReport:
    """Simulate until the time is over or `stop` is set; operations under way are finished.

    Raises:
        SimulationError: The service does not answer, or does not accept the token.
    """
    expected = ExpectedTotals()
    state = State(Web(config.url, expected), expected)
    try:
        if config.grpc_target is not None:
            from testbed.load_generator.machines import Machines

            state.machines = Machines(config.grpc_target)
        await set_up(state, config.admin_token)
        return await _Run(config, state, on_progress, stop or asyncio.Event()).run()
    finally:
        await state.close()


class _Run:
    def __init__(
        self,
        config: SimulationConfig,
        state: State,
        on_progress: Callable[[Progress], None] | None,
        stop: asyncio.Event,
    ) -> None:
        self._config = config
        self._state = state
        self._on_progress = on_progress
        self._stop = stop
        operation_types = PEOPLE_OPERATIONS if state.machines is None else ALL_OPERATIONS
        self._operation_types = calm_operations(operation_types) if config.calm else operation_types
        self._planned = round(config.rate * config.duration_seconds)
        self._slots = asyncio.Semaphore(config.concurrency)
        self._under_way: set[asyncio.Task[None]] = set()
        self._report = SimulationReport()
        self._ended = 0
        self._fault: BaseException | None = None
        self._began = time.monotonic()

    async def run(self) -> SimulationReport:
        self._began = time.monotonic()
        progress = asyncio.create_task(self._report_progress())
        scenario = asyncio.create_task(self._run_scenario())
        try:
            await self._begin_operations()
            if self._under_way:
                await asyncio.wait(self._under_way)
            if self._stop.is_set():
                scenario.cancel()
            with suppress(asyncio.CancelledError):
                await scenario
        finally:
            progress.cancel()
            scenario.cancel()
            self._show_progress()
        if self._fault is not None:
            raise self._fault
        return self._finish()

    async def _run_scenario(self) -> None:
        config = self._config
        if config.scenario is not None:
            target = Target(self._state, config.admin_token, config.vault_url, config.vault_token)
            await SCENARIOS[config.scenario].run(target, config.duration_seconds)

    async def _begin_operations(self) -> None:
        operations = islice(plan(self._config.seed, self._operation_types), self._planned)
        for number, operation in enumerate(operations):
            await self._wait_until(number / self._config.rate)
            await self._slots.acquire()
            if self._is_over():
                self._slots.release()
                return
            task = asyncio.create_task(self._run(operation))
            self._under_way.add(task)
            task.add_done_callback(self._operation_done)
            self._report.operations += 1

    async def _wait_until(self, due: float) -> None:
        delay = due - self._elapsed()
        if delay > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)

    def _is_over(self) -> bool:
        over = self._elapsed() > self._config.duration_seconds + _LATE_SECONDS
        return over or self._stop.is_set() or self._fault is not None

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    async def _run(self, operation: Operation) -> None:
        try:
            await self._operation_types[operation.kind].run(self._state, operation)
        except UnansweredError:
            self._report.unanswered += 1
        except UnexpectedAnswerError as answer:
            seen = self._report.unexpected
            seen[str(answer)] = seen.get(str(answer), 0) + 1

    def _operation_done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()
        self._ended += 1
        if not task.cancelled():
            self._fault = self._fault or task.exception()

    async def _report_progress(self) -> None:
        while True:
            self._show_progress()
            await asyncio.sleep(_PROGRESS_SECONDS)

    def _show_progress(self) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(self._planned, self._report.operations, self._ended, self._elapsed()))

    def _finish(self) -> SimulationReport:
        self._report.skipped = self._planned - self._report.operations
        self._report.duration_seconds = self._elapsed()
        self._report.truth = self._state.expected.totals()
        self._report.uncertain = self._state.expected.uncertain()
        return self._report
