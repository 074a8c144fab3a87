"""Thread pools: those of `concurrent.futures`, and the worker threads that AnyIO keeps for synchronous handlers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet, ref

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from trust_otel.metrics import recorder_of
from trust_otel.metrics.certificate import carry_operations
from trust_otel.metrics.executor import ExecutorState
from trust_otel.metrics.recorder import Recorder
from trust_otel.patches import Patches
from trust_otel.recording.fail_open import fail_open

if TYPE_CHECKING:
    from anyio import CapacityLimiter

_UNNAMED: Final = "default"
_NAME_LENGTH: Final = 200

# A UUID, a number, or eight and more hexadecimal digits behind a separator: what tells apart pools of one kind.
_SERIAL: Final = re.compile(
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+|(?<=[\W_])(?:0x)?[0-9a-f]{8,})\Z", re.IGNORECASE
)
_SEPARATORS: Final = "-_.:#/ "


class ExecutorInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Watches every `ThreadPoolExecutor` of the process that is made from now on, asyncio's and gRPC's among them.

    `instrument(metrics=...)` takes the `TrustServiceMetrics` to record with; the process's own by default.
    """

    _patches: Patches
    _pools: ThreadPools

    def instrumentation_dependencies(self) -> Collection[str]:
        """Nothing: it is in the standard library."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        recorder = recorder_of(kwargs.get("metrics"))
        self._pools = pools = ThreadPools(recorder)
        recorder.executors.observe_executors(pools.states)
        self._patches = Patches()
        self._patches.replace(ThreadPoolExecutor, "__init__", pools.watching_init)
        self._patches.replace(ThreadPoolExecutor, "submit", pools.noting_submit)
        self._patches.replace(ThreadPoolExecutor, "shutdown", pools.noting_shutdown)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._pools.forget()
        self._patches.restore()


class ThreadPools:
    """The executors that were made since, as long as they live."""

    def __init__(self, recorder: Recorder) -> None:
        self._dropped = recorder.instruments.dropped
        self._watching = True
        self._pools: dict[int, _Pool] = {}
        _all.add(self)

    def watching_init(self, original: Callable[..., None]) -> Callable[..., None]:
        """What stands in for `ThreadPoolExecutor.__init__`."""
        pools = self

        def __init__(*args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(*args, **kwargs)
            if pools._watching:
                pools._watch_made(args, kwargs)

        return __init__

    def noting_submit(self, original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
        """What stands in for `ThreadPoolExecutor.submit`."""
        pools = self

        def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = original(self, _carried(self, fn), *args, **kwargs)
            pools._note(self, future)
            return future

        return submit

    def noting_shutdown(self, original: Callable[..., None]) -> Callable[..., None]:
        """What stands in for `ThreadPoolExecutor.shutdown`."""
        pools = self

        def shutdown(*args: Any, **kwargs: Any) -> None:
            pool = pools._pools.get(id(args[0] if args else kwargs.get("self")))
            if pool is not None:
                pool.closed = True
            original(*args, **kwargs)

        return shutdown

    def states(self) -> Iterable[ExecutorState]:
        """What the threads do now, by pool."""
        return [pool.state() for pool in tuple(self._pools.values()) if pool.unfinished or not pool.closed]

    def forget(self) -> None:
        """Watch none of them any more."""
        self._watching = False
        self._pools.clear()

    def restart_after_fork(self) -> None:
        """Begin anew in a child process, which has none of its parent's threads."""
        for pool in tuple(self._pools.values()):
            pool.unfinished.clear()

    @fail_open
    def _note(self, executor: ThreadPoolExecutor, future: Future[Any]) -> None:
        pool = self._pools.get(id(executor))
        if pool is not None:
            pool.note(future)

    @fail_open
    def _watch_made(self, args: Any, kwargs: Any) -> None:
        arguments = dict(kwargs)
        executor, *rest = args or (arguments.pop("self"),)
        self._watch(executor, *rest, **arguments)

    def _watch(
        self,
        executor: ThreadPoolExecutor,
        max_workers: int | None = None,
        thread_name_prefix: object = "",
        *_: object,
        **__: object,
    ) -> None:
        # By identity, since a subclass may be equal to another, or not hashable.
        key, pools = id(executor), self._pools
        reference = ref(executor, lambda _: pools.pop(key, None))
        most = _default_max_workers() if max_workers is None else max_workers
        pools[key] = _Pool(reference, _label(thread_name_prefix), most)


class _Pool:
    """An executor, and what it was given and has not finished."""

    __slots__ = ("_max", "_name", "_reference", "closed", "unfinished")

    def __init__(self, reference: ref[ThreadPoolExecutor], name: str, most: int) -> None:
        self._reference = reference
        self._name = name
        self._max = most
        self.closed = False
        # A dict for its order and its operations, which need no lock: a signal or a finalizer may submit and cancel.
        self.unfinished: dict[Future[Any], None] = {}

    def note(self, future: Future[Any]) -> None:
        self.unfinished[future] = None
        # Called also for what never runs, because it was cancelled or the pool broke.
        future.add_done_callback(self._finished)

    def state(self) -> ExecutorState:
        active, queued, rest = 0, 0, list(self.unfinished)[::-1]
        # The oldest come first: of a long queue, only those are asked that can be running.
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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)


def _default_max_workers() -> int:
    """The documented default of `ThreadPoolExecutor`; from Python 3.13 on, of the CPUs that the process may use."""
    count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
    return min(32, (count() or 1) + 4)


def _carried(executor: ThreadPoolExecutor, function: Callable[..., Any]) -> Callable[..., Any]:
    carried = carry_operations(function)
    return function if carried is not function and _pickles(executor) else carried


def _pickles(executor: ThreadPoolExecutor) -> bool:
    """Whether it pickles what it is given, as does `InterpreterPoolExecutor` of Python 3.14."""
    return any(kind.__module__ == "concurrent.futures.interpreter" for kind in type(executor).__mro__)


def _label(prefix: object) -> str:
    """Value of `trust.executor.name`: the prefix of the threads' names, without numbers and ids at its end."""
    name = str(prefix or "")[:_NAME_LENGTH].rstrip(_SEPARATORS)
    while (shorter := _SERIAL.sub("", name).rstrip(_SEPARATORS)) != name:
        name = shorter
    return name or _UNNAMED


class WorkerThreads:
    """The limiters of every event loop that served a request, summed."""

    def __init__(self) -> None:
        from anyio.to_thread import current_default_thread_limiter

        self._current_limiter = current_default_thread_limiter
        self._limiters: WeakSet[CapacityLimiter] = WeakSet()

    def watch(self) -> None:
        """Note the limiter of the running event loop."""
        # Where no event loop runs that AnyIO knows, there are no worker threads either.
        with suppress(Exception):
            self._limiters.add(self._current_limiter())

    def forget(self) -> None:
        """Watch none of them any more."""
        self._limiters.clear()

    def states(self) -> Iterable[ExecutorState]:
        """What the threads do now."""
        seen = [limiter.statistics() for limiter in tuple(self._limiters)]
        return [
            ExecutorState(
                "anyio",
                active=sum(statistics.borrowed_tokens for statistics in seen),
                max=sum(int(min(statistics.total_tokens, 2**31)) for statistics in seen),
                queued=sum(statistics.tasks_waiting for statistics in seen),
            )
        ]
