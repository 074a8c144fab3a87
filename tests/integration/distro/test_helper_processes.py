"""Helper processes of the standard library run without the SDK."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from trust_otel.helper_processes import command

Launched = Callable[..., CompletedProcess[str]]
Launcher = tuple[list[str], dict[str, str]]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("python", ("", "")),
        ("python -", ("", "")),
        ("python service.py -m pip", ("", "")),
        ("python -B service.py -c x", ("", "")),
        ("python -- -m", ("", "")),
        ("python -m pip install -c x", ("m", "pip")),
        ("python -mpip", ("m", "pip")),
        ("python -Im ensurepip --upgrade", ("m", "ensurepip")),
        ("python -W ignore -X dev -B -m venv folder", ("m", "venv")),
        ("python -Wignore -Xdev -sm venv", ("m", "venv")),
        ("python --check-hash-based-pycs never -m venv", ("m", "venv")),
        ("python -W -m service.py", ("", "")),
        ("python -c pass", ("c", "pass")),
        ("python -Bcpass", ("c", "pass")),
        ("python -c", ("c", "")),
    ],
)
def test_option_of_the_python_command_line(arguments: str, found: tuple[str, str]) -> None:
    assert command(arguments.split()) == found


def _run(launcher: Launcher, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    prefix, environment = launcher
    return subprocess.run(
        [*prefix, *arguments],
        env={**environment, "OTEL_METRICS_EXPORTER": "console", "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def _imports_the_sdk(done: "subprocess.CompletedProcess[str]") -> bool:
    assert "opentelemetry.instrumentation.auto_instrumentation" in done.stderr
    return re.search(r"opentelemetry\.sdk|trust_otel\.(configurator|metrics|instrumentation)", done.stderr) is not None


def test_program_has_the_sdk(launcher: Launcher) -> None:
    assert _imports_the_sdk(_run(launcher, "-c", "pass"))


def test_resource_tracker_has_no_sdk(launcher: Launcher) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    code = f"from multiprocessing.resource_tracker import main;main({reading})"
    done = _run(launcher, "-c", code, pass_fds=[reading])
    os.close(reading)
    assert (done.returncode, done.stdout) == (0, "")
    assert not _imports_the_sdk(done)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["-m", "json.tool", "--compact"], '{"a":1}\n'),
        (["-m", "compileall", "-q", "-j2", "."], ""),
        (["-m", "zipfile", "--create", "made.zip", "source.py"], ""),
    ],
)
def test_tool_has_no_sdk(launcher: Launcher, tmp_path: Path, arguments: list[str], output: str) -> None:
    for number in range(3):
        (tmp_path / f"source{number or ''}.py").write_text("x = 1")
    done = _run(launcher, *arguments, cwd=tmp_path, input='{"a": 1}')
    assert (done.returncode, done.stdout) == (0, output)
    assert not _imports_the_sdk(done)


def test_program_with_the_name_of_a_tool_has_the_sdk(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "venv.py").write_text("")
    assert _imports_the_sdk(_run(launcher, "venv.py", cwd=tmp_path))


_FORK_SERVER = """
import multiprocessing, os

def work(name):
    from opentelemetry import metrics
    metrics.get_meter("test").create_counter("works").add(1)
    print("DISABLED", os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"), flush=True)

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    for name in "ab":
        process = context.Process(target=work, args=(name,))
        process.start()
        process.join()
        assert process.exitcode == 0
    (server,) = [
        entry for entry in os.listdir("/proc")
        if entry.isdigit() and "multiprocessing.forkserver" in open(f"/proc/{entry}/cmdline").read()
        and f"PPid:\\t{os.getpid()}\\n" in open(f"/proc/{entry}/status").read()
    ]
    print("SERVER THREADS", len(os.listdir(f"/proc/{server}/task")))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_fork_server_has_no_threads_and_its_children_are_measured(launched: Launched) -> None:
    done = launched(
        _FORK_SERVER,
        OTEL_METRICS_EXPORTER="console",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="trust_grpc",
        OTEL_RESOURCE_ATTRIBUTES="service.instance.id=pod-7",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "SERVER THREADS 1\n" in done.stdout
    assert done.stdout.count("DISABLED trust_grpc\n") == 2
    # Both children, and the main process at exit, each with its own id.
    assert len(set(re.findall(r'"service.instance.id": "(pod-7-[0-9a-f]{12})"', done.stdout))) == 3
    assert done.stdout.count('"name": "works"') == 2
