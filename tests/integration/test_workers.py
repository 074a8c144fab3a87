"""Several processes of one service count every request once."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import environ, killpg
from pathlib import Path

import httpx
import pytest

from tests.support.running import eventually
from tests.support.services import telemetry
from trust_ops.stack import Addresses, PrometheusClient
from trust_ops.stack.ports import free_ports

_REQUESTS = 400
_WORKERS = 4
_APPLICATION = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{item}")
async def read_item(item: int) -> dict[str, int]:
    return {"item": item}
"""


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/unknown", trust_env=False).status_code == httpx.codes.NOT_FOUND
    except httpx.TransportError:
        return False


@contextmanager
def _served(command: list[str], folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server with several workers, which is stopped afterwards."""
    (folder / "application.py").write_text(_APPLICATION)
    binaries = Path(sys.executable).parent
    service = subprocess.Popen(
        [str(binaries / "opentelemetry-instrument"), str(binaries / command[0]), *command[1:]],
        cwd=folder,
        env={**environ, **variables},
        start_new_session=True,
    )
    try:
        yield service
    finally:
        with suppress(ProcessLookupError):
            killpg(service.pid, signal.SIGKILL)
        service.wait()


def _request(url: str) -> None:
    eventually(lambda: _answers(url), True, 180)
    # A new connection each, so that both workers receive some.
    with httpx.Client(trust_env=False, headers={"connection": "close"}) as client:
        for number in range(_REQUESTS):
            assert client.get(f"{url}/items/{number}").is_success


@pytest.mark.parametrize("given", [None, "pod-7"])
def test_workers_of_uvicorn_count_each_request_once(
    addresses: Addresses, prometheus: PrometheusClient, tmp_path: Path, given: str | None
) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    name = f"workers-{given}"
    attributes = {"OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={given}"} if given else {}
    # On a busy machine workers start slowly, and uvicorn kills those that do not respond to its health check.
    options = f"--workers {_WORKERS} --timeout-worker-healthcheck 60 --host 127.0.0.1 --port {port}"
    command = ["uvicorn", "application:app", *options.split()]
    served = f'http_server_request_duration_seconds_count{{service_name="{name}",http_route="/items/{{item}}"}}'
    sent = 0
    with _served(command, tmp_path, **telemetry(addresses, OTEL_SERVICE_NAME=name, **attributes)) as service:
        eventually(lambda: _answers(url), True, 120)
        # A new connection each, so that every worker receives some, including late ones.
        with httpx.Client(trust_env=False, headers={"connection": "close"}) as client:
            while sent < _REQUESTS or (prometheus.value(f"count({served})") or 0) < _WORKERS:
                for _ in range(100):
                    assert client.get(f"{url}/items/{sent}").is_success
                    sent += 1
        eventually(lambda: prometheus.value(f"sum({served})"), float(sent), 60)
        instances = {sample.labels["service_instance_id"] for sample in prometheus.query(served)}
        assert len(instances) == _WORKERS
        if given:
            assert all(re.fullmatch(f"{given}-[0-9a-f]{{12}}", instance) for instance in instances)
        service.send_signal(signal.SIGTERM)
        service.wait(30)


_SERVERS = {
    "gunicorn": "gunicorn application:app -k uvicorn_worker.UvicornWorker -w 2 -b 127.0.0.1:{port}",
    "granian": "granian application:app --interface asgi --workers 2 --host 127.0.0.1 --port {port}",
    "hypercorn": "hypercorn application:app --workers 2 --bind 127.0.0.1:{port}",
    "uvicorn": "uvicorn application:app --workers 2 --timeout-worker-healthcheck 60 --host 127.0.0.1 --port {port}",
}


@pytest.mark.parametrize("server", _SERVERS)
def test_a_rollout_loses_no_count_and_leaves_no_instance_up(
    addresses: Addresses, prometheus: PrometheusClient, tmp_path: Path, server: str
) -> None:
    pytest.importorskip(server)
    (port,) = free_ports(1)
    name = f"rollout-{server}"
    # Before the first export: all data is exported at shutdown.
    variables = telemetry(addresses, OTEL_SERVICE_NAME=name, OTEL_METRIC_EXPORT_INTERVAL="3600000")
    with _served(_SERVERS[server].format(port=port).split(), tmp_path, **variables) as service:
        _request(f"http://127.0.0.1:{port}")
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
    served = f'http_server_request_duration_seconds_count{{service_name="{name}",http_route="/items/{{item}}"}}'
    eventually(lambda: prometheus.value(f"sum({served})"), float(_REQUESTS))
    assert prometheus.value(f'max(trust_otel_instance_up{{service_name="{name}"}})') == 0
