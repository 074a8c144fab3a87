"""Sessions of a service with several processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import parsed
from trust_ops.stack.ports import free_ports

_PROGRAM = """
import multiprocessing, os, sys, urllib.request
from trust_otel import get_metrics

def in_child(done):
    metrics = get_metrics()
    metrics.observe_sessions(lambda: 7)
    metrics.session_ended()
    metrics.session_ended()
    done.send(1)
    done.recv()

if __name__ == "__main__":
    metrics = get_metrics()
    metrics.observe_sessions(lambda: 7)
    for _ in range(3):
        metrics.session_started()
    context = multiprocessing.get_context({method!r})
    mine, theirs = context.Pipe()
    child = context.Process(target=in_child, args=(theirs,))
    child.start()
    mine.recv()
    url = "http://localhost:" + os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"] + "/metrics"
    print(urllib.request.urlopen(url).read().decode())
    mine.send(1)
    child.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_shared_endpoint_adds_what_is_counted_and_not_what_is_stored(launched: Callable[..., Any], method: str) -> None:
    (port,) = free_ports(1)
    ended = launched(
        _PROGRAM.replace("{method!r}", repr(method)),
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(port),
        OTEL_SERVICE_NAME="signer",
    )
    assert ended.returncode == 0, ended.stderr
    samples = {name: value for (name, _), value in parsed(ended.stdout).items() if name.startswith("trust_session")}
    assert samples == {"trust_session_active": 1, "trust_session_stored": 7}
