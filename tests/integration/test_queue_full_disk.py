"""A Collector without space for its queue refuses data, so that services keep it, and goes on once there is space."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.mounts import own_mounts

# Runs in a namespace in which it can mount a small file system.
_PROGRAM = """
import json, subprocess, sys
from pathlib import Path

import httpx

from tests.support.faulty_collector import HTTP, Exports, collector
from tests.support.running import counter_request, eventually
from trust_ops.stack import Stack
from trust_ops.stack.inputs import Inputs
from trust_ops.stack.ports import free_ports

directory = Path(sys.argv[1])
queue = directory / "collector" / "queue"
queue.mkdir(parents=True)
(port,) = free_ports(1)

def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", *options, "tmpfs", queue], check=True)

def statuses(name, count):
    requests = [counter_request(name, {"number": str(number), "text": "x" * 100_000}) for number in range(count)]
    return [
        httpx.post(
            f"{addresses.otlp_http}/v1/metrics",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
            trust_env=False,
        ).status_code
        for request in requests
    ]

mount("size=2m")
inputs = Inputs(collector_sends_to=f"http://127.0.0.1:{port}")
with Stack(directory, components=("collector",), inputs=inputs, on_progress=lambda _: None) as stack:
    addresses = stack.up()
    full = statuses("before", 40)
    mount("remount,size=64m")
    free = statuses("after", 5)
    with collector(HTTP, port, Exports()) as delivered:
        eventually(lambda: sum(delivered.values("after")), 5)
        before = sum(delivered.values("before"))
    print(json.dumps({"full": full, "free": free, "before": before, "crashed": stack.crashed()}))
"""


def test_full_disk_is_a_refusal_that_is_retried_and_loses_nothing_accepted(tmp_path: Path) -> None:
    done = subprocess.run(
        [*own_mounts(), sys.executable, "-c", _PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["full"]) == {200, 503}
    assert found["full"][-1] == 503
    assert found["free"] == [200] * 5
    assert found["before"] == found["full"].count(200)
    assert found["crashed"] == []
