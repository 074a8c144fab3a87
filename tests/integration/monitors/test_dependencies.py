"""Background checks in processes that exit or fork."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.unit.monitors.dependencies.conftest import Serve, Server, hang, say

PONG = b"+PONG\r\n"


def test_only_required_client_libraries_are_imported(serve: Serve) -> None:
    program = """
import sys
from trust_otel.monitors.dependencies import check
from trust_otel.setting_lists import Dependency
assert check(Dependency("cache", "cache", sys.argv[1]), 5).up
assert not {"httpcore", "httpx", "psycopg", "grpc", "redis"} & set(sys.modules)
"""
    address = f"redis://127.0.0.1:{serve(say(PONG)).port}"
    subprocess.run([sys.executable, "-c", program, address], check=True, timeout=60)


_BEGIN = """
import os, time
import psutil
from trust_otel.monitors.dependencies import DependencyInstrumentor, monitor

monitor._INITIAL_DELAY_SECONDS = 0.0

def wait_for_connections(number):
    deadline = time.monotonic() + 30
    while len(psutil.Process().net_connections()) < number:
        assert time.monotonic() < deadline, "the checks did not start"
        time.sleep(0.01)

DependencyInstrumentor().instrument()
wait_for_connections(4)
"""


def run(program: str, serve: Serve, **variables: str) -> tuple[str, list[Server]]:
    """Run a program with four checks in progress. Returns its output, and the checked servers."""
    servers = {scheme: serve(hang) for scheme in ("http", "postgresql", "redis", "grpc")}
    entries = ",".join(f"{scheme}={scheme}://127.0.0.1:{server.port}" for scheme, server in servers.items())
    settings = {"TRUST_OTEL_DEPENDENCIES": entries, "TRUST_OTEL_DEPENDENCY_TIMEOUT": "50"}
    ended = subprocess.run(
        [sys.executable, "-W", "default", "-c", _BEGIN + program],
        env={**os.environ, **settings, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout, list(servers.values())


def test_process_exits_immediately_during_checks(serve: Serve) -> None:
    printed, _ = run("print(time.monotonic())", serve)
    assert time.monotonic() - float(printed) < 2


# gRPC crashes or hangs in a child process that was forked during a call.
_FORKS = """
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

def call():
    with grpc.insecure_channel(os.environ["PEER"]) as channel:
        request = health_pb2.HealthCheckRequest()
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status

for _ in range(10):
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        wait_for_connections(4)
        os._exit(0 if call() == health_pb2.HealthCheckResponse.SERVING else 3)
    assert time.monotonic() - began < 0.9, "the fork waited for the timeout"
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
    wait_for_connections(4)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_fork_cancels_checks_and_both_processes_continue(serve: Serve) -> None:
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        _, asked = run(_FORKS, serve, PEER=f"127.0.0.1:{port}")
        server.stop(None).wait()
    # Before the first fork, and after each in the parent and in the child.
    assert {hanging.connections for hanging in asked} == {21}
