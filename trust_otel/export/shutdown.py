"""Shutdown: the last export of metrics, spans and log records, within one deadline.

It runs once in every process: at exit, at the exit of a child process of multiprocessing, which does not run `atexit`,
before a signal terminates the process by its default action, and at the end of a process of Celery's prefork pool.
`os._exit` is not patched: its callers expect that nothing else runs.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from wrapt import register_post_import_hook

from trust_otel import helper_processes
from trust_otel.background import block_signals, restore_signals
from trust_otel.export import signals
from trust_otel.export.export_state import ExportState
from trust_otel.export.otlp import components_of
from trust_otel.export.signals import ExportOnSignal
from trust_otel.sdk_private import installed_providers, is_shut_down, stop_retrying

_logger = logging.getLogger(__name__)

SETTING = "TRUST_OTEL_SHUTDOWN_TIMEOUT"

started = threading.Event()
"""Set when a clean shutdown has started."""

# After the finalizers of the program, which may still record.
_LAST_PRIORITY = -100

# The SDK logs a warning for every use after shutdown, such as by a library that is imported later.
_SDK_LOGGERS = (
    "opentelemetry.sdk.metrics._internal",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk._logs._internal.export",
)


class Shutdown:
    """Shuts providers down in parallel, once.

    Args:
        providers: The SDK's providers, by signal.
        seconds: Timeout for all of them together.
    """

    def __init__(self, providers: Mapping[str, Any], seconds: float) -> None:
        self._providers = providers
        self._seconds = seconds
        self._prepare()

    def _prepare(self) -> None:
        # The threads start now: from Python 3.12 on, none can be started at interpreter shutdown.
        self._tasks = {signal: _Task(signal, provider) for signal, provider in self._providers.items()}
        self._first = threading.Lock()
        self._finished = threading.Event()

    def restart_after_fork(self) -> None:
        """Start the threads again in a child process, which has none of its parent's."""
        started.clear()
        self._prepare()

    def __call__(self) -> None:
        """Run the last export; later callers wait for the first."""
        if not self._first.acquire(blocking=False):
            self._finished.wait(self._seconds)
            return
        deadline = monotonic() + self._seconds
        started.set()
        for provider in self._providers.values():
            stop_retrying(provider)
        for task in self._tasks.values():
            task.begin()
        late = [signal for signal, task in self._tasks.items() if not task.finished(deadline - monotonic())]
        if late:
            _logger.warning(
                "trust-otel: the last export did not finish within %s=%g seconds; the %s that were not exported "
                "are lost. Check that the Collector responds, or increase the timeout",
                SETTING,
                self._seconds,
                ", ".join(late),
            )
        for signal, task in self._tasks.items():
            if signal not in late and (problem := task.problem()) is not None:
                _logger.warning(
                    "trust-otel: the last export of %s failed, and what was recorded since the one before is lost: %s",
                    signal,
                    problem,
                )
        self._finished.set()


class _Task:
    """A thread that shuts one provider down after `begin`."""

    def __init__(self, name: str, provider: Any) -> None:
        self._name = name
        self._provider = provider
        self._requested = threading.Event()
        self._finished = threading.Event()
        threading.Thread(target=self._run, name=f"trust-otel-shutdown-{name}", daemon=True).start()

    def begin(self) -> None:
        self._requested.set()

    def finished(self, seconds: float) -> bool:
        return self._finished.wait(max(0.0, seconds))

    def problem(self) -> str | None:
        """Why the last export was not accepted; `None` if it was."""
        return next(
            (
                state.problem
                for state in components_of(self._provider)
                if isinstance(state, ExportState) and state.problem is not None
            ),
            None,
        )

    def _run(self) -> None:
        self._requested.wait()
        try:
            if not is_shut_down(self._provider):
                self._provider.shutdown()
        except Exception:
            _logger.exception("trust-otel: the last export of %s failed", self._name)
        finally:
            self._finished.set()


def shut_down_at_exit(seconds: float) -> None:
    """Run the last export of the installed providers at every clean shutdown of this process."""
    providers = installed_providers()
    if not providers:
        return
    for provider in providers.values():
        # The SDK's own handlers would run one after the other, each with its own timeout.
        atexit.unregister(provider.shutdown)
    shutdown = Shutdown(providers, seconds)
    for name in _SDK_LOGGERS:
        logging.getLogger(name).addFilter(_is_no_shutdown_warning)
    on_signals = signals.install(shutdown, seconds)
    atexit.register(_at_exit, shutdown, on_signals)
    if hasattr(os, "register_at_fork"):
        _handle_forks(shutdown, on_signals)
    if helper_processes.is_fork_server():
        # This is a child of the fork server: its fork is already over, so the handlers for forks do not run in it.
        _shut_down_at_child_exit(shutdown, on_signals)
    register_post_import_hook(partial(_shut_down_in_celery, shutdown, on_signals), "celery.signals")


def _is_no_shutdown_warning(record: logging.LogRecord) -> bool:
    """Pass a record, unless it is the SDK's warning about a use after shutdown."""
    return not started.is_set() or "shutdown" not in record.getMessage()


def _at_exit(shutdown: Shutdown, on_signals: tuple[ExportOnSignal, ...]) -> None:
    # Ctrl+C interrupts the wait.
    with suppress(KeyboardInterrupt):
        shutdown()
    for each in on_signals:
        if each.received:
            each.wait_for_end()
        # The thread that waits for the signal does not survive interpreter shutdown.
        each.uninstall()


def _handle_forks(shutdown: Shutdown, on_signals: tuple[ExportOnSignal, ...]) -> None:
    forking = threading.local()

    def before() -> None:
        # Until the child has its own handler, a signal in it would be handled by its parent.
        forking.mask = block_signals()

    def after() -> None:
        restore_signals(forking.mask)

    def in_child() -> None:
        try:
            for each in on_signals:
                each.restart_after_fork()
            shutdown.restart_after_fork()
            _shut_down_at_child_exit(shutdown, on_signals)
        finally:
            after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=in_child)


def _shut_down_at_child_exit(shutdown: Shutdown, on_signals: tuple[ExportOnSignal, ...]) -> None:
    """Run the last export when a child process of multiprocessing exits: it runs finalizers, but not `atexit`."""
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        # multiprocessing clears all finalizers after the fork, then calls this.
        util.register_after_fork(
            shutdown, lambda _: util.Finalize(None, _at_exit, (shutdown, on_signals), exitpriority=_LAST_PRIORITY)
        )


def _shut_down_in_celery(shutdown: Shutdown, on_signals: tuple[ExportOnSignal, ...], signals: Any) -> None:
    """Run the last export when a process of Celery's prefork pool ends, with `os._exit`."""
    # Not a weak reference: nothing else holds the function.
    signals.worker_process_shutdown.connect(lambda **_: _at_exit(shutdown, on_signals), weak=False)
