"""Thread pools in processes that fork, and in services whose code is unchanged."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

Launched = Callable[..., "subprocess.CompletedProcess[str]"]


_FORK = """
import os, threading
from concurrent.futures import ThreadPoolExecutor
from trust_otel.instrumentation.executors import ExecutorInstrumentor
from trust_otel import TrustServiceMetrics
from trust_otel.metrics import recorder_of

made = []
metrics = TrustServiceMetrics()
recorder_of(metrics).executors.observe_executors = made.append
ExecutorInstrumentor().instrument(metrics=metrics)
started, go_on = threading.Event(), threading.Event()
pool, idle = ThreadPoolExecutor(1, "busy"), ThreadPoolExecutor(1, "idle")
pool.submit(lambda: (started.set(), go_on.wait(30)))
waiting = pool.submit(int)
started.wait(30)
child = os.fork()
if child == 0:
    assert idle.submit(int, "7").result(30) == 7
    assert waiting.cancel()
    print(sorted((state.name, state.active, state.max, state.queued) for state in made[0]()), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(sorted((state.name, state.active, state.max, state.queued) for state in made[0]()))
go_on.set()
"""


_SERVICE = """
import asyncio

async def main():
    await asyncio.to_thread(int)

asyncio.run(main())
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(5, "signer-1")
pool.submit(int).result()
"""


class TestProcess:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
    def test_child_process_has_no_work_of_its_parent(self) -> None:
        done = subprocess.run([sys.executable, "-c", _FORK], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.splitlines() == [
            "[('busy', 0, 1, 0), ('idle', 0, 1, 0)]",
            "[('busy', 1, 1, 1), ('idle', 0, 1, 0)]",
        ]
        assert done.stderr == ""

    def test_service_without_code_changes_is_measured(self, launched: Launched) -> None:
        done = launched(_SERVICE, OTEL_METRICS_EXPORTER="console")
        assert (done.returncode, done.stderr) == (0, "")
        assert '"trust.executor.name": "signer"' in done.stdout

    def test_anyio_and_cryptography_are_optional(self) -> None:
        program = (
            "import sys; import trust_otel.instrumentation.executors; "
            "print(sorted({'anyio', 'cryptography', 'starlette'} & sys.modules.keys()))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == "[]\n"
