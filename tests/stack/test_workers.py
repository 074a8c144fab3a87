"""Several processes of one service: together they count every request once."""

import signal
import subprocess
import sys
from os import environ
from pathlib import Path

import httpx

from tests.stack.conftest import eventually
from tests.stack.services import telemetry
from trust_otel.stack import Addresses, PrometheusClient
from trust_otel.stack.ports import free_ports

_REQUESTS = 200
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


def test_two_workers_of_uvicorn_count_each_request_once(
    addresses: Addresses, prometheus: PrometheusClient, tmp_path: Path
) -> None:
    (tmp_path / "application.py").write_text(_APPLICATION)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    binaries = Path(sys.executable).parent
    command = [str(binaries / "opentelemetry-instrument"), str(binaries / "uvicorn"), "application:app"]
    service = subprocess.Popen(
        [*command, "--workers", "2", "--host", "127.0.0.1", "--port", str(port)],
        cwd=tmp_path,
        env={**environ, **telemetry(addresses, OTEL_SERVICE_NAME="several")},
        start_new_session=True,
    )
    try:
        eventually(lambda: _answers(url), True)
        for number in range(_REQUESTS):
            # A connection each, so that both workers get some.
            assert httpx.get(f"{url}/items/{number}", trust_env=False).is_success
        served = 'http_server_request_duration_seconds_count{service_name="several",http_route="/items/{item}"}'
        eventually(lambda: prometheus.value(f"sum({served})"), float(_REQUESTS))
        assert prometheus.value(f"count({served})") == 2
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)
