"""The trust service as a process of its own, started as a user would start it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx

from trust_otel.simulation import CLIENT_NAMES
from trust_otel.stack import processes
from trust_otel.stack.guardian import Guardian
from trust_otel.stack.ports import free_ports

_START_SECONDS = 60
_STOP_SECONDS = 30
_EXAMPLE = Path(__file__).parents[1] / "trust_service"


class ServiceError(RuntimeError):
    """The service did not start or did not stop; the message ends with the last lines of its log."""


class TrustService:
    """Runs `opentelemetry-instrument uvicorn trust_service.app:app`; stops it on leaving the block, however that ends.

    Args:
        folder: Where log and database go.
        telemetry: The `OTEL_*` and `TRUST_OTEL_*` variables.
    """

    def __init__(self, folder: Path, telemetry: Mapping[str, str]) -> None:
        self._port, grpc_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self._port}"
        self.grpc_target = f"127.0.0.1:{grpc_port}"
        self.admin_token = secrets.token_urlsafe(24)
        self.log = folder / "service.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: Guardian | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRUST_OTEL_"))},
            "OTEL_SERVICE_NAME": "trust-service",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=demo",
            "TRUST_OTEL_CLIENT_NAMES": ",".join(CLIENT_NAMES),
            "TRUST_SERVICE_GRPC_ADDRESS": self.grpc_target,
            "TRUST_SERVICE_ADMIN_TOKEN": self.admin_token,
            **telemetry,
        }

    def __enter__(self) -> TrustService:
        binaries = Path(sys.executable).parent
        command = [
            str(binaries / "opentelemetry-instrument"),
            str(binaries / "uvicorn"),
            *("trust_service.app:app", "--app-dir", str(_EXAMPLE)),
            *("--host", "127.0.0.1", "--port", str(self._port), "--no-access-log"),
        ]
        self._guardian = Guardian()
        self._process = processes.start(command, environment=self._environment, directory=self._folder, log=self.log)
        try:
            self._guardian.watch(processes.record(self._process.pid), _STOP_SECONDS)
            self._await_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask the service to end, and end it if it does not."""
        if self._guardian is not None:
            # What the guardian still watches when it is dismissed, it stops.
            self._guardian.dismiss()
            self._guardian = None
        if self._process is not None:
            self._process.wait()

    def _await_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise ServiceError(f"the service ended while starting:\n{self._last_lines()}")
            try:
                if httpx.get(f"{self.url}/healthz", trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise ServiceError(f"the service did not become healthy in {_START_SECONDS} s:\n{self._last_lines()}")

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
