"""Programs have the same output and exit status with trust-otel as without it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, Signals
from textwrap import dedent
from typing import Any

import pytest

from benchmarks.servers.receiver import OtlpReceiver

_AT_A_TIME = 2
_SECONDS = 120.0
# From the first signal. Less than the 10 s after which `docker stop` kills. Includes the last export.
_SECONDS_MORE = 8.0
_READY = "ready\n"
_SETTLE_SECONDS = 0.5


@dataclass(frozen=True)
class Program:
    """A program, and the signals that it receives once it has printed "ready"."""

    name: str
    source: str
    signals: tuple[Signals, ...] = ()
    arguments: tuple[str, ...] = ("program.py",)

    def __str__(self) -> str:
        return self.name


def _multiprocessing(method: str) -> str:
    return f"""
        import multiprocessing, sys

        def square(number):
            return number * number

        def end(status):
            print("child", flush=True)
            sys.exit(status)

        def fail():
            raise ValueError("in a child")

        def wait():
            import time
            time.sleep(60)

        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            with context.Pool(2) as pool:
                print(pool.map(square, range(5)), flush=True)
            for target, arguments in ((square, (2,)), (end, (3,)), (fail, ())):
                process = context.Process(target=target, args=arguments, name="child")
                process.start()
                process.join()
                print(process.exitcode, flush=True)
            process = context.Process(target=wait)
            process.start()
            process.terminate()
            process.join()
            print(process.exitcode, flush=True)
            sys.exit(4)
    """


_WAIT = """
    import time
    print("ready", flush=True)
    time.sleep(60)
