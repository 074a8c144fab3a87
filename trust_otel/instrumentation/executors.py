"""Measures thread pools of `concurrent.futures`, and AnyIO's worker threads, which run synchronous handlers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet, ref

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel import forks
from trust_otel.metrics import recorder_of
from trust_otel.metrics.certificate import carry_operations
from trust_otel.metrics.executor import ExecutorState
from trust_otel.metrics.recorder import Recorder
from trust_otel.patches import Patches
from trust_otel.recording.fail_open import fail_open

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from anyio import CapacityLimiter

_UNNAMED: Final = "default"
_NAME_LENGTH: Final = 200

# A UUID, a number, or 8 or more hexadecimal digits after a separator, by which pools of one kind differ.
_SERIAL: Final = re.compile(
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+|(?<=[\W_])(?:0x)?[0-9a-f]{8,})\Z", re.IGNORECASE
)
_SEPARATORS: Final = "-_.:#/ "


class ExecutorInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures every `ThreadPoolExecutor` that the process creates from now on, including those of asyncio and gRPC.

    `instrument(metrics=...)` takes the `TrustServiceMetrics` to record with; by default that of `get_metrics()`.
    """

    _patches: Patches
    _pools: ThreadPools

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: `concurrent.futures` is in the standard library."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        recorder = recorder_of(kwargs.get("metrics"))
        self._pools = pools = ThreadPools(recorder)
        recorder.executors.observe_executors(pools.states)
        self._patches = Patches()
        self._patches.replace(ThreadPoolExecutor, "__init__", pools.measured_init)
        self._patches.replace(ThreadPoolExecutor, "submit", pools.measured_submit)
        self._patches.replace(ThreadPoolExecutor, "shutdown", pools.measured_shutdown)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._pools.forget()
        self._patches.restore()


