"""The end of a process: the last export of metrics, spans and log records, within one deadline.

It runs once in every process that ends in order: at the end of the program, at the end of a child process of
multiprocessing, which ends without `atexit`, and before SIGTERM ends the process by its default action. `os._exit` is
not patched: its callers expect that nothing else runs.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

from trust_otel import helper_processes
from trust_otel.background import block_signals, restore_signals
from trust_otel.export import sigterm
from trust_otel.sdk_private import installed_providers, is_shut_down, stop_retrying

_logger = logging.getLogger(__name__)

SETTING = "TRUST_OTEL_SHUTDOWN_TIMEOUT"

begun = threading.Event()
"""Set when the process has begun to end in order."""

# After the finalizers of the program, which may still record.
_LAST = -100

# Where the SDK complains of what comes after its end, such as a library that the program still imports.
_SDK_LOGGERS = (
    "opentelemetry.sdk.metrics._internal",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk._logs._internal.export",
)


class Shutdown:
    """Shuts providers down side by side, once.

    Args:
        providers: The SDK's providers, by what they export.
        seconds: Deadline for all of them together.
    """

    def __init__(self, providers: Mapping[str, Any], seconds: float) -> None:
        self._providers = providers
        self._seconds = seconds
        self._prepare()

    def _prepare(self) -> None:
        # The threads start now: from Python 3.12 on, none can start once the interpreter ends.
        self._tasks = {signal: _Task(signal, provider) for signal, provider in self._providers.items()}
        self._first = threading.Lock()
        self._finished = threading.Event()

    def restart_after_fork(self) -> None:
        """Prepare a child process, which has none of its parent's threads."""
        begun.clear()
        self._prepare()

    def __call__(self) -> None:
        """Export for the last time; whoever calls later waits for the first caller."""
        if not self._first.acquire(blocking=False):
            self._finished.wait(self._seconds)
            return
        deadline = monotonic() + self._seconds
        begun.set()
        for provider in self._providers.values():
            stop_retrying(provider)
        for task in self._tasks.values():
            task.begin()
        late = [signal for signal, task in self._tasks.items() if not task.finished(deadline - monotonic())]
        if late:
            _logger.warning(
                "trust-otel: the last export did not finish within %s=%g seconds; the %s that were not exported yet "
                "are lost. Check that the Collector is up and answers, or allow more time",
                SETTING,
                self._seconds,
                ", ".join(late),
            )
        self._finished.set()


class _Task:
    """A thread that waits to shut one provider down."""

    def __init__(self, name: str, provider: Any) -> None:
        self._name = name
        self._provider = provider
        self._asked = threading.Event()
        self._finished = threading.Event()
        threading.Thread(target=self._run, name=f"trust-otel-shutdown-{name}", daemon=True).start()

    def begin(self) -> None:
        self._asked.set()

    def finished(self, seconds: float) -> bool:
        return self._finished.wait(max(0.0, seconds))

    def _run(self) -> None:
        self._asked.wait()
        try:
            if not is_shut_down(self._provider):
                self._provider.shutdown()
        except Exception:
            _logger.exception("trust-otel: the last export of %s failed", self._name)
        finally:
            self._finished.set()


def shut_down_at_end(seconds: float) -> None:
    """Have every way in which this process may end in order run the last export of the providers that are set up."""
    providers = installed_providers()
    if not providers:
        return
    for provider in providers.values():
        # They would come one after the other, each with a deadline of its own.
        atexit.unregister(provider.shutdown)
    shutdown = Shutdown(providers, seconds)
    for name in _SDK_LOGGERS:
        logging.getLogger(name).addFilter(_before_the_end)
    on_sigterm = sigterm.install(shutdown, seconds)
    atexit.register(_at_exit, shutdown, on_sigterm)
    if hasattr(os, "register_at_fork"):
        _cover_forks(shutdown, on_sigterm)
    if helper_processes.is_fork_server():
        # A child of the server, which has no SDK itself: the fork that the child comes from is over.
        _cover_end_of_child(shutdown, on_sigterm)


def _before_the_end(record: logging.LogRecord) -> bool:
    """Whether the process runs, or the record is about something else than that it has ended."""
    return not begun.is_set() or "shutdown" not in record.getMessage()


def _at_exit(shutdown: Shutdown, on_sigterm: sigterm.ExportOnSigterm | None) -> None:
    # Ctrl+C ends the wait.
    with suppress(KeyboardInterrupt):
        shutdown()
    if on_sigterm is None:
        return
    if on_sigterm.received:
        on_sigterm.wait_for_end()
    # The thread that receives the signal does not outlive the interpreter.
    on_sigterm.uninstall()


def _cover_forks(shutdown: Shutdown, on_sigterm: sigterm.ExportOnSigterm | None) -> None:
    forking = threading.local()

    def before() -> None:
        # The child must not receive a signal before it has a handler of its own, nor pass it on to its parent.
        forking.mask = block_signals()

    def after() -> None:
        restore_signals(forking.mask)

    def in_child() -> None:
        try:
            if on_sigterm is not None:
                on_sigterm.restart_after_fork()
            shutdown.restart_after_fork()
            _cover_end_of_child(shutdown, on_sigterm)
        finally:
            after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=in_child)


def _cover_end_of_child(shutdown: Shutdown, on_sigterm: sigterm.ExportOnSigterm | None) -> None:
    """Child processes of multiprocessing run their finalizers, not `atexit`, when they end."""
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        # It drops all finalizers after the fork and calls this then.
        util.register_after_fork(
            shutdown, lambda _: util.Finalize(None, _at_exit, (shutdown, on_sigterm), exitpriority=_LAST)
        )