"""

_PROGRAMS = (
    # Exit without a signal.
    Program("ends", "print('end')"),
    Program("SystemExit with a number", "raise SystemExit(3)"),
    Program("SystemExit with a message", "raise SystemExit('a message')"),
    Program("-c", "", arguments=("-c", "import sys; print(sys.argv, __name__, sys.flags.no_site); sys.exit(3)", "x")),
    Program("-m", "import sys; print(__name__, len(sys.argv)); sys.exit(3)", arguments=("-m", "program", "x")),
    Program("warnings are errors", "print('end')", arguments=("-W", "error", "program.py")),
    Program("os._exit", "import os; print('not flushed'); os._exit(4)"),
    Program("unhandled exception", "raise ValueError('a value') from KeyError('a key')"),
    Program(
        "unhandled exception in a thread",
        """
        import threading
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
        """,
    ),
    Program(
        "thread that outlives the main thread",
        """
        import sys, threading, time
        def run():
            time.sleep(0.5)
            print("thread ends", flush=True)
        threading.Thread(target=run).start()
        sys.exit(3)
        """,
    ),
    Program(
        "atexit",
        """
        import atexit, sys
        atexit.register(print, "first registered")
        atexit.register(lambda: 1 / 0)
        atexit.register(print, "last registered")
        sys.exit(3)
        """,
    ),
    Program(
        "logging and warnings without configuration",
        """
        import logging, warnings
        logging.getLogger("service").warning("a warning")
        logging.getLogger("service").info("not shown")
        warnings.warn("an old call", DeprecationWarning)
        print(logging.getLogger().handlers, logging.getLogger().level)
        logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
        logging.getLogger("service").info("shown")
        """,
    ),
    Program("exec", "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(5)'])"),
    # Other processes.
    Program(
        "subprocess",
        """
        import subprocess, sys
        found = subprocess.run(
            [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(6)"],
            capture_output=True, text=True,
        )
        print(found.stdout, found.stderr, found.returncode)
        child = subprocess.Popen([sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(60)"],
                                 stdout=subprocess.PIPE)
        child.stdout.readline()
        child.terminate()
        print(child.wait())
        """,
    ),
    Program(
        "os.fork",
        """
        import os, sys
        for end in (os._exit, sys.exit):
            if os.fork() == 0:
                print("child", flush=True)
                end(7)
            print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        """,
    ),
    Program("multiprocessing by fork", _multiprocessing("fork")),
    Program("multiprocessing by spawn", _multiprocessing("spawn")),
    Program("multiprocessing by forkserver", _multiprocessing("forkserver")),
    Program(
        "telemetry after the last export",
        """
        import multiprocessing, multiprocessing.util
        from opentelemetry import metrics

        def late():
            metrics.get_meter("late").create_counter("late").add(1)
            print("late", flush=True)

        def child():
            multiprocessing.util.Finalize(None, late, exitpriority=-200)

        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join()
            print(process.exitcode)
        """,
    ),
    Program(
        "ProcessPoolExecutor",
        """
        import os
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool

        if __name__ == "__main__":
            with ProcessPoolExecutor(2) as pool:
                print(list(pool.map(abs, range(-3, 3))))
            with ProcessPoolExecutor(1) as pool:
                try:
                    pool.submit(os._exit, 1).result()
                except BrokenProcessPool as error:
                    print("broken", error)
        """,
    ),
    Program(
        "work that is left to a ThreadPoolExecutor",
        """
        import sys, time
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        for number in range(3):
            pool.submit(lambda number=number: (time.sleep(0.1), print(number, flush=True)))
        sys.exit(3)
        """,
    ),
    # Signals without a handler.
    *(Program(signal.name, _WAIT, (signal,)) for signal in (SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGKILL)),
    Program(
        "SIGTERM does not unwind",
        """
        import atexit, time
        atexit.register(print, "atexit")
        try:
            print("ready", flush=True)
            time.sleep(60)
        except BaseException as error:
            print("caught", repr(error), flush=True)
        finally:
            print("finally", flush=True)
        """,
        (SIGTERM,),
    ),
    Program(
        "SIGTERM ends a program that catches everything",
        """
        import time
        print("ready", flush=True)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                time.sleep(60)
            except BaseException:
                pass
        """,
        (SIGTERM,),
    ),
    Program(
        "SIGTERM does not wait for threads",
        """
        import threading, time
        threading.Thread(target=time.sleep, args=(30,)).start()
        print("ready", flush=True)
        time.sleep(60)
        """,
        (SIGTERM,),
    ),
    Program(
        "SIGTERM in asyncio",
        """
        import asyncio
        async def main():
            try:
                print("ready", flush=True)
                await asyncio.sleep(60)
            finally:
                print("finally", flush=True)
        asyncio.run(main())
        """,
        (SIGTERM,),
    ),
    Program(
        "SIGINT in asyncio",
        """
        import asyncio, sys
        sys.tracebacklimit = 0
        async def main():
            try:
                print("ready", flush=True)
                await asyncio.sleep(60)
            finally:
                print("finally", flush=True)
        asyncio.run(main())
        """,
        (SIGINT,),
    ),
    Program("SIGTERM twice", _WAIT, (SIGTERM, SIGTERM)),
    # Signals with a handler, or ignored.
    Program(
        "handler of SIGTERM",
        """
        import signal, sys, time
        def handle(number, frame):
            print("handled", number, frame.f_code.co_name, flush=True)
            sys.exit(5)
        print(signal.signal(signal.SIGTERM, handle) is not None, flush=True)
        print("ready", flush=True)
        time.sleep(60)
        """,
        (SIGTERM,),
    ),
    Program(
        "handler of SIGTERM in asyncio",
        """
        import asyncio, signal
        async def main():
            stopped = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
            print("ready", flush=True)
            await stopped.wait()
            asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
            print("stopped", flush=True)
        asyncio.run(main())
        """,
        (SIGTERM,),
    ),
    Program(
        "SIGTERM is ignored",
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(3)
        print("end", flush=True)
        """,
        (SIGTERM,),
    ),
    Program(
        "handlers that the program finds",
        """
        import signal
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
            print(signal.getsignal(number), number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        """,
    ),
    Program(
        "handler of SIGTERM that calls the one before",
        """
        import signal, time
        previous = signal.getsignal(signal.SIGTERM)
        def handle(number, frame):
            if callable(previous):
                previous(number, frame)
            print("handled", flush=True)
            raise SystemExit(5)
        signal.signal(signal.SIGTERM, handle)
        print("ready", flush=True)
        time.sleep(60)
        """,
        (SIGTERM,),
    ),
    Program(
        "sigwait for SIGTERM",
        """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        print("ready", flush=True)
        print(signal.sigwait({signal.SIGTERM}))
        """,
        (SIGTERM,),
    ),
    Program(
        "faulthandler on SIGTERM",
        """
        import faulthandler, signal, sys, time
        faulthandler.register(signal.SIGTERM, file=sys.stdout, all_threads=False)
        print("ready", flush=True)
        time.sleep(3)
        print("end")
        """,
        (SIGTERM,),
    ),
    Program(
        "handler is restored to the default",
        """
        import signal, time
        previous = signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, previous)
        print("ready", flush=True)
        time.sleep(60)
        """,
        (SIGTERM,),
    ),
)


