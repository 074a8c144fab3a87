"""Settings from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings of the service.

    Attributes:
        database_url: SQLAlchemy URL with an async driver; None for a temporary SQLite file.
        grpc_address: Address on which gRPC listens.
        certificate_folder: Folder for the service's own certificates; None to keep them in memory.
        admin_token: Token of the admin API; None to disable it.
        time_server: `host:port` of the time server with which the clock is compared; None to trust the clock.
    """

    database_url: str | None
    grpc_address: str
    certificate_folder: Path | None
    admin_token: str | None
    time_server: str | None


def settings_from_environment() -> Settings:
    folder = os.environ.get("TRUST_SERVICE_CERTIFICATE_FOLDER")
    return Settings(
        database_url=os.environ.get("TRUST_SERVICE_DATABASE_URL") or None,
        grpc_address=os.environ.get("TRUST_SERVICE_GRPC_ADDRESS") or "127.0.0.1:50051",
        certificate_folder=Path(folder) if folder else None,
        admin_token=os.environ.get("TRUST_SERVICE_ADMIN_TOKEN") or None,
        time_server=os.environ.get("TRUST_SERVICE_TIME_SERVER") or None,
    )
