"""Each process of a service has a `service.instance.id` of its own, however it was started."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Launched = Callable[..., CompletedProcess[str]]

_SAY = """
def say():
    from opentelemetry import trace
    print("INSTANCE", trace.get_tracer_provider().resource.attributes["service.instance.id"], flush=True)
"""

_MULTIPROCESSING = """
import multiprocessing
from said import say

if __name__ == "__main__":
    say()
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        for _ in range(2):
            child = context.Process(target=say)
            child.start()
            child.join()
"""

_POOL = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from said import say

if __name__ == "__main__":
    say()
    for method in ("spawn", "forkserver"):
        with ProcessPoolExecutor(1, get_context(method)) as pool:
            pool.submit(say).result()
"""

_FORK = """
import os
from said import say

say()
for _ in range(2):
    if not (child := os.fork()):
        say()
        os._exit(0)
    os.waitpid(child, 0)
"""

_SUBPROCESS = """
import subprocess, sys
from said import say

say()
for _ in range(2):
    subprocess.run([sys.executable, "-c", "from said import say; say()"], check=True)
"""

_FILE = """
file_format: "1.0"
resource:
  attributes:
    - {name: service.name, value: from-file}
    - {name: service.instance.id, value: pod-7}
tracer_provider: {processors: [{simple: {exporter: {console: {}}}}]}
"""


def _instances(launched: Launched, folder: Path, program: str, **environment: str) -> list[str]:
    (folder / "said.py").write_text(_SAY)
    done = launched(program, **environment)
    assert done.returncode == 0, done.stderr
    return re.findall("^INSTANCE (.*)$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(("program", "processes"), [(_MULTIPROCESSING, 7), (_POOL, 3), (_FORK, 3), (_SUBPROCESS, 3)])
def test_given_id_is_kept_and_unique(launched: Launched, tmp_path: Path, program: str, processes: int) -> None:
    found = _instances(
        launched,
        tmp_path,
        program,
        OTEL_RESOURCE_ATTRIBUTES="service.instance.id=pod-7",
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="none",
    )
    assert len(set(found)) == processes
    assert all(re.fullmatch("pod-7-[0-9a-f]{12}", instance) for instance in found)


@pytest.mark.parametrize(("program", "processes"), [(_FORK, 3), (_SUBPROCESS, 3)])
def test_id_given_in_a_declarative_file_is_kept_and_unique(
    launched: Launched, tmp_path: Path, program: str, processes: int
) -> None:
    (tmp_path / "otel.yaml").write_text(_FILE)
    found = _instances(launched, tmp_path, program, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert len(set(found)) == processes
    assert all(re.fullmatch("pod-7-[0-9a-f]{12}", instance) for instance in found)


def test_declarative_file_without_an_id_gets_one(launched: Launched, tmp_path: Path) -> None:
    (tmp_path / "otel.yaml").write_text("\n".join(line for line in _FILE.splitlines() if "instance.id" not in line))
    found = _instances(launched, tmp_path, _SUBPROCESS, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert len(set(found)) == 3
