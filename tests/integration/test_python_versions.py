"""Series lose no measurement in any Python that is installed here, with or without the GIL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.13t", "3.14", "3.14t")

_PROGRAM = """
import sys, threading
from trust_otel.recording.series import counter_series, histogram_series

sys.setswitchinterval(1e-6)
counter, histogram = counter_series({}), histogram_series({}, (1.0, 2.0))

def record():
    for _ in range(20_000):
        counter.add(1)
        histogram.record(0.5)
        histogram.record(3)

threads = [threading.Thread(target=record) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(counter.value, histogram.counts, histogram.sum)
"""

_MOVED = """
import sys, threading
from pathlib import Path
from trust_otel.recording import shared_cells
from trust_otel.semconv.metrics import HTTP_SERVER_REQUEST_DURATION, TRUST_AUDIT_EVENTS

sys.setswitchinterval(1e-6)
path = Path(sys.argv[1])
shared_cells.prepare_sharing(lambda: path)
counter = shared_cells.new_counter_series(TRUST_AUDIT_EVENTS, {})
histogram = shared_cells.new_histogram_series(HTTP_SERVER_REQUEST_DURATION, {})
begun = threading.Barrier(9)

def record():
    begun.wait()
    for _ in range(20_000):
        counter.add(1)
        histogram.record(1)

threads = [threading.Thread(target=record) for _ in range(8)]
for thread in threads:
    thread.start()
begun.wait()
shared_cells.start_sharing()
for thread in threads:
    thread.join()
print(counter.value, sum(histogram.counts), int(histogram.sum))
if isinstance(counter, shared_cells.SharedCounterSeries):
    numbers = {series.metric: series.numbers for series in shared_cells.read_series(path)}
    assert numbers[TRUST_AUDIT_EVENTS.name] == (160_000,), numbers
    assert sum(numbers[HTTP_SERVER_REQUEST_DURATION.name]) == 2 * 160_000, numbers
"""


def _interpreter(version: str) -> str | None:
    """The interpreter in the search path, or one that pyenv installed."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(pyenv.glob(f"versions/{version.removesuffix('t')}.*/bin/{name}"))
    return str(installed[-1]) if installed else shutil.which(name)


def _output(version: str, program: str, *arguments: str) -> str:
    interpreter = _interpreter(version)
    if interpreter is None:
        pytest.skip(f"Python {version} is not installed")
    # The packages that it imports are written in Python.
    packages = os.pathsep.join((str(_ROOT), sysconfig.get_path("purelib")))
    done = subprocess.run(
        [interpreter, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("version", _VERSIONS)
def test_concurrent_threads_lose_nothing(version: str) -> None:
    assert _output(version, _PROGRAM).split(maxsplit=1) == ["160000", "[160000, 0, 160000] 560000.0\n"]


@pytest.mark.parametrize("version", _VERSIONS)
def test_nothing_is_lost_when_numbers_move_to_a_file(version: str, tmp_path: Path) -> None:
    assert _output(version, _MOVED, str(tmp_path / "numbers")) == "160000 160000 160000\n"
