"""How a process ends, and what it exports last."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

Launcher = tuple[list[str], dict[str, str]]

# Sooner than the first export: what arrives, arrives at the end.
_NEVER = "3600000"

_COUNT_AND = """
import signal, sys, time
from trust_otel import get_metrics
get_metrics().record_audit_event("read")
"""
_WAIT = "print('ready', flush=True)\ntime.sleep(60)\n"
_SERVE = """
import uvicorn

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        print("ready", flush=True)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

uvicorn.run(app, port=0, log_level="critical")
"""


@contextmanager
def _started(launcher: Launcher, program: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command, bare = launcher
    process = subprocess.Popen(
        [*command, "-c", program],
        env={**bare, "OTEL_METRICS_EXPORTER": "console", "OTEL_METRIC_EXPORT_INTERVAL": _NEVER, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _ended_by(process: subprocess.Popen[str], number: int) -> str:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    return process.communicate(timeout=30)[0]


def _exported(output: str) -> dict[str, list[float]]:
    """The values of each metric in the last export; empty when there was none."""
    decoder, position, last = json.JSONDecoder(), 0, {}
    while (position := output.find("{\n", position)) >= 0:
        last, position = decoder.raw_decode(output, position)
    return {
        metric["name"]: [point.get("value", point.get("count")) for point in metric["data"]["data_points"]]
        for resource in last.get("resource_metrics", ())
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }


@pytest.mark.parametrize("program", [_COUNT_AND + _WAIT, _COUNT_AND + _SERVE], ids=["script", "uvicorn"])
def test_a_process_that_is_asked_to_end_exports_what_is_left_and_says_that_it_ends(
    launcher: Launcher, program: str
) -> None:
    with _started(launcher, program) as process:
        exported = _exported(_ended_by(process, signal.SIGTERM))
    assert exported["trust.audit.events"] == [1]
    assert exported["trust.otel.instance.up"] == [0]


@pytest.mark.parametrize("program", [_COUNT_AND + _WAIT, _COUNT_AND + _SERVE], ids=["script", "uvicorn"])
def test_it_is_seen_to_end_by_the_signal(launcher: Launcher, program: str) -> None:
    with _started(launcher, program) as process:
        _ended_by(process, signal.SIGTERM)
        assert process.returncode == -signal.SIGTERM


def test_a_program_that_comes_to_its_end_says_so(launcher: Launcher) -> None:
    with _started(launcher, _COUNT_AND) as process:
        exported = _exported(process.communicate(timeout=30)[0])
    assert process.returncode == 0
    assert exported["trust.otel.instance.up"] == [0]


def test_a_process_that_runs_is_up_and_one_that_is_killed_never_says_otherwise(launcher: Launcher) -> None:
    with _started(launcher, _COUNT_AND + "time.sleep(1)\n" + _WAIT, OTEL_METRIC_EXPORT_INTERVAL="200") as process:
        assert process.stdout is not None
        output = ""
        while "ready" not in output:
            output += process.stdout.readline()
        process.kill()
        output += process.communicate()[0]
    whole = output[: output.rindex("\n}\n") + 3]
    assert _exported(whole.replace("ready\n", ""))["trust.otel.instance.up"] == [1]


def test_a_handler_that_the_program_sets_stays_in_charge(launcher: Launcher) -> None:
    program = _COUNT_AND + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + _WAIT
    with _started(launcher, program) as process:
        exported = _exported(_ended_by(process, signal.SIGTERM))
        assert process.returncode == 7
    assert exported["trust.otel.instance.up"] == [0]


def test_a_telemetry_that_is_turned_off_leaves_the_signal_alone(launcher: Launcher) -> None:
    program = "import signal, time\nprint(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
    with _started(launcher, program, OTEL_SDK_DISABLED="true") as process:
        assert process.communicate(timeout=30)[0] == "True\n"
