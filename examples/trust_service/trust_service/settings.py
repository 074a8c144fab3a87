"""What the environment decides."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings of the service.

    Attributes:
        database_url: SQLAlchemy URL with an async driver; None keeps a SQLite file for the life of the process.
        grpc_address: Where the interface for machines listens.
        certificate_folder: Where the service writes its own certificates; None keeps them in memory.
        admin_token: What opens the administration; None keeps it shut.
    """

    database_url: str | None
    grpc_address: str
    certificate_folder: Path | None
    admin_token: str | None


def settings_from_environment() -> Settings:
    folder = os.environ.get("TRUST_SERVICE_CERTIFICATE_FOLDER")
    return Settings(
        database_url=os.environ.get("TRUST_SERVICE_DATABASE_URL") or None,
        grpc_address=os.environ.get("TRUST_SERVICE_GRPC_ADDRESS") or "127.0.0.1:50051",
        certificate_folder=Path(folder) if folder else None,
        admin_token=os.environ.get("TRUST_SERVICE_ADMIN_TOKEN") or None,
    )