@dataclass(frozen=True)
class Result:
    """The observable behaviour of a program."""

    output: str
    errors: str
    status: int
    seconds_to_end: float
    """From the first signal; without one, from the start."""


def _run(program: Program, folder: Path, launcher: list[str], environment: dict[str, str]) -> Result:
    process = subprocess.Popen(
        [*launcher, sys.executable, *program.arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        return _watched(process, program.signals)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)
        process.wait()


def _watched(process: subprocess.Popen[str], signals: tuple[Signals, ...]) -> Result:
    before = ""
    if signals:
        assert process.stdout is not None
        while not before.endswith(_READY) and (line := process.stdout.readline()):
            before += line
        # Python raises an error on print in a handler that interrupted a print.
        time.sleep(_SETTLE_SECONDS)
    begun = time.monotonic()
    for signal in signals:
        process.send_signal(signal)
    output, errors = process.communicate(timeout=_SECONDS)
    return Result(before + output, errors, process.returncode, time.monotonic() - begun)


def _comparable(text: str) -> str:
    """The text without memory addresses, process ids and times."""
    return re.sub(r"0x[0-9a-f]+|\d{4,}", "N", text)


Pair = tuple[Result, Result]


@pytest.fixture(scope="module")
def pairs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Program], Pair]]:
    """A run without and a run with trust-otel of each selected program, started before its test."""
    chosen: list[Any] = [
        item.callspec.params["program"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    launcher = [str(Path(sys.executable).with_name("opentelemetry-instrument"))]
    with OtlpReceiver() as receiver, ThreadPoolExecutor(2 * _AT_A_TIME) as pool:
        launched = {
            **bare,
            "OTEL_SERVICE_NAME": "compared",
            "OTEL_PYTHON_DISTRO": "trust_distro",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        started: dict[Program, tuple[Future[Result], Future[Result]]] = {}
        for program in chosen:
            folder = tmp_path_factory.mktemp("program")
            (folder / "program.py").write_text(dedent(program.source))
            started[program] = (
                pool.submit(_run, program, folder, [], bare),
                pool.submit(_run, program, folder, launcher, launched),
            )
        try:
            yield lambda program: (started[program][0].result(), started[program][1].result())
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", _PROGRAMS, ids=str)
def test_output_and_exit_are_as_without_trust_otel(program: Program, pairs: Callable[[Program], Pair]) -> None:
    plain, instrumented = pairs(program)

    assert _comparable(instrumented.output) == _comparable(plain.output)
    assert _comparable(instrumented.errors) == _comparable(plain.errors)
    assert instrumented.status == plain.status
    if program.signals:
        assert instrumented.seconds_to_end < max(plain.seconds_to_end + _SECONDS_MORE, 5 * plain.seconds_to_end)
