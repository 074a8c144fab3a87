"""A check of a dependency, under a deadline that holds whatever the other side does."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from os import getpid
from time import monotonic
from typing import Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from trust_otel.monitors.dependencies import errors
from trust_otel.setting_lists import Dependency

_logger = logging.getLogger(__name__)

_CLOSING_SECONDS: Final = 0.5
"""How long a probe that was cancelled may take to close its connection."""

_MODULES: Final = {
    "http": "http",
    "https": "http",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "redis": "redis",
    "rediss": "redis",
    "grpc": "grpc",
    "grpcs": "grpc",
}

Probe = Callable[[Dependency, float], Coroutine[Any, Any, str | None]]
"""Asks a dependency, within some seconds; returns why it is down, or raises what its client library raised."""


@dataclass(frozen=True)
class CheckResult:
    """What came of a check.

    Attributes:
        up: Whether the dependency answered as it should.
        error_type: Why it is not up, one of the words of `errors` or an HTTP status; `None` when it is up.
        seconds: How long the check took.
    """

    up: bool
    error_type: str | None
    seconds: float


def check(dependency: Dependency, timeout: float) -> CheckResult:
    """Check a dependency once, and record nothing.

    Not for a thread that runs an event loop.

    Args:
        dependency: What to check.
        timeout: Seconds after which it is down, for `timeout`.
    """
    result = Check(dependency, timeout).run()
    if result is None:
        raise RuntimeError("a check was called off that nobody else has")
    return result


class Check:
    """One check, on an event loop of its own, which another thread may call off."""

    def __init__(self, dependency: Dependency, timeout: float) -> None:
        self._dependency = dependency
        self._timeout = timeout
        self._called_off = False
        self._cancel: Callable[[], None] = _nothing

    def run(self) -> CheckResult | None:
        """The result, or `None` when it was called off."""
        probe = _probe(self._dependency.url.partition(":")[0].lower())
        began = monotonic()
        if probe is None:
            return CheckResult(False, errors.CLIENT_MISSING, 0.0)
        loop = _Loop()
        # What libraries say there about broken connections may hold credentials.
        loop.set_exception_handler(_ignore)
        try:
            with suppress_instrumentation():
                task = loop.create_task(_within(self._timeout, probe, self._dependency))
                self._cancel = lambda: _cancel_from_outside(loop, task)
                if self._called_off:
                    task.cancel()
                error_type = loop.run_until_complete(task)
        except asyncio.CancelledError:
            return None
        finally:
            loop.run_until_complete(loop.end())
            loop.close()
        return CheckResult(error_type is None, error_type, monotonic() - began)

    def call_off(self) -> None:
        """End it at once, without a result; from any thread, at any time."""
        self._called_off = True
        self._cancel()


async def _within(seconds: float, probe: Probe, dependency: Dependency) -> str | None:
    # Not `wait_for`, which lets a task that was cancelled take any time to close its connection.
    task = asyncio.ensure_future(probe(dependency, seconds))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            return errors.TIMEOUT
        return errors.UNEXPECTED_ANSWER if task.cancelled() else task.result()
    except Exception as error:
        # Its class only: its text may hold credentials.
        _logger.debug("trust-otel: a check of a dependency ended with %s", type(error).__qualname__)
        return errors.error_type(error)
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=_CLOSING_SECONDS)


def _cancel_from_outside(loop: asyncio.AbstractEventLoop, task: asyncio.Task[str | None]) -> None:
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:  # it has ended, and its loop is closed
        return


def _nothing() -> None:
    return


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    return


@cache
def _probe(scheme: str) -> Probe | None:
    """The probe of a scheme, `None` when its client library cannot be loaded."""
    try:
        module = import_module(f"trust_otel.monitors.dependencies.{_MODULES[scheme]}")
    except Exception as error:  # a library may also refuse the version of another one
        _logger.warning(
            "trust-otel: %s:// dependencies cannot be checked (%s); pip install 'trust-otel[dependencies]'",
            scheme,
            error,
        )
        return None
    probe: Probe = module.probe
    return probe


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that leaves no connection behind, and does not wait for the resolver, which nothing interrupts."""

    def __init__(self) -> None:
        super().__init__()
        self._opened: list[asyncio.WriteTransport] = []

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        made = await super().create_connection(*args, **options)
        self._opened.append(made[0])
        return made

    async def end(self) -> None:
        """Close what a probe left open: httpcore does so when it is cancelled during a TLS handshake."""
        for transport in self._opened:
            transport.abort()
        await self.shutdown_asyncgens()
        # A turn in which the transports close their sockets.
        await asyncio.sleep(0)

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return await asyncio.wrap_future(_resolve(host, port, **options))


_resolving: dict[tuple[Any, ...], Future[Any]] = {}
_resolving_lock = threading.Lock()


def _resolve(host: Any, port: Any, **options: Any) -> Future[Any]:
    """Ask the resolver on a thread, unless it has not answered the same question yet."""
    # With the process: a child has none of its parent's threads.
    question = (getpid(), host, port, *sorted(options.items()))
    with _resolving_lock:
        if question not in _resolving:
            answer = _resolving[question] = Future()
            answer.set_running_or_notify_cancel()

            def ask() -> None:
                try:
                    answer.set_result(socket.getaddrinfo(host, port, **options))
                except Exception as error:
                    answer.set_exception(error)
                finally:
                    with _resolving_lock:
                        del _resolving[question]

            threading.Thread(target=ask, name="trust-otel name resolution", daemon=True).start()
        return _resolving[question]
