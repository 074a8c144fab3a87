"""Runs operations at a constant rate, regardless of the service's speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from testbed.load_generator.errors import NoResponseError, UnexpectedResponseError
from testbed.load_generator.expected_totals import ExpectedTotals
from testbed.load_generator.http_client import HttpClient
from testbed.load_generator.operations import ALL_OPERATIONS, PEOPLE_OPERATIONS, calm_operations
from testbed.load_generator.plan import plan
from testbed.load_generator.scenarios import SCENARIOS, Target
from testbed.load_generator.setup import set_up
from testbed.load_generator.state import Operation, State

_PROGRESS_SECONDS = 0.5
# Tolerance for late timers.
_LATE_SECONDS = 1


@dataclass(frozen=True)
class LoadConfig:
    """Options of the load generator.

    Attributes:
        url: Base URL of the service.
        admin_token: Token of the admin API.
        grpc_target: gRPC address of the service; None disables gRPC calls.
        rate: Operations per second.
        duration_seconds: Seconds during which operations are started.
        seed: The same seed gives the same operations.
        concurrency: Maximum concurrent operations.
        scenario: Name of a scenario in `SCENARIOS` to run meanwhile; None for none.
        vault_url: URL of the Vault for the scenario `vault-sealed`.
        vault_token: Token and unseal key of that Vault.
        calm: Leave out operations that may cause alerts.
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
class LoadReport:
    """The report of the load generator.

    Attributes:
        operations: Operations that were started.
        skipped: Operations not started because the service was too slow or the run was stopped.
        unanswered: Requests that got no response.
        unexpected: Number of each response that does not determine the outcome.
        duration_seconds: Duration of the operations, without setup.
        expected_totals: PromQL selectors with their expected values.
        uncertain: Selectors of `expected_totals` that an unanswered request may also have changed.
    """

    operations: int = 0
    skipped: int = 0
    unanswered: int = 0
    unexpected: dict[str, int] = field(default_factory=dict)
    duration_seconds: float = 0
    expected_totals: dict[str, float] = field(default_factory=dict)
    uncertain: list[str] = field(default_factory=list)


async def generate_load(
    config: LoadConfig,
    on_progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> LoadReport:
    """Generate load for the configured duration or until `stop` is set. Running operations are finished.

    Raises:
        LoadGeneratorError: The service does not respond, or does not accept the token.
    """
    expected = ExpectedTotals()
    state = State(HttpClient(config.url, expected), expected)
    try:
        if config.grpc_target is not None:
            from testbed.load_generator.grpc_client import GrpcClient

            state.grpc = GrpcClient(config.grpc_target)
        await set_up(state, config.admin_token)
        return await _Run(config, state, on_progress, stop or asyncio.Event()).run()
    finally:
        await state.close()


class _Run:
    def __init__(
        self,
        config: LoadConfig,
        state: State,
        on_progress: Callable[[Progress], None] | None,
        stop: asyncio.Event,
    ) -> None:
        self._config = config
        self._state = state
        self._on_progress = on_progress
        self._stop = stop
        operation_types = PEOPLE_OPERATIONS if state.grpc is None else ALL_OPERATIONS
        self._operation_types = calm_operations(operation_types) if config.calm else operation_types
        self._planned = round(config.rate * config.duration_seconds)
        self._slots = asyncio.Semaphore(config.concurrency)
        self._under_way: set[asyncio.Task[None]] = set()
        self._report = LoadReport()
        self._ended = 0
        self._error: BaseException | None = None
        self._began = time.monotonic()

    async def run(self) -> LoadReport:
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
        if self._error is not None:
            raise self._error
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
        return over or self._stop.is_set() or self._error is not None

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    async def _run(self, operation: Operation) -> None:
        try:
            await self._operation_types[operation.kind].run(self._state, operation)
        except NoResponseError:
            self._report.unanswered += 1
        except UnexpectedResponseError as response:
            seen = self._report.unexpected
            seen[str(response)] = seen.get(str(response), 0) + 1

    def _operation_done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()
        self._ended += 1
        if not task.cancelled():
            self._error = self._error or task.exception()

    async def _report_progress(self) -> None:
        while True:
            self._show_progress()
            await asyncio.sleep(_PROGRESS_SECONDS)

    def _show_progress(self) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(self._planned, self._report.operations, self._ended, self._elapsed()))

    def _finish(self) -> LoadReport:
        self._report.skipped = self._planned - self._report.operations
        self._report.duration_seconds = self._elapsed()
        self._report.expected_totals = self._state.expected.totals()
        self._report.uncertain = self._state.expected.uncertain()
        return self._report
