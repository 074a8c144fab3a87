"""Several processes of one service: together they count every request once."""

import re
import signal
import subprocess
import sys
from os import environ
from pathlib import Path

import httpx
import pytest

from tests.stack.conftest import eventually
from tests.stack.services import telemetry
from trust_otel.stack import Addresses, PrometheusClient
from trust_otel.stack.ports import free_ports

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


@pytest.mark.parametrize("given", [None, "pod-7"])
def test_workers_of_uvicorn_count_each_request_once(
    addresses: Addresses, prometheus: PrometheusClient, tmp_path: Path, given: str | None
) -> None:
    (tmp_path / "application.py").write_text(_APPLICATION)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    binaries = Path(sys.executable).parent
    command = [str(binaries / "opentelemetry-instrument"), str(binaries / "uvicorn"), "application:app"]
    name = f"workers-{given}"
    attributes = {"OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={given}"} if given else {}
    # A busy machine starts workers slowly, and uvicorn kills those that do not answer its health check.
    options = ["--workers", str(_WORKERS), "--timeout-worker-healthcheck", "60"]
    service = subprocess.Popen(
        [*command, *options, "--host", "127.0.0.1", "--port", str(port)],
        cwd=tmp_path,
        env={**environ, **telemetry(addresses, OTEL_SERVICE_NAME=name, **attributes)},
        start_new_session=True,
    )
    served = f'http_server_request_duration_seconds_count{{service_name="{name}",http_route="/items/{{item}}"}}'
    sent = 0
    try:
        eventually(lambda: _answers(url), True, 120)
        # A connection each, so that every worker gets some, also those that start late.
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
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)
