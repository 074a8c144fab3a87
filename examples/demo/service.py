"""The trust service and a Vault, each started by the command that a user would run, and a time server."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from examples.demo.program import Program, ServiceError, plain_environment
from testbed.load_generator import CERTIFICATE_PROFILES, CLIENT_NAMES, DOCUMENT_TYPES, REPUTATION_FEED
from testbed.softhsm import service_settings
from testbed.time_server import TimeServer
from testbed.trust_list_files import TrustListFiles
from trust_ops.stack.ports import free_ports

__all__ = ["ServiceError", "TrustService"]

_BINARIES = Path(sys.executable).parent
_ROOT = Path(__file__).parents[2]
_EXAMPLE = _ROOT / "examples" / "trust_service"
_UVICORN = ("--host", "127.0.0.1", "--no-access-log")


class TrustService:
    """Runs `opentelemetry-instrument uvicorn trust_service.app:app` while the block is open.

    Its Vault and its time server run as long.

    Args:
        folder: Directory of log, database and certificates.
        telemetry: Additional variables of the service; they override the defaults.
        dependencies: Entries of `TRUST_OTEL_DEPENDENCIES` besides the Vault and the authority.
    """

    def __init__(self, folder: Path, telemetry: Mapping[str, str], dependencies: Sequence[str] = ()) -> None:
        port, grpc_port, vault_port, time_port = free_ports(4)
        self.url = f"http://127.0.0.1:{port}"
        self.grpc_target = f"127.0.0.1:{grpc_port}"
        self.admin_token = secrets.token_urlsafe(24)
        self.vault_url = f"http://127.0.0.1:{vault_port}"
        self.vault_token = secrets.token_urlsafe(24)
        self.time_server = TimeServer(time_port)
        self.trust_lists = TrustListFiles(folder.resolve() / "trust-lists")
        self._running = ExitStack()
        self._vault = Program(
            "vault",
            [
                str(_BINARIES / "uvicorn"),
                "--factory",
                "examples.demo.vault:create_app",
                *("--app-dir", str(_ROOT), "--port", str(vault_port), *_UVICORN),
            ],
            {**plain_environment(), "VAULT_TOKEN": self.vault_token},
            f"{self.vault_url}/v1/sys/health",
            folder,
        )
        self._service = Program(
            "service",
            [
                str(_BINARIES / "opentelemetry-instrument"),
                str(_BINARIES / "uvicorn"),
                "trust_service.app:app",
                *("--app-dir", str(_EXAMPLE), "--port", str(port), *_UVICORN),
            ],
            {
                **plain_environment(),
                **service_settings(folder.resolve() / "hsm"),
                **self._settings(folder, dependencies),
                **self.trust_lists.settings(),
                **telemetry,
            },
            f"{self.url}/healthz",
            folder,
        )

    def _settings(self, folder: Path, dependencies: Sequence[str]) -> dict[str, str]:
        certificates = folder.resolve() / "certificates"
        return {
            "OTEL_SERVICE_NAME": "trust-service",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=demo",
            "TRUST_OTEL_CLIENT_NAMES": ",".join(CLIENT_NAMES),
            "TRUST_OTEL_DOCUMENT_TYPES": ",".join(DOCUMENT_TYPES),
            "TRUST_OTEL_CERTIFICATES": ",".join(
                (
                    str(certificates),
                    f"issuing-ca=crl+{self.url}/pki/issuing-ca.crl",
                    f"issuing-ca-ocsp=ocsp+{self.url}/pki/ocsp",
                )
            ),
            "TRUST_OTEL_CERTIFICATE_INTERVAL": "2",
            "TRUST_OTEL_CERTIFICATE_PROFILES": ",".join(CERTIFICATE_PROFILES),
            "TRUST_OTEL_TIME_SERVERS": f"local={self.time_server.address}",
            "TRUST_OTEL_DEPENDENCIES": ",".join(
                (
                    f"vault={self.vault_url}/v1/sys/health",
                    f"issuing-ca:pki={self.url}/pki/issuing-ca.crl",
                    *dependencies,
                )
            ),
            "TRUST_OTEL_DEPENDENCY_INTERVAL": "2",
            "TRUST_OTEL_GEOIP_DATABASE": str(_EXAMPLE / "countries.mmdb"),
            "TRUST_OTEL_REPUTATION_FEEDS": f"{REPUTATION_FEED}={_EXAMPLE / 'reputation.txt'}",
            "TRUST_OTEL_SLA_FILE": str(_EXAMPLE / "sla.toml"),
            "TRUST_OTEL_BUSINESS_METRICS_FILE": str(_EXAMPLE / "business_metrics.toml"),
            "TRUST_SERVICE_GRPC_ADDRESS": self.grpc_target,
            "TRUST_SERVICE_ADMIN_TOKEN": self.admin_token,
            "TRUST_SERVICE_CERTIFICATE_FOLDER": str(certificates),
            "TRUST_SERVICE_TIME_SERVER": self.time_server.address,
        }

    @property
    def log(self) -> Path:
        """The service's log."""
        return self._service.log

    def __enter__(self) -> TrustService:
        with ExitStack() as starting:
            starting.enter_context(self.time_server)
            starting.enter_context(self._vault)
            starting.enter_context(self._service)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def stop(self) -> None:
        """Terminate the service, and kill it if it does not exit in time."""
        self._service.stop()
