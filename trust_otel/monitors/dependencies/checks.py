"""Checks of dependencies, with a timeout that holds in every phase."""

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

from trust_otel import forks
from trust_otel.monitors.dependencies import errors
from trust_otel.setting_lists import Dependency

_logger = logging.getLogger(__name__)

_CLOSING_SECONDS: Final = 0.5
"""How long a cancelled probe may take to close its connection."""

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
"""Checks a dependency within a timeout in seconds. Returns the error type or `None`; may raise any client error."""


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes:
        up: Whether the dependency is up.
        error_type: Why it is down, a constant of `errors` or an HTTP status; `None` if it is up.
        seconds: Duration of the check.
    """

    up: bool
    error_type: str | None
    seconds: float


def check(dependency: Dependency, timeout: float) -> CheckResult:
    """Check a dependency once, without recording metrics. Must not be called from a running event loop.

    Args:
        dependency: The dependency.
        timeout: Timeout in seconds.
    """
    result = Check(dependency, timeout).run()
    if result is None:
        raise RuntimeError("the check was cancelled")
    return result


class Check:
    """One check, on its own event loop. Can be cancelled from another thread."""

    def __init__(self, dependency: Dependency, timeout: float) -> None:
        self._dependency = dependency
        self._timeout = timeout
        self._cancelled = False
        self._cancel_task: Callable[[], None] = _nothing

    def run(self) -> CheckResult | None:
        """The result, or `None` if the check was cancelled."""
        probe = _probe(self._dependency.url.partition(":")[0].lower())
        began = monotonic()
        if probe is None:
            return CheckResult(False, errors.CLIENT_MISSING, 0.0)
        loop = _Loop()
        # Messages of libraries about broken connections may contain credentials.
        loop.set_exception_handler(_ignore)
        try:
            with suppress_instrumentation():
                task = loop.create_task(_within(self._timeout, probe, self._dependency))
                self._cancel_task = lambda: _cancel_threadsafe(loop, task)
                if self._cancelled:
                    task.cancel()
                error_type = loop.run_until_complete(task)
        except asyncio.CancelledError:
            return None
        finally:
            loop.run_until_complete(loop.end())
            loop.close()
        return CheckResult(error_type is None, error_type, monotonic() - began)

    def cancel(self) -> None:
        """End the check immediately, without a result. Thread-safe."""
        self._cancelled = True
        self._cancel_task()


async def _within(seconds: float, probe: Probe, dependency: Dependency) -> str | None:
    # Not `wait_for`, which waits without a limit until a cancelled task has closed its connection.
    task = asyncio.ensure_future(probe(dependency, seconds))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            return errors.TIMEOUT
        return errors.UNEXPECTED_ANSWER if task.cancelled() else task.result()
    except Exception as error:
        # Only the type: the message may contain credentials.
        _logger.debug("trust-otel: a check of a dependency ended with %s", type(error).__qualname__)
        return errors.error_type(error)
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=_CLOSING_SECONDS)


def _cancel_threadsafe(loop: asyncio.AbstractEventLoop, task: asyncio.Task[str | None]) -> None:
    try:
        loop.call_soon_threadsafe(task.cancel)
    except RuntimeError:  # the check has ended and its loop is closed
        return


def _nothing() -> None:
    return


def _ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    return


@cache
def _probe(scheme: str) -> Probe | None:
    """The probe of a scheme, or `None` if its client library cannot be loaded."""
    try:
        module = import_module(f"trust_otel.monitors.dependencies.{_MODULES[scheme]}")
    except Exception as error:  # also raised for incompatible versions
        _logger.warning(
            "trust-otel: %s:// dependencies cannot be checked (%s); pip install 'trust-otel[dependencies]'",
            scheme,
            error,
        )
        return None
    probe: Probe = module.probe
    return probe


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that closes all connections, and does not wait for name resolution, which cannot be interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self._opened: list[asyncio.WriteTransport] = []

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        created = await super().create_connection(*args, **options)
        self._opened.append(created[0])
        return created

    async def end(self) -> None:
        """Close open connections: httpcore leaves one if it is cancelled during a TLS handshake."""
        for transport in self._opened:
            transport.abort()
        await self.shutdown_asyncgens()
        # One iteration, in which the transports close their sockets.
        await asyncio.sleep(0)

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return await asyncio.wrap_future(_resolve(host, port, **options))


_resolving: dict[tuple[Any, ...], Future[Any]] = {}
_resolving_lock = forks.released_in_child(threading.Lock())


def _resolve(host: Any, port: Any, **options: Any) -> Future[Any]:
    """Resolve a name on a thread. A pending resolution of the same name is shared."""
    # With the process id: threads do not survive a fork.
    key = (getpid(), host, port, *sorted(options.items()))
    with _resolving_lock:
        if key not in _resolving:
            result = _resolving[key] = Future()
            result.set_running_or_notify_cancel()

            def resolve() -> None:
                try:
                    result.set_result(socket.getaddrinfo(host, port, **options))
                except Exception as error:
                    result.set_exception(error)
                finally:
                    with _resolving_lock:
                        del _resolving[key]

            threading.Thread(target=resolve, name="trust-otel name resolution", daemon=True).start()
        return _resolving[key]