class ThreadPools:
    """The live executors that were created since the instrumentation."""

    def __init__(self, recorder: Recorder) -> None:
        self._dropped = recorder.instruments.dropped
        self._tracking = True
        self._pools: dict[int, _Pool] = {}
        _all.add(self)

    def measured_init(self, original: Callable[..., None]) -> Callable[..., None]:
        """The replacement of `ThreadPoolExecutor.__init__`."""
        pools = self

        def __init__(*args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(*args, **kwargs)
            if pools._tracking:
                pools._track_created(args, kwargs)

        return __init__

    def measured_submit(self, original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
        """The replacement of `ThreadPoolExecutor.submit`."""
        pools = self

        def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = original(self, _carried(self, fn), *args, **kwargs)
            pools._submitted(self, future)
            return future

        return submit

    def measured_shutdown(self, original: Callable[..., None]) -> Callable[..., None]:
        """The replacement of `ThreadPoolExecutor.shutdown`."""
        pools = self

        def shutdown(*args: Any, **kwargs: Any) -> None:
            pool = pools._pools.get(id(args[0] if args else kwargs.get("self")))
            if pool is not None:
                pool.closed = True
            original(*args, **kwargs)

        return shutdown

    def states(self) -> Iterable[ExecutorState]:
        """The state of each pool now."""
        return [pool.state() for pool in tuple(self._pools.values()) if pool.unfinished or not pool.closed]

    def forget(self) -> None:
        """Stop tracking all of them."""
        self._tracking = False
        self._pools.clear()

    def restart_after_fork(self) -> None:
        """Forget unfinished work in a child process, which has none of its parent's threads."""
        for pool in tuple(self._pools.values()):
            pool.unfinished.clear()

    @fail_open
    def _submitted(self, executor: ThreadPoolExecutor, future: Future[Any]) -> None:
        pool = self._pools.get(id(executor))
        if pool is not None:
            pool.add(future)

    @fail_open
    def _track_created(self, args: Any, kwargs: Any) -> None:
        arguments = dict(kwargs)
        executor, *rest = args or (arguments.pop("self"),)
        self._track(executor, *rest, **arguments)

    def _track(
        self,
        executor: ThreadPoolExecutor,
        max_workers: int | None = None,
        thread_name_prefix: object = "",
        *_: object,
        **__: object,
    ) -> None:
        # By identity: a subclass may define equality, or not be hashable.
        key, pools = id(executor), self._pools
        reference = ref(executor, lambda _: pools.pop(key, None))
        threads = _default_max_workers() if max_workers is None else max_workers
        pools[key] = _Pool(reference, _label(thread_name_prefix), threads)


class _Pool:
    """An executor and its unfinished futures."""

    __slots__ = ("_max", "_name", "_reference", "closed", "unfinished")

    def __init__(self, reference: ref[ThreadPoolExecutor], name: str, max_workers: int) -> None:
        self._reference = reference
        self._name = name
        self._max = max_workers
        self.closed = False
        # A dict is ordered and needs no lock: a signal handler or a finalizer may submit and cancel.
        self.unfinished: dict[Future[Any], None] = {}

    def add(self, future: Future[Any]) -> None:
        self.unfinished[future] = None
        # Also called for a future that never runs, because it was cancelled or the pool broke.
        future.add_done_callback(self._finished)

    def state(self) -> ExecutorState:
        active, queued, rest = 0, 0, list(self.unfinished)[::-1]
        # Futures start in order, so in a long queue only the oldest can be running.
        while rest and active < self._max:
            future = rest.pop()
            if future.running():
                active += 1
            elif not future.done():
                queued += 1
        return ExecutorState(self._name, active=active, max=self._max, queued=queued + len(rest))

    def _finished(self, future: Future[Any]) -> None:
        self.unfinished.pop(future, None)


_all: WeakSet[ThreadPools] = WeakSet()


def _restart_all() -> None:
    for pools in tuple(_all):
        pools.restart_after_fork()


forks.in_child(forks.Step.STATE, _restart_all)


def _default_max_workers() -> int:
    """The documented default of `ThreadPoolExecutor`, which counts the usable CPUs from Python 3.13 on."""
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return min(32, (count() or 1) + 4)


def _carried(executor: ThreadPoolExecutor, function: Callable[..., Any]) -> Callable[..., Any]:
    carried = carry_operations(function)
    return function if carried is not function and _pickles(executor) else carried


def _pickles(executor: ThreadPoolExecutor) -> bool:
    """Whether an executor pickles its functions, like `InterpreterPoolExecutor` of Python 3.14."""
    return any(kind.__module__ == "concurrent.futures.interpreter" for kind in type(executor).__mro__)


def _label(prefix: object) -> str:
    """Value of `trust.executor.name`: the thread name prefix without trailing numbers and ids."""
    name = str(prefix or "")[:_NAME_LENGTH].rstrip(_SEPARATORS)
    while (shorter := _SERIAL.sub("", name).rstrip(_SEPARATORS)) != name:
        name = shorter
    return name or _UNNAMED


class WorkerThreads:
    """AnyIO's worker threads, summed over the event loops that served requests."""

    def __init__(self) -> None:
        from asyncio import get_running_loop

        from anyio.to_thread import current_default_thread_limiter

        self._running_loop = get_running_loop
        self._current_limiter = current_default_thread_limiter
        self._limiters: WeakSet[CapacityLimiter] = WeakSet()
        self._last_loop: Callable[[], AbstractEventLoop | None] = lambda: None

    def track_current_loop(self) -> None:
        """Track the worker threads of the running event loop."""
        try:
            loop = self._running_loop()
            # Looking up the limiter takes as long as recording three histograms.
            if loop is self._last_loop():
                return
            self._last_loop = ref(loop)
        except Exception:  # another library than asyncio, or a loop without weak references
            self._last_loop = lambda: None
        # Without an event loop that AnyIO supports, there are no worker threads.
        with suppress(Exception):
            self._limiters.add(self._current_limiter())

    def forget(self) -> None:
        """Stop tracking all of them."""
        self._limiters.clear()
        self._last_loop = lambda: None

    def states(self) -> Iterable[ExecutorState]:
        """The state of the worker threads now."""
        seen = [limiter.statistics() for limiter in tuple(self._limiters)]
        if not seen:
            return []
        return [
            ExecutorState(
                "anyio",
                active=sum(statistics.borrowed_tokens for statistics in seen),
                max=sum(int(min(statistics.total_tokens, 2**31)) for statistics in seen),
                queued=sum(statistics.tasks_waiting for statistics in seen),
            )
        ]
