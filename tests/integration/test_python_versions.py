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


def _interpreter(version: str) -> str | None:
    """The interpreter in the search path, or one that pyenv installed."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(pyenv.glob(f"versions/{version.removesuffix('t')}.*/bin/{name}"))
    return str(installed[-1]) if installed else shutil.which(name)


@pytest.mark.parametrize("version", _VERSIONS)
def test_concurrent_threads_lose_nothing(version: str) -> None:
    interpreter = _interpreter(version)
    if interpreter is None:
        pytest.skip(f"Python {version} is not installed")
    # The packages that it imports are written in Python.
    packages = os.pathsep.join((str(_ROOT), sysconfig.get_path("purelib")))
    done = subprocess.run(
        [interpreter, "-c", _PROGRAM],
        env={**os.environ, "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split(maxsplit=1) == ["160000", "[160000, 0, 160000] 560000.0\n"]
