"""Every process of a service has its own `service.instance.id` and counts, however it was started."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

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
    context = multiprocessing.get_context({!r})
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
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
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


@pytest.mark.parametrize(
    ("program", "processes"),
    [
        *[(_MULTIPROCESSING.format(method), 3) for method in ("fork", "spawn", "forkserver")],
        (_POOL, 2),
        (_FORK, 3),
        (_SUBPROCESS, 3),
    ],
)
def test_configured_id_is_kept_and_unique(launched: Launched, tmp_path: Path, program: str, processes: int) -> None:
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
def test_id_in_a_configuration_file_is_kept_and_unique(
    launched: Launched, tmp_path: Path, program: str, processes: int
) -> None:
    (tmp_path / "otel.yaml").write_text(_FILE)
    found = _instances(launched, tmp_path, program, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert len(set(found)) == processes
    assert all(re.fullmatch("pod-7-[0-9a-f]{12}", instance) for instance in found)


def test_configuration_file_without_an_id_gets_one(launched: Launched, tmp_path: Path) -> None:
    (tmp_path / "otel.yaml").write_text("\n".join(line for line in _FILE.splitlines() if "instance.id" not in line))
    found = _instances(launched, tmp_path, _SUBPROCESS, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert len(set(found)) == 3


_COUNTING = """
import os
from opentelemetry import metrics
from trust_otel import get_metrics

counter = metrics.get_meter("test").create_counter("works")
provider = metrics.get_meter_provider()

def work(times):
    for _ in range(times):
        counter.add(1)
        get_metrics().record_audit_event("read")
        with get_metrics().certificate_operation("validation"):
            pass

work(5)
{before_fork}
if not os.fork():
    work(1)
    provider.force_flush()
    if not os.fork():
        work(2)
        provider.force_flush()
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
work(1)
"""


@pytest.mark.parametrize("before_fork", ["", "provider.force_flush()"])
def test_forked_process_counts_from_zero(launched: Launched, before_fork: str) -> None:
    done = launched(_COUNTING.format(before_fork=before_fork), OTEL_METRICS_EXPORTER="console")
    assert (done.returncode, done.stderr) == (0, "")
    counts: dict[str, dict[str, int]] = {}
    for document in _documents(done.stdout):
        (resource,) = document["resource_metrics"]
        of_instance = counts.setdefault(resource["resource"]["attributes"]["service.instance.id"], {})
        for scope in resource["scope_metrics"]:
            for metric in scope["metrics"]:
                if metric["name"] in ("works", "trust.audit.events", "trust.certificate.operation.duration"):
                    points = metric["data"]["data_points"]
                    of_instance[metric["name"]] = sum(point.get("value", point.get("count")) for point in points)
    assert sorted(tuple(of_instance.values()) for of_instance in counts.values()) == [(1,) * 3, (2,) * 3, (6,) * 3]


_BUSY = """
import os, time
from opentelemetry import metrics

while time.process_time() < 3:
    pass
if not os.fork():
    metrics.get_meter_provider().force_flush()
    os._exit(0)
os.wait()
os._exit(0)
"""


def test_forked_process_exports_its_own_process_metrics(launched: Launched) -> None:
    done = launched(_BUSY, OTEL_METRICS_EXPORTER="console", OTEL_METRIC_EXPORT_INTERVAL="600000")
    (document,) = _documents(done.stdout)
    seconds = [
        point["value"]
        for scope in document["resource_metrics"][0]["scope_metrics"]
        for metric in scope["metrics"]
        if metric["name"] == "process.cpu.time"
        for point in metric["data"]["data_points"]
    ]
    assert 0 <= sum(seconds) < 2


def _documents(output: str) -> list[dict[str, Any]]:
    """The JSON documents of the console exporter."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while (position := output.find("{\n", position)) >= 0:
        document, position = decoder.raw_decode(output, position)
        found.append(document)
    return found
